from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg2.extensions import AsIs
from psycopg2.extras import Json
from sqlalchemy import Connection, Engine, bindparam, func, make_url, select, text
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.dialects.postgresql.ranges import MultiRange
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from dbtune.errors import ServerError
from dbtune.server.connection import MARKER, server_version_num
from dbtune.sql import quote_literal
from dbtune.workload import files, lexer
from dbtune.workload.capture import collect as collecting
from dbtune.workload.capture.collect import resolve_types
from dbtune.workload.capture.execution import Execution
from dbtune.workload.capture.sqlalchemy import SOURCE, Recorder, _Begun, _calls, _Sent, record
from dbtune.workload.capture.values import text_format
from dbtune.workload.fingerprint import fingerprint, is_preparable, layout, name, normalised
from dbtune.workload.query import ParameterSet, Query

collect = partial(collecting.collect, source=SOURCE, timed=False)


class Base(DeclarativeBase):
    pass


class Status(Enum):
    ACTIVE = "active"
    CLOSED = "closed"


class Business(Base):
    __tablename__ = "business"
    id: Mapped[int] = mapped_column(primary_key=True)
    ref: Mapped[str]
    status: Mapped[Status]
    attributes: Mapped[dict[str, Any]] = mapped_column(pg.JSONB)
    created_on: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))
    people: Mapped[list[Person]] = relationship(order_by="Person.id")


class Person(Base):
    __tablename__ = "person"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    business_id: Mapped[int] = mapped_column(sa.ForeignKey("business.id"))
    email: Mapped[str | None]


@pytest.fixture(params=["psycopg2", "psycopg"])
def engine(request: pytest.FixtureRequest, database_url: str) -> Iterator[Engine]:
    """An engine on an empty database."""
    if request.param == "psycopg":
        pytest.importorskip("psycopg")
    engine = sa.create_engine(make_url(database_url).set(drivername=f"postgresql+{request.param}"))
    yield engine
    engine.dispose()


@pytest.fixture
def filled(engine: Engine) -> Engine:
    """The same with ten businesses: number n has n persons, the first has none."""
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        for n in range(10):
            people = [Person(id=UUID(int=100 * n + i), email=f"{i}@b{n}.example" if i else None) for i in range(n)]
            session.add(
                Business(
                    id=n,
                    ref=f"r{n % 3}",
                    status=Status.ACTIVE if n % 2 else Status.CLOSED,
                    attributes={"name": f"b '{n}' 100%"},
                    created_on=datetime(2019, 1, n + 1, tzinfo=UTC),
                    people=people,
                )
            )
        session.commit()
    return engine


def only(queries: list[Query]) -> Query:
    (query,) = queries
    return query


def sets(query: Query) -> dict[str, tuple[str | None, ...]]:
    return {s.name: s.values for s in query.sets}


def execute(connection: Connection, query: Query, chosen: ParameterSet) -> list[tuple[Any, ...]]:
    """Run the query with the set as a reader of its file would."""
    options = {"no_parameters": True}
    types = f"({', '.join(query.types)})" if query.types else ""
    connection.exec_driver_sql(f"PREPARE again {types} AS {query.statement}", execution_options=options)
    values = f"({', '.join(map(quote_literal, chosen.values))})" if chosen.values else ""
    rows = connection.exec_driver_sql(f"EXECUTE again {values}", execution_options=options).all()
    connection.exec_driver_sql("DEALLOCATE again", execution_options=options)
    return [tuple(row) for row in rows]


def sent(statement: str, *values: str | None, rows: int | None = 1, **more: Any) -> Execution:
    given = {"duration_ms": 1.0, "route": None, "types": ("unknown",) * len(values)} | more
    return Execution(statement=statement, values=values, rows=rows, **given)


# What is recorded


def test_the_orm_is_recorded_as_the_server_gets_it(filled: Engine) -> None:
    with record(filled) as recorder, recorder.route("GET /businesses"), Session(filled) as session:
        found = session.scalars(select(Business).where(Business.ref == "r1").order_by(Business.id)).all()
        assert [len(business.people) for business in found] == [1, 4, 7]
        session.scalars(select(Business).where(Business.ref == "none")).all()
    businesses, people, nothing = (
        recorder.executions[0],
        recorder.executions[1:4],
        recorder.executions[4],
    )
    assert (businesses.values, businesses.rows, businesses.route) == (("r1",), 3, "GET /businesses")
    assert "%" not in businesses.statement and "$1" in businesses.statement
    assert [(p.values, p.rows) for p in people] == [(("1",), 1), (("4",), 4), (("7",), 7)]
    assert nothing.rows == 0
    assert all(e.duration_ms > 0 and not e.error for e in recorder.executions)


def test_queries_of_a_session_replay_with_the_rows_that_the_application_got(filled: Engine) -> None:
    wanted = [
        select(Business.id).where(Business.status == Status.ACTIVE, Business.attributes["name"].astext.like("b '%'%")),
        select(Business.id).where(Business.attributes.contains({"name": "b '4' 100%"})),
        select(Business.id).where(Business.id.in_([3, 4, 5]), Business.created_on > datetime(2019, 1, 5, tzinfo=UTC)),
        select(Business.id).where(sa.tuple_(Business.id, Business.ref).in_([(3, "r0"), (4, "r0"), (5, "r2")])),
        select(Person.email).where(Person.id == UUID(int=302)),
        select(Person.email).where(func.lower(Person.email) == "1@b2.example").limit(5),
        select(Business.id).where(Business.ref == sa.any_(sa.cast(["r1", "x,y", None, "NULL"], pg.ARRAY(sa.Text)))),
        select(Business.id).where(Business.created_on + timedelta(days=-3, hours=1) > datetime(2019, 1, 4, tzinfo=UTC)),
        select(func.count()).select_from(Business).join(Person).where(Business.ref == "r2", Person.email.is_(None)),
    ]
    for statement in wanted:
        with filled.connect() as connection:
            with record(filled) as recorder:
                rows = [tuple(row) for row in connection.execute(statement)]
            query = only(resolve_types(connection, collect(recorder.executions)))
            assert len(query.types) == lexer.parameter_count(query.statement) > 0
            assert sorted(execute(connection, query, query.sets[0])) == sorted(rows) != []


def test_the_type_that_the_driver_states_decides_what_an_operator_means(filled: Engine) -> None:
    """With the server's guess alone, ``$1 - 5`` has an integer, and a date's comparison a date."""
    with filled.connect() as connection:
        with record(filled) as recorder:
            connection.exec_driver_sql("CREATE TABLE day (day date)")
            connection.exec_driver_sql("INSERT INTO day VALUES ('2019-01-05')")
            statement = "SELECT day FROM day WHERE day > %s - 5 AND day < %s"
            rows = connection.exec_driver_sql(statement, (date(2019, 1, 9), datetime(2019, 1, 5, 1))).all()
        query = resolve_types(connection, collect(recorder.executions))[-1]
        assert query.types == ("date", "timestamp without time zone")
        assert execute(connection, query, query.sets[0]) == rows == [(date(2019, 1, 5),)]


@pytest.mark.parametrize(
    "value",
    [
        *(True, 1, 2**31, -(2**31), 2**63, -(2**63), 1.5, float("nan"), Decimal("1.50"), Decimal(5), Decimal("NaN")),
        *(
            b"x",
            memoryview(b"x"),
            UUID(int=1),
            date(2020, 1, 1),
            datetime(2020, 1, 1),
            datetime(2020, 1, 1, tzinfo=UTC),
        ),
        *(time(1), time(1, tzinfo=UTC), timedelta(1), "text", None, [1], [2**31, 1], [[1.5], [2.5]], ["a", None], []),
        *([UUID(int=1)], [date(2020, 1, 1)], [None]),
    ],
    ids=lambda value: "memoryview" if isinstance(value, memoryview) else repr(value),
)
def test_stated_types_are_those_that_the_server_sees(engine: Engine, value: object) -> None:
    with engine.connect() as connection, record(engine) as recorder:
        try:
            seen = connection.exec_driver_sql("SELECT pg_typeof(%s)::text", (value,)).scalar_one()
        except DBAPIError as error:
            assert "could not determine data type" in str(error)
            seen = "unknown"
    (execution,) = recorder.executions
    assert execution.types == (seen.replace("smallint", "integer"),)


def test_values_of_every_kind_come_back_from_their_text(engine: Engine) -> None:
    values: list[tuple[object, sa.types.TypeEngine[Any]]] = [
        (True, sa.Boolean()),
        (-7, sa.Integer()),
        (0.1, sa.Double()),
        (float("-inf"), sa.Double()),
        (Decimal("12.340"), sa.Numeric()),
        ('it\'s 100% \\ "$1" :x', sa.Text()),
        ("", sa.Text()),
        (b"\x00'\\\xff", sa.LargeBinary()),
        (UUID(int=2**100), sa.Uuid()),
        (date(2020, 2, 29), sa.Date()),
        (datetime(1999, 12, 31, 23, 59, 59, 123456), sa.DateTime()),
        (datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), sa.DateTime(timezone=True)),
        (time(1, 2, 3), sa.Time()),
        (timedelta(days=-1, seconds=5, microseconds=7), sa.Interval()),
        (timedelta(hours=5), sa.Interval()),
        (Status.CLOSED, sa.Enum(Status, native_enum=False)),
        ({"b": [1, None, "ü\n"], "a": {"'": "%"}}, pg.JSONB()),
        ([1, "x"], sa.JSON()),
        ([["a,b", 'q"\\'], ["NULL", ""], ["{}", " "]], pg.ARRAY(sa.Text, dimensions=2)),
        ([None, "x"], pg.ARRAY(sa.Text)),
        ([], pg.ARRAY(sa.Text)),
        ([1.5, None], pg.ARRAY(sa.Double)),
        ([b"\\\x00"], pg.ARRAY(sa.LargeBinary)),
        ([{"k": 'v "q"'}], pg.ARRAY(pg.JSONB)),
        (pg.Range(1, 5, bounds="[)"), pg.INT4RANGE()),
        (pg.Range(datetime(2020, 1, 1), None), pg.TSRANGE()),
        (pg.Range(empty=True), pg.NUMRANGE()),
        ("10.0.0.0/8", pg.CIDR()),
    ]
    with engine.connect() as connection:
        for value, type_ in values:
            statement = select(sa.cast(sa.cast(bindparam("v", value, type_), type_), sa.Text))
            with record(engine) as recorder:
                told = connection.execute(statement).scalar_one()
            query = only(resolve_types(connection, collect(recorder.executions)))
            assert execute(connection, query, query.sets[0]) == [(told,)], query


def test_multirange(engine: Engine) -> None:
    if engine.driver != "psycopg":
        pytest.skip("psycopg2 knows no multirange")
    with engine.connect() as connection:
        if server_version_num(connection) < 140_000:
            pytest.skip("multiranges came with PostgreSQL 14")
        value = MultiRange([pg.Range(1, 3), pg.Range(7, None)])
        with record(engine) as recorder:
            told = connection.execute(select(sa.cast(bindparam("v", value, pg.INT8MULTIRANGE()), sa.Text))).scalar_one()
        query = only(resolve_types(connection, collect(recorder.executions)))
        assert execute(connection, query, query.sets[0]) == [(told,)]


class OwnJson(Json):
    def dumps(self, obj: object) -> str:
        return f'{{"own":{obj}}}'


class Level(StrEnum):
    LOW = "low"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Status.ACTIVE, "ACTIVE"),
        (Level.LOW, "low"),
        ((1, None, "a b", ""), '(1,,"a b","")'),
        ([(1, "x")], '{"(1,x)"}'),
        ({"b": 1, "a": date(2020, 1, 1)}, '{"b":1,"a":"2020-01-01"}'),
        (Decimal("sNaN"), "NaN"),
        (OwnJson(1), '{"own":1}'),
    ],
)
def test_text_format(value: object, expected: str) -> None:
    assert text_format(value) == expected


@pytest.mark.parametrize("style", ["postgres", "sql_standard", "iso_8601"])
def test_an_interval_means_the_same_in_every_style(db: Connection, style: str) -> None:
    db.exec_driver_sql(f"SET IntervalStyle = {style}")
    for value in (
        timedelta(days=-1, seconds=5, microseconds=7),
        timedelta(-3),
        timedelta(seconds=7),
        timedelta(days=2),
    ):
        seconds = db.exec_driver_sql(
            "SELECT extract(epoch FROM %s::interval)::text", (text_format(value),)
        ).scalar_one()
        assert Decimal(seconds) == Decimal(str(value.total_seconds()))


_TEXT = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
_ARRAYS = st.lists(_TEXT | st.sampled_from(["NULL", "null", "{}", '"', "\\", ",", "\t", "\xa0"]), max_size=5)


def test_array_literals_are_read_as_they_were_meant(db: Connection) -> None:
    @settings(max_examples=150, deadline=None)
    @given(_ARRAYS, st.integers(1, 3))
    def check(row: list[str | None], times: int) -> None:
        value = [row] * times if row and times > 1 else row
        literal = quote_literal(text_format(value))
        read = db.exec_driver_sql(f"SELECT {literal}::text[]", execution_options={"no_parameters": True}).scalar_one()
        assert read == value

    check()


def test_executemany_counts_every_row_and_keeps_some(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id int, word text)")
        with record(engine) as recorder:
            rows = [(n, f"w{n}") for n in range(250)]
            connection.exec_driver_sql("INSERT INTO t VALUES (%s, %s)", rows)
            connection.exec_driver_sql("UPDATE t SET word = %s WHERE id = %s", [("x", -1), ("y", -2)])
    inserts = [e for e in recorder.executions if e.statement.startswith("INSERT")]
    assert len(inserts) == 100 and sum(e.calls for e in inserts) == 250
    assert inserts[3].values == ("3", "w3")
    insert, update = collect(recorder.executions)
    assert (insert.calls, update.calls) == (250, 2)
    assert sets(insert) == {"frequent": ("0", "w0")}
    assert sets(update) == {"absent": ("x", "-1")}


@pytest.mark.parametrize("in_order", [True, False])
def test_batches_of_a_bulk_insert_are_one_query(engine: Engine, in_order: bool) -> None:
    table = sa.Table("note", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("word", sa.Text))
    table.create(engine)
    insert = sa.insert(table).returning(table.c.id, sort_by_parameter_order=in_order)
    with engine.connect() as connection:
        with record(engine) as recorder:
            for size in (2, 3, 3, 4):
                connection.execute(insert, [{"word": f"w{n}"} for n in range(size)]).all()
        query = only(resolve_types(connection, collect(recorder.executions)))
        assert ("SELECT" in query.statement) is in_order  # from the numbered rows of VALUES
        assert query.name == "insert-note"
        assert query.calls == 4
        assert sets(query) == {"frequent": ("w0", "w1", "w2")}
        assert execute(connection, query, query.sets[0])[0][0] == 13


def test_psycopg2_writes_a_tuple_as_a_list_and_sql_as_it_is(filled: Engine) -> None:
    if filled.driver != "psycopg2":
        pytest.skip("psycopg2's own habits")
    with filled.connect() as connection:
        with record(filled) as recorder:
            for ids in ((1, 2, 3), (7, 8, 9), (4,)):
                connection.exec_driver_sql(
                    "SELECT id FROM business WHERE id IN %(ids)s AND %(col)s LIKE 'r%%' AND id > %(zero)s - %(zero)s",
                    {"ids": ids, "col": AsIs("ref"), "zero": 0},
                )
        query = only(resolve_types(connection, collect(recorder.executions)))
        assert query.statement == (
            "SELECT id FROM business WHERE id IN ($1, $2, $3) AND ref LIKE 'r%' AND id > $4 - $4"
        )
        assert query.types == ("integer",) * 4
        assert query.calls == 3
        assert sets(query) == {"frequent": ("1", "2", "3", "0"), "rare": ("7", "8", "9", "0")}


def test_text_sent_without_parameters_stays_as_it_is(engine: Engine) -> None:
    with engine.connect() as connection, record(engine) as recorder:
        literal = "SELECT '100%' LIKE '1%%', '%(x)s', '%s'"
        connection.exec_driver_sql(literal, execution_options={"no_parameters": True})
        connection.execute(text("SELECT '100%' LIKE '1%'"))
    assert [e.statement for e in recorder.executions] == [literal, "SELECT '100%' LIKE '1%'"]


def test_numbered_parameters_stay() -> None:
    """asyncpg's; its events reach the recorder through AsyncEngine.sync_engine."""
    dialect = make_url("postgresql+asyncpg://").get_dialect()()
    statement = select(bindparam("a", "x", sa.Text), bindparam("b", 5, sa.Integer)).compile(dialect=dialect).string
    begun = _Begun(dialect, statement, ("x", 5), 1, False, 1.0)
    (call,) = _calls(_Sent(begun, 1.5, 1, None), None, 1)
    found = call.execution
    assert found.statement == statement == "SELECT $1::VARCHAR AS anon_1, $2::INTEGER AS anon_2"
    assert (found.values, found.types, found.duration_ms) == (("x", "5"), ("unknown", "unknown"), 500.0)


def test_only_the_application_s_queries_are_recorded(engine: Engine) -> None:
    with engine.connect() as connection, record(engine) as recorder:
        connection.execute(text("CREATE TABLE t (id int)"))
        connection.execute(text(f"{MARKER} SELECT 1"))
        with connection.begin_nested():
            connection.execute(text("EXPLAIN SELECT 2"))
        connection.exec_driver_sql("SELECT 3; SELECT 4", execution_options={"no_parameters": True})
        connection.execute(text("/* a remark */ (SELECT 5) UNION SELECT 6;"))
        connection.execute(text("WITH x AS (SELECT 7) TABLE x"))
        connection.rollback()
    assert [e.statement[-9:] for e in recorder.executions] == ["SELECT 6;", ") TABLE x"]
    assert all(e.values == () for e in recorder.executions)


def test_what_fails_is_told_and_does_not_count(filled: Engine) -> None:
    with filled.connect() as connection, record(filled) as recorder:
        statement = text("SELECT 1 / :n FROM business WHERE id < 2")
        for n in (1, 0, 2):
            try:
                connection.execute(statement, {"n": n})
            except DBAPIError:
                connection.rollback()
        with pytest.raises(DBAPIError):
            connection.execute(text("SELECT nothing"))
    assert [(e.error, e.sqlstate, e.rows) for e in recorder.executions] == [
        (False, None, 2),
        (True, "22012", None),
        (False, None, 2),
        (True, "42703", None),
    ]
    assert all(e.duration_ms > 0 for e in recorder.executions)
    query = only(collect(recorder.executions))
    assert query.calls == 2
    assert sets(query) == {"frequent": ("1",), "rare": ("2",)}


def test_what_a_time_limit_ended_counts(engine: Engine) -> None:
    with engine.connect() as connection, record(engine) as recorder:
        connection.exec_driver_sql("SET statement_timeout = 50")
        with pytest.raises(DBAPIError):
            connection.execute(text("SELECT pg_sleep(:s)"), {"s": 5})
    query = only(collect(recorder.executions))
    assert query.mean_ms is not None and query.mean_ms >= 50
    assert (query.calls, sets(query)) == (1, {"frequent": ("5",)})


def test_nothing_is_heard_after_the_block_not_even_after_an_error(engine: Engine) -> None:
    with pytest.raises(RuntimeError, match="application"), record(engine) as recorder:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        raise RuntimeError("application")
    with engine.connect() as connection:
        connection.execute(text("SELECT 2"))
        with pytest.raises(DBAPIError):
            connection.execute(text("SELECT x"))
    assert [e.statement for e in recorder.executions] == ["SELECT 1"]


def test_two_recorders_hear_the_same(engine: Engine) -> None:
    with record(engine) as outer, engine.connect() as connection:
        with record(engine) as inner:
            connection.execute(text("SELECT 1"))
        connection.execute(text("SELECT 2"))
    assert [e.statement for e in inner.executions] == ["SELECT 1"]
    assert [e.statement for e in outer.executions] == ["SELECT 1", "SELECT 2"]


def test_a_changed_parameter_does_not_change_what_was_recorded(engine: Engine) -> None:
    with engine.connect() as connection, record(engine) as recorder:
        given = {"n": 1}
        connection.exec_driver_sql("SELECT %(n)s", given)
        given["n"] = 2
        connection.exec_driver_sql("SELECT %(n)s", given)
    assert [e.values for e in recorder.executions] == [("1",), ("2",)]


def test_routes_belong_to_their_thread_and_the_innermost_wins(engine: Engine) -> None:
    def work(recorder: Recorder, route: str) -> None:
        with recorder.route(route), engine.connect() as connection:
            for _ in range(20):
                connection.execute(text("SELECT 1"))

    with record(engine) as recorder:
        threads = [threading.Thread(target=work, args=(recorder, f"GET /{n}")) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with engine.connect() as connection, recorder.route("outer"):
            with pytest.raises(RuntimeError), recorder.route("inner"):
                connection.execute(text("SELECT 2"))
                raise RuntimeError
            connection.execute(text("SELECT 3"))
    routes = [e.route or "" for e in recorder.executions]
    assert routes[-2:] == ["inner", "outer"]
    assert sorted(routes[:-2]) == sorted(f"GET /{n}" for n in range(4) for _ in range(20))


def test_rows_of_a_server_side_cursor_are_unknown(filled: Engine) -> None:
    with filled.connect() as connection, record(filled) as recorder:
        statement = select(Business.id).where(Business.id > 2)
        assert len(connection.execute(statement, execution_options={"stream_results": True}).all()) == 7
    assert [e.rows for e in recorder.executions] == [None]
    assert sets(only(collect(recorder.executions))) == {"frequent": ("2",)}


# What is made of it


def test_lists_of_different_length_are_one_query() -> None:
    one = "SELECT * FROM t WHERE id IN ($1) AND x = $2"
    two = "SELECT *  FROM t -- remark\n WHERE id IN ($1, $2) AND x = $3"
    three = "select * FROM t WHERE id IN ($1, $2, $3) AND x = $4"
    query = only(
        collect(
            [
                sent(three, "1", "2", "3", "a", rows=9),
                sent(one, "1", "a", rows=1, duration_ms=6.0),
                sent(two, "1", "2", "a", rows=2),
                sent(two, "1", "2", "b", rows=1),
                sent(three, "7", "8", "9", "a", rows=0),
            ]
        )
    )
    assert query.statement == three
    assert (query.calls, query.mean_ms) == (5, 2.0)
    assert sets(query) == {"frequent": ("1", "2", "3", "a"), "absent": ("7", "8", "9", "a")}
    assert only(collect([sent(one, "1", "a"), sent(three, *"1234")])).statement == three
    assert only(collect([sent(one, "1", "a"), sent(two, *"123"), sent(one, "2", "a")])).statement == one


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([("a", 5), ("b", 9), ("c", 1), ("d", 0), ("e", 1)], {"frequent": "b", "rare": "c", "absent": "d"}),
        ([("a", 1), ("b", 1), ("c", 1)], {"frequent": "a", "rare": "b"}),
        ([("a", 1), ("a", 1)], {"frequent": "a"}),
        ([("a", 0), ("b", 0)], {"absent": "a"}),
        ([("a", 0), ("a", 3), ("b", 1)], {"frequent": "a", "rare": "b"}),
        ([("a", None), ("b", None), ("c", 0)], {"frequent": "a", "absent": "c"}),
        ([("a", None), ("b", 2)], {"frequent": "b"}),
        ([(None, 0), ("b", 0)], {"absent": "b"}),
        ([(None, 0)], {"absent": None}),
    ],
)
def test_sets_are_named_for_the_rows_they_gave(
    seen: list[tuple[str | None, int | None]], expected: dict[str, str | None]
) -> None:
    query = only(collect([sent("SELECT * FROM t WHERE a = $1", value, rows=rows) for value, rows in seen]))
    assert sets(query) == {name: (value,) for name, value in expected.items()}
    assert [s.name for s in query.sets] == list(expected)


def test_an_insert_has_only_a_frequent_set() -> None:
    statement = "INSERT INTO t VALUES ($1) ON CONFLICT DO NOTHING"
    assert sets(only(collect([sent(statement, "a", rows=0)]))) == {"frequent": ("a",)}
    assert sets(only(collect([sent(statement, "a", rows=0), sent(statement, "b")]))) == {"frequent": ("b",)}


def test_a_statement_without_parameters_has_no_set() -> None:
    query = only(collect([sent("SELECT 1")]))
    assert (query.sets, query.types, query.source, query.route) == ((), (), "sqlalchemy", None)


def test_routes_that_share_a_query_are_told_most_calls_first() -> None:
    def route(*routes: str | None) -> str | None:
        return only(collect([sent("SELECT 1", route=r) for r in routes])).route

    assert route("b", None, "a", "b") == "b, a"
    assert route("c", "b", "a") == "a, b, c"
    assert route("e", "d", "c", "b", "a", "e") == "e, a, b and 2 more"


def test_types_serve_all_values_or_are_left_to_the_server() -> None:
    def types(*seen: tuple[str | None, str]) -> tuple[str, ...]:
        return only(collect([sent("SELECT $1", value, types=(stated,)) for value, stated in seen])).types

    assert types(("1", "integer"), (None, "unknown"), ("4294967296", "bigint")) == ("bigint",)
    assert types(("{1}", "integer[]"), ("{1.5}", "numeric[]")) == ("numeric[]",)
    assert types(("2020-01-01", "date"), ("2020-01-01 00:00:00", "timestamp without time zone")) == ()
    assert types(("a", "unknown"), ("1", "integer")) == ()


def test_the_order_of_execution_changes_no_name_and_no_statement() -> None:
    statements = [
        "SELECT a FROM t WHERE x = $1",
        "SELECT b FROM t WHERE x = $1",
        "SELECT c FROM t WHERE x = $1",
        "UPDATE t SET a = $1 WHERE x = $2",
    ]
    executions = [sent(s, *("1",) * lexer.parameter_count(s)) for s in statements]
    expected = collect(executions)
    assert [q.name for q in expected] == ["select-t-by-x", "select-t-by-x-2", "select-t-by-x-3", "update-t-by-x"]
    for seed in range(5):
        shuffled = random.Random(seed).sample(executions, len(executions))
        assert collect(shuffled) == expected


def test_a_query_survives_its_file(filled: Engine) -> None:
    with record(filled) as recorder, recorder.route("GET /businesses/{id}"), Session(filled) as session:
        session.scalars(
            select(Business).where(Business.ref.in_(["r1", "it's"]), Business.status == Status.ACTIVE)
        ).all()
        session.execute(text("-- a remark\nSELECT email FROM person WHERE email ILIKE :e -- end"), {"e": "%a%"})
        session.execute(text("SELECT /*+ SeqScan(person) */ email FROM person"))
    with filled.connect() as connection:
        queries = resolve_types(connection, collect(recorder.executions))
    assert any("/*+ SeqScan(person) */" in query.statement for query in queries)
    for query in queries:
        read = files.parse(files.dump(query), Path(f"{query.name}.sql"))
        for field in ("name", "statement", "types", "sets", "route", "calls", "mean_ms", "source"):
            assert getattr(read, field) == getattr(query, field)


# Types


def test_types_of_a_server_s_own_and_nothing_left_behind(db: Connection) -> None:
    db.execute(text("CREATE SCHEMA s"))
    db.execute(text("CREATE TYPE s.mood AS ENUM ('ok')"))
    db.execute(text("CREATE TABLE s.t (id uuid, mood s.mood, n int[])"))
    db.commit()
    queries = [
        Query(name="a", statement="SELECT 1 FROM s.t WHERE id = $1 AND mood = $2 AND n @> $3"),
        Query(name="b", statement="SELECT 1 FROM missing WHERE id = $1", types=("integer",)),
        Query(name="c", statement="SELECT 1; DROP TABLE s.t"),
        Query(name="d", statement="SELECT 1 FROM s.t WHERE id = $1", types=("date",)),
        Query(name="e", statement="SELECT 1", types=()),
        Query(name="f", statement="DELETE FROM s.t WHERE id = $1 RETURNING n"),
    ]
    resolved = resolve_types(db, queries)
    assert not db.in_transaction()
    assert [q.types for q in resolved] == [("uuid", "s.mood", "integer[]"), (), (), ("uuid",), (), ("uuid",)]
    assert [q.statement for q in resolved] == [q.statement for q in queries]
    assert db.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar() == 0
    assert db.execute(text("SELECT to_regclass('s.t') IS NOT NULL")).scalar()


def test_an_open_transaction_goes_on(db: Connection) -> None:
    db.execute(text("CREATE TABLE t (id uuid)"))
    db.execute(text("SET LOCAL lock_timeout = 77"))
    queries = [Query(name="a", statement="SELECT $1 = missing"), Query(name="b", statement="SELECT id = $1 FROM t")]
    assert [q.types for q in resolve_types(db, queries)] == [(), ("uuid",)]
    assert db.execute(text("SHOW lock_timeout")).scalar() == "77ms"
    assert db.execute(text("SELECT count(*) FROM t")).scalar() == 0


def test_parameters_of_the_same_expression_become_one(filled: Engine) -> None:
    """psycopg2 writes constants, so GROUP BY finds the SELECT list's expression again; ``$1`` and ``$2`` differ."""
    if filled.driver != "psycopg2":
        pytest.skip("the server refuses it from psycopg")

    def month() -> sa.ColumnElement[datetime]:
        return func.date_trunc("month", Business.created_on)

    def doc() -> sa.ColumnElement[Any]:
        return func.lower(Business.attributes["name"].astext)

    with filled.connect() as connection:
        with record(filled) as recorder:
            grouped = connection.execute(
                select(month(), func.count()).where(Business.id > 3, Business.ref != "month").group_by(month())
            ).all()
            distinct = connection.execute(select(doc()).where(Business.id < 5).distinct().order_by(doc())).all()
        queries = resolve_types(connection, collect(recorder.executions))
        by_date, by_doc = sorted(queries, key=lambda q: "DISTINCT" in q.statement)
        assert by_date.types == ("text", "integer", "text")
        assert sets(by_date)["frequent"] == ("month", "3", "month")
        assert execute(connection, by_date, by_date.sets[0]) == [tuple(row) for row in grouped]
        assert by_doc.types == ("text", "integer")
        assert execute(connection, by_doc, by_doc.sets[0]) == [tuple(row) for row in distinct]


def test_parameters_of_the_same_value_become_one_where_nothing_else_helps(db: Connection) -> None:
    db.execute(text("CREATE TABLE t (a text)"))
    chosen = ParameterSet(name="frequent", values=("x", "x", "y"))
    query = Query(name="a", statement="SELECT $1 || a FROM t WHERE a <> $3 GROUP BY $2 || a", sets=(chosen,))
    (found,) = resolve_types(db, [query])
    assert found.statement == "SELECT $1 || a FROM t WHERE a <> $2 GROUP BY $1 || a"
    assert (found.types, sets(found)) == (("text", "text"), {"frequent": ("x", "y")})


def test_a_statement_that_groups_wrongly_is_given_up(db: Connection) -> None:
    """The server's complaint is that of unequal expressions, but no parameters are the same."""
    db.execute(text("CREATE TABLE t (a int, b int)"))
    wrong = Query(name="a", statement="SELECT a, $1::int FROM t WHERE b = $2 GROUP BY b", types=("integer", "unknown"))
    same = Query(
        name="b",
        statement="SELECT a + $1 FROM t GROUP BY b + $2",
        types=("integer", "integer"),
        sets=(ParameterSet(name="frequent", values=("1", "1")),),
    )
    assert [q.types for q in resolve_types(db, [wrong, same])] == [(), ()]


def test_a_lost_connection_is_told(db: Connection, database_url: str) -> None:
    pid = db.execute(text("SELECT pg_backend_pid()")).scalar_one()
    other = sa.create_engine(database_url, isolation_level="AUTOCOMMIT")
    with other.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        while (
            connection.execute(text("SELECT FROM pg_stat_activity WHERE pid = :pid"), {"pid": pid}).first() is not None
        ):
            pass
    other.dispose()
    with pytest.raises(ServerError, match="types of the parameters"):
        resolve_types(db, [Query(name="a", statement="SELECT $1::int")])


# Fingerprints, names and layout


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT  A\nFROM t -- x\nWHERE b=$1;", "select a from t where b = $1"),
        ("SELECT \"A\", 'B' /* x */ FROM t", "select \"A\" , 'B' from t"),
        ("SELECT 1 WHERE a IN ($1, $2, $3) AND b >= $4", "select 1 where a in ( $1 ) and b >= $2"),
        ("SELECT 1 WHERE a NOT IN ($3::UUID, $2::UUID)", "select 1 where a not in ( $1 :: uuid )"),
        ("SELECT 1 WHERE (a, b) IN (($1, $2), ($3, $4))", "select 1 where ( a , b ) in ( ( $1 , $2 ) )"),
        ("SELECT 1 WHERE a IN (1, 2, 3)", "select 1 where a in ( 1 , 2 , 3 )"),
        ("SELECT 1 WHERE a IN ($1, 2, $2)", "select 1 where a in ( $1 , 2 , $2 )"),
        ("SELECT f($1, $2), ARRAY[$3, $4]", "select f ( $1 , $2 ) , array [ $3 ]"),
        (
            "SELECT 1 WHERE a IN (SELECT b FROM t WHERE c IN ($1, $2) AND d = $1)",
            "select 1 where a in ( select b from t where c in ( $1 ) and d = $1 )",
        ),
        (
            "INSERT INTO t (a, b) VALUES ($1, now()), ($2, now()) ON CONFLICT (a) DO UPDATE SET b = $3",
            "insert into t ( a , b ) values ( $1 , now ( ) ) on conflict ( a ) do update set b = $2",
        ),
        (
            "SELECT p0::INT FROM (VALUES ($1, 0), ($2, 1), ($3, 2)) AS x(p0, n) ORDER BY n",
            "select p0 :: int from ( values ( $1 , 0 ) ) as x ( p0 , n ) order by n",
        ),
        ("INSERT INTO t VALUES ($1, 7), ($2, 8)", "insert into t values ( $1 , 7 ) , ( $2 , 8 )"),
        ("SELECT $2, $1, $2", "select $1 , $2 , $1"),
    ],
)
def test_fingerprint(statement: str, expected: str) -> None:
    assert fingerprint(statement) == expected
    assert fingerprint(expected) == expected


def test_what_differs_keeps_its_own_fingerprint() -> None:
    differing = [
        "SELECT a FROM t WHERE a = $1 AND b = $1",
        "SELECT a FROM t WHERE a = $1 AND b = $2",
        "SELECT a FROM t WHERE a = $1 AND b = 1",
        "SELECT a FROM t WHERE a = $1 AND b = 2",
        "SELECT a FROM t WHERE a = $1 AND b = '2'",
        "SELECT a FROM t WHERE a = $1 AND b <= 2",
        'SELECT "A" FROM t WHERE a = $1 AND b = 2',
        "SELECT /*+ IndexScan(t) */ a FROM t WHERE a = $1 AND b = 2",
        "SELECT a FROM t WHERE a IN ($1, $2)",
        "SELECT a FROM t WHERE a IN ($1::text, $2)",
    ]
    assert len(set(map(fingerprint, differing))) == len(differing)
    assert normalised("SELECT a IN ($1,  $2)") == "select a in ( $1 , $2 )"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT id FROM partysvc.business WHERE business_ref = $1", "select-business-by-business-ref"),
        ("SELECT id FROM s.t WHERE t.business_id IN ($1, $2) LIMIT $3", "select-t-by-business-id-in"),
        ("SELECT id FROM t WHERE a = ANY ($1) OR lower(b) LIKE $2 AND c = 1", "select-t-by-a-in-b"),
        ("UPDATE s.respondent AS r SET a = $1 WHERE r.id = $2::UUID", "update-respondent-by-id"),
        ("INSERT INTO s.enrolment (a, b) VALUES ($1, $2) RETURNING id", "insert-enrolment"),
        ("DELETE FROM t WHERE t.doc ->> $1 = $2", "delete-t-by-doc"),
        ("MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE", "merge-t"),
        (
            "SELECT x.id FROM (SELECT b.id FROM s.b WHERE b.r = $1 LIMIT $2) AS x LEFT JOIN c ON c.i = x.id",
            "select-b-by-r",
        ),
        ("WITH x AS (SELECT * FROM s.b WHERE b.r = $1) SELECT * FROM x WHERE x.q > $2", "select-b-by-q-r"),
        ("WITH RECURSIVE r AS (SELECT a FROM r WHERE a = $1) SELECT * FROM r", "select-r-by-a"),
        ("SELECT count(*) FROM t JOIN u ON t.id = u.id WHERE t.a BETWEEN $1 AND $2 AND u.b @> $3", "select-t-by-a-b"),
        ('SELECT 1 FROM "Order Items" WHERE "Ünit" = $1', "select-order-items-by-nit"),
        ("SELECT 1", "select"),
        ("SELECT * FROM generate_series($1, $2)", "select"),
        ("VALUES ($1)", "values"),
        (
            "SELECT 1 FROM business_attributes WHERE sample_summary_id = $1 AND collection_exercise = $2 AND a = $3",
            "select-business-attributes-by-sample-summary-id",
        ),
    ],
)
def test_name(statement: str, expected: str) -> None:
    assert name(statement) == expected


def test_a_statement_that_is_not_understood_is_named_by_its_hash(caplog: pytest.LogCaptureFixture) -> None:
    found = name("SELECT FROM WHERE )(")
    assert found.startswith("query-") and len(found) == 14
    assert found == name("select from  where )(")
    assert name("VACUUM t").startswith("query-")
    assert caplog.text == ""


def test_long_names_are_cut_and_stay_distinct() -> None:
    table = "a_table_with_a_name_that_is_as_long_as_the_server_takes"
    executions = [sent(f"SELECT {column} FROM {table} WHERE x = $1", "1") for column in "abc"]
    names = [q.name for q in collect(executions)]
    cut = f"select-{table.replace('_', '-')}"[:48]
    short = cut[:46].rstrip("-")
    assert sorted(names) == sorted([cut, f"{short}-2", f"{short}-3"])


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT 1", True),
        ("(TABLE t)", True),
        ("/* x */ with x as (select 1) table x;", True),
        ("SAVEPOINT x", False),
        ("CALL f()", False),
        ("SELECT 1; SELECT 2", False),
        ("SELECT 'x", False),
        ("", False),
    ],
)
def test_is_preparable(statement: str, expected: bool) -> None:
    assert is_preparable(statement) is expected


def saying(statement: str) -> list[str]:
    remark: Callable[[lexer.Token], bool] = lambda t: t.kind is lexer.Kind.COMMENT and "+" not in t.text  # noqa: E731
    return [t.text for t in lexer.tokens(statement) if t.kind is not lexer.Kind.SPACE and not remark(t)]


def test_layout_breaks_long_lines_at_commas() -> None:
    columns = ", ".join(f"partysvc.business.column_{n} AS column_{n}" for n in range(12))
    statement = f"SELECT {columns}, coalesce(a, 'b,  c')  -- x\nFROM partysvc.business \nWHERE a = 'it''s,\n  b'"
    done = layout(statement)
    assert all(len(line) <= 110 for line in done.splitlines())
    assert done.endswith("coalesce(a, 'b,  c')\nFROM partysvc.business\nWHERE a = 'it''s,\n  b'")
    assert all(line.endswith(",") for line in done.splitlines()[:-4])
    assert layout(done) == done


_WORDS = [
    "SELECT",
    "a",
    "'x, y'",
    "\n",
    ",",
    ", ",
    "(",
    ")",
    " ",
    "  ",
    "--\n",
    "/* */",
    "AND",
    "$1",
    "$$ , $$",
    '"q, "',
    "\t",
    "/*+ h */",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_WORDS), max_size=60).map(" ".join), st.integers(1, 60))
def test_layout_changes_no_token(statement: str, width: int) -> None:
    done = layout(statement, width)
    assert saying(done) == saying(statement)
    assert normalised(done) == normalised(statement)

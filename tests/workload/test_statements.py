"""pg_stat_statements on a real server: what is counted, what is left out, and what becomes of the texts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, make_url

from dbtune.errors import ServerError
from dbtune.plan import explain as plans
from dbtune.server.connection import MARKER, Target, connect, server_version_num
from dbtune.workload import lexer
from dbtune.workload.capture import statements
from dbtune.workload.capture.statements import Captured, Entry, Snapshot
from dbtune.workload.query import Query
from dbtune.workload.shape import shape

OLD_VERSIONS = ("1.4", "1.7", "1.8", "1.9", "1.10", "1.11")


@pytest.fixture
def counted(db: Connection) -> Connection:
    """A database with the extension and a table, its statistics known, its counters new."""
    db.exec_driver_sql("CREATE EXTENSION pg_stat_statements")
    db.exec_driver_sql("CREATE TABLE item (id int PRIMARY KEY, owner int, code text, made date)")
    db.exec_driver_sql(
        "INSERT INTO item SELECT g, CASE WHEN g < 600 THEN 7 ELSE mod(g, 97) END, 'c' || mod(g, 40), '2019-01-01'"
        " FROM generate_series(1, 2000) AS g"
    )
    db.exec_driver_sql("ANALYZE item")
    db.commit()
    reset(db)
    return db


def reset(connection: Connection) -> None:
    connection.exec_driver_sql(
        f"{MARKER} SELECT pg_stat_statements_reset(0::oid, oid, 0) FROM pg_database WHERE datname = current_database()"
    )
    connection.commit()


@pytest.fixture
def other(database_url: str) -> Iterator[Connection]:
    """The application's connection."""
    with connect(Target(make_url(database_url), "test")) as opened:
        yield opened


def send(connection: Connection, *texts: str) -> None:
    for text in texts:
        connection.exec_driver_sql(text, execution_options={"no_parameters": True})
    connection.commit()


def by_shape(captured: Captured) -> dict[str, Query]:
    return {shape(query.statement): query for query in captured.queries}


def test_calls_durations_and_sampled_values(counted: Connection, other: Connection) -> None:
    for number in range(5):
        send(other, f"SELECT code FROM item WHERE owner = {number} AND made > date '2018-01-01' LIMIT 10")
    send(other, "UPDATE item SET code = 'x' WHERE id = 3")
    captured = statements.capture(counted)
    found = by_shape(captured)
    read = found[shape("SELECT code FROM item WHERE owner = 1 AND made > '2018-01-01' LIMIT 5")]
    assert read.calls == 5
    assert read.mean_ms is not None and 0 < read.mean_ms < 1000
    assert (read.types, read.source) == (("integer", "date", "bigint"), "pg_stat_statements")
    assert read.sets[0].values == ("7", "2019-01-01", "10")
    assert all(chosen.provenance == "sampled" for query in captured.queries for chosen in query.sets)
    changed = found[shape("UPDATE item SET code = 'x' WHERE id = 3")]
    assert changed.calls == 1
    assert len(captured.queries) == 2


def test_every_query_can_be_explained(counted: Connection, other: Connection) -> None:
    send(
        other,
        "SELECT count(*) FROM item WHERE owner IN (1, 2, 3, 4, 5) AND made >= date '2019-01-01'",
        "SELECT id FROM item WHERE made > timestamp '2019-01-01 10:00' - interval '1 day' ORDER BY 1 LIMIT 3",
        "SELECT extract(year from made), count(*) FROM item WHERE code LIKE 'c1%' GROUP BY 1",
        "SELECT id FROM item WHERE owner = ANY (ARRAY[1, 2, 3]) AND code <> 'it''s'",
        "INSERT INTO item (id, owner, code, made) VALUES (5001, 1, 'a', NULL), (5002, 2, 'b', '2019-02-01')",
        "DELETE FROM item WHERE id = -1",
    )
    captured = statements.capture(counted)
    assert len(captured.queries) == 6
    for query in captured.queries:
        done = plans.explain(counted, query, plans.choose_set(query), plans.Options(analyze=False))
        assert done.fault is None, (query.statement, done.fault)
        assert done.plan is not None, query.statement


def test_a_list_whose_length_is_not_told_gets_one(counted: Connection, other: Connection) -> None:
    send(other, "SELECT id FROM item WHERE owner IN (1, 2, 3, 4) AND code = 'c1'")
    (query,) = statements.capture(counted).queries
    length = 3 if server_version_num(counted) >= 180_000 else 4
    assert lexer.parameter_count(query.statement) == length + 1
    assert "/*" not in query.statement


def test_only_the_interval_is_counted(counted: Connection, other: Connection) -> None:
    send(other, "SELECT 1 FROM item WHERE id = 1", "SELECT 2 FROM item WHERE owner = 1")

    def meanwhile(seconds: float) -> None:
        assert seconds == 4
        send(other, "SELECT 1 FROM item WHERE id = 2", "SELECT 1 FROM item WHERE id = 3")

    captured = statements.capture(counted, seconds=4, sleep=meanwhile)
    (query,) = captured.queries  # the other one ran before
    assert (query.calls, "id" in query.statement) == (2, True)
    assert captured.seconds is not None and captured.since is not None
    assert captured.evictions == (0 if server_version_num(counted) >= 140_000 else None)


def test_what_is_none_of_the_applications_is_left_out(counted: Connection, other: Connection) -> None:
    send(counted, f"SELECT {MARKER} count(*) FROM item", f"{MARKER} SELECT setting FROM pg_settings")
    send(
        other,
        "SELECT relname FROM pg_catalog.pg_class WHERE relname = 'item'",
        "SELECT current_schema()",
        "CREATE TABLE more (id int)",
        "SELECT id FROM item WHERE id = 1",
        "SELECT code FROM item WHERE owner = 1",
        "SELECT code FROM item WHERE owner = 2",
    )
    captured = statements.capture(counted, min_calls=2)
    assert [query.calls for query in captured.queries] == [2]
    assert captured.left_out["system"] >= 2
    assert captured.left_out["rare"] == 1
    if server_version_num(counted) < 180_000:  # which forgets the comment that leads a statement
        assert captured.left_out["own"] >= 1
    assert captured.left_out["utility"] >= 1


def test_what_a_function_sends_is_not_the_applications(counted: Connection, other: Connection) -> None:
    if server_version_num(counted) < 140_000:
        pytest.skip("pg_stat_statements tells from 14 on")
    send(
        other,
        "CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS"
        " 'BEGIN RETURN (SELECT sum(owner) FROM item WHERE id > 5); END'",
        "SET pg_stat_statements.track = 'all'",
        "SELECT total() FROM item WHERE id = 1",
    )
    captured = statements.capture(counted)
    assert [query.statement for query in captured.queries] == ["SELECT total() FROM item WHERE id = $1"]
    assert captured.left_out["nested"] == 1


def test_entries_that_may_not_be_read_are_told(counted: Connection, other: Connection, database_url: str) -> None:
    send(other, "SELECT id FROM item WHERE id = 1")
    send(counted, "DROP ROLE IF EXISTS capture_reader", "CREATE ROLE capture_reader LOGIN")
    try:
        url = make_url(database_url).set(username="capture_reader")
        with connect(Target(url, "test")) as poor:
            captured = statements.capture(poor)
        assert captured.queries == ()
        assert captured.left_out["hidden"] >= 1
    finally:
        send(counted, "DROP ROLE capture_reader")


@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_the_columns_follow_the_extensions_version(db: Connection, other: Connection, version: str) -> None:
    known = db.exec_driver_sql(
        "SELECT count(*) FROM pg_available_extension_versions WHERE name = 'pg_stat_statements' AND version = %s",
        (version,),
    ).scalar_one()
    if not known:
        pytest.skip("this server is older")
    db.exec_driver_sql('CREATE SCHEMA "odd schema"')
    db.exec_driver_sql(f"CREATE EXTENSION pg_stat_statements SCHEMA \"odd schema\" VERSION '{version}'")
    db.exec_driver_sql("CREATE TABLE thing (id int)")
    db.commit()
    send(other, "SELECT id FROM thing WHERE id = 1", "SELECT id FROM thing WHERE id = 2")
    captured = statements.capture(db)
    (query,) = [query for query in captured.queries if query.statement.startswith("SELECT id FROM thing")]
    assert query.calls == 2
    assert query.mean_ms is not None and query.mean_ms >= 0


def test_a_missing_extension_is_one_line_that_says_what_to_do(db: Connection) -> None:
    with pytest.raises(ServerError, match="CREATE EXTENSION pg_stat_statements") as raised:
        statements.capture(db)
    assert raised.value.exit_code == 3
    assert "\n" not in str(raised.value)


def snap(**entries: Entry) -> Snapshot:
    keyed = {(10, number, True): entry for number, entry in enumerate(entries.values())}
    return Snapshot(entries=keyed, hidden=0, evictions=0, reset=None)


def test_what_was_added_between_two_snapshots() -> None:
    before = snap(
        a=Entry(query="a", calls=5, total_ms=10),
        b=Entry(query="b", calls=5, total_ms=10),
        c=Entry(query="c", calls=9, total_ms=10),
    )
    after = snap(
        a=Entry(query="a", calls=7, total_ms=30),
        b=Entry(query="b", calls=5, total_ms=10),
        c=Entry(query="c", calls=2, total_ms=1),
    )
    added = {entry.query: (entry.calls, entry.total_ms) for entry in statements.added(before, after).values()}
    assert added == {"a": (2, 20), "c": (2, 1)}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SELECT $1", "SELECT $1"),
        ("SELECT a FROM t WHERE b = $2 AND a = $1", "SELECT a FROM t WHERE b = $1 AND a = $2"),
        (
            "SELECT a FROM t WHERE a IN ($1 /*, ... */) AND b = $2 AND c IN ($3 /*, ... */)",
            "SELECT a FROM t WHERE a IN ($1, $2, $3) AND b = $4 AND c IN ($5, $6, $7)",
        ),
        ("SELECT ARRAY[$1 /*, ... */]", "SELECT ARRAY[$1, $2, $3]"),
        ("SELECT a = ANY (ARRAY[$1 /*, ... */]), $2", "SELECT a = ANY ($1), $2"),
        ("SELECT a = ANY(ARRAY[$1, $2]::uuid[]), $3", "SELECT a = ANY(ARRAY[$1, $2]::uuid[]), $3"),
        ("SELECT a = ANY(array[$1, $2, $3]), $4", "SELECT a = ANY ($1), $2"),
        ("SELECT date $1 - interval $2", "SELECT $1::date - $2::interval"),
        ("SELECT timestamp with time zone $1", "SELECT $1::timestamp with time zone"),
        ("SELECT extract($1 FROM d)", "SELECT pg_catalog.date_part($1, d)"),
        ("SELECT \"date $1\", 'date $2'", "SELECT \"date $1\", 'date $2'"),
        ("SELECT a AS date, $1", "SELECT a AS date, $1"),
    ],
)
def test_texts_become_what_prepare_takes(text: str, wanted: str) -> None:
    assert statements.preparable(text) == wanted

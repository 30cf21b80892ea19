"""pg_stat_statements on a real server: what is counted, what is left out, and what becomes of the texts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import Connection, make_url

from dbtune.errors import ServerError
from dbtune.plan import explain as plans
from dbtune.server.connection import MARKER, Target, connect, server_version_num
from dbtune.server.embedded import EmbeddedServer
from dbtune.workload import lexer
from dbtune.workload.capture import statements
from dbtune.workload.capture.statements import Captured, Entry, Snapshot
from dbtune.workload.period import period
from dbtune.workload.query import Query
from dbtune.workload.shape import shape

VERSIONS = ("1.4", "1.7", "1.8", "1.9", "1.10", "1.11", "1.12")


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
    assert query.periods == (period(captured.since, captured.until),)
    assert query.periods[0].seconds < 4  # nobody slept
    assert captured.evictions == (0 if server_version_num(counted) >= 140_000 else None)


def test_a_reset_within_the_interval(counted: Connection, other: Connection) -> None:
    """A few calls before, three after: what is left of the interval begins at the reset."""
    send(other, "SELECT 1 FROM item WHERE id = 1", *(f"SELECT {'owner, ' * n} id FROM item" for n in range(20)))

    def meanwhile(seconds: float) -> None:
        send(other, "SELECT 1 FROM item WHERE id = 2")
        send(counted, f"{MARKER} SELECT pg_stat_statements_reset()")
        send(other, *(f"SELECT 1 FROM item WHERE id = {number}" for number in range(3)))
        send(other, "SELECT 2 FROM item WHERE owner = 1")

    captured = statements.capture(counted, seconds=1, sleep=meanwhile)
    assert {query.calls for query in captured.queries} == {3, 1}
    if server_version_num(counted) >= 140_000:  # else nobody tells when it was
        assert captured.since == counted.exec_driver_sql("SELECT stats_reset FROM pg_stat_statements_info").scalar()
        assert captured.evictions == 0


def test_since_the_reset(counted: Connection, other: Connection) -> None:
    send(counted, f"{MARKER} SELECT pg_stat_statements_reset()")
    send(other, "SELECT id FROM item WHERE id = 1")
    captured = statements.capture(counted)
    (query,) = captured.queries
    if server_version_num(counted) < 140_000:
        assert (captured.since, query.periods) == (None, ())
    else:
        assert captured.since is not None
        assert query.periods == (period(captured.since, captured.until),)


def test_time_for_planning_counts_where_it_is_tracked(counted: Connection, other: Connection) -> None:
    send(other, "SET pg_stat_statements.track_planning = on")
    send(other, "SELECT count(*) FROM item AS a JOIN item AS b ON a.id = b.owner WHERE a.id = -1")
    (query,) = statements.capture(counted).queries
    planning, execution = counted.exec_driver_sql(
        "SELECT total_plan_time, total_exec_time FROM pg_stat_statements WHERE query LIKE 'SELECT count(%%'"
        " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
    ).one()
    assert planning > 0
    assert query.mean_ms == pytest.approx(planning + execution, rel=1e-4)


def test_what_cannot_be_prepared_again_is_left_out(counted: Connection, other: Connection) -> None:
    """Constants have types by themselves, parameters in their place have none; tables may be out of sight."""
    send(
        other,
        "CREATE SCHEMA elsewhere",
        "CREATE TABLE elsewhere.thing (id int)",
        "SET search_path = elsewhere, public",
        "SELECT id FROM thing",
        "SELECT id FROM item WHERE id = 3",
        "SELECT 1 + 2 FROM item WHERE id = 1",
    )
    captured = statements.capture(counted)
    assert [query.statement for query in captured.queries] == ["SELECT id FROM item WHERE id = $1"]
    assert captured.left_out["unprepared"] == 2


def test_foreign_keys_are_checked_by_the_server_not_by_the_application(counted: Connection, other: Connection) -> None:
    """An extension before 1.9 does not tell; what the triggers send is known by its spelling."""
    send(
        counted,
        'CREATE TABLE "od""d" (owner int REFERENCES item ON DELETE CASCADE ON UPDATE CASCADE)',
        "SET pg_stat_statements.track = 'none'",
    )
    send(other, "SET pg_stat_statements.track = 'all'")
    send(
        other,
        'INSERT INTO "od""d" VALUES (3)',
        "UPDATE item SET id = -3 WHERE id = 3",
        "DELETE FROM item WHERE id = -3",
    )
    captured = statements.capture(counted)
    assert {query.statement.split()[0] for query in captured.queries} == {"INSERT", "UPDATE", "DELETE"}
    assert len(captured.queries) == 3
    assert captured.left_out["nested"] == 3


def test_numbers_follow_the_order_of_the_text(counted: Connection, database_url: str) -> None:
    """The server numbers constants after the parameters that it got: there is a $2 before a $1 then."""
    psycopg = pytest.importorskip("psycopg")
    url = make_url(database_url).set(drivername="postgresql").render_as_string()
    with psycopg.connect(url) as extended:
        extended.execute(
            "SELECT id FROM item WHERE code = 'c1' AND owner = %s AND made > date '2019-01-01' AND id <> %s", (1, 2)
        )
    captured = statements.capture(counted)
    (query,) = [each for each in captured.queries if "code" in each.statement]
    assert query.statement == "SELECT id FROM item WHERE code = $1 AND owner = $2 AND made > $3::date AND id <> $4"
    assert query.types == ("text", "smallint", "date", "smallint") or query.types == (
        "text",
        "integer",
        "date",
        "integer",
    )


@pytest.fixture(scope="module")
def spare_server(server: EmbeddedServer, data_dir: Path) -> Iterator[EmbeddedServer]:
    """A server whose configuration may be changed."""
    folder = data_dir / "spare"
    folder.mkdir(mode=0o755)
    own = EmbeddedServer(folder, server.programs)
    own.start()
    yield own
    own.reset()


def configured(server: EmbeddedServer, *settings: str) -> Target:
    """Change the server's configuration and start it anew."""
    connection = psycopg2.connect(server.url())
    connection.autocommit = True
    with connection.cursor() as cursor:
        for setting in settings:
            cursor.execute(f"ALTER SYSTEM {setting}")
    connection.close()
    server.stop()
    server.start()
    return Target(make_url(server.url()).set(drivername="postgresql+psycopg2"), "test")


def test_statements_that_were_evicted_within_the_interval(spare_server: EmbeddedServer) -> None:
    target = configured(spare_server, "SET pg_stat_statements.max = 100")

    def meanwhile(seconds: float) -> None:
        with connect(target) as other:
            send(other, *(f"SELECT {', '.join('1' * number)} AS wide FROM item" for number in range(1, 160)))
            send(other, *["SELECT a FROM item WHERE a = 1"] * 30)

    with connect(target) as connection:
        connection.exec_driver_sql("CREATE TABLE item (a int)")
        connection.commit()
        captured = statements.capture(connection, seconds=1, sleep=meanwhile)
        found = {query.statement: query.calls for query in captured.queries}
        assert found["SELECT a FROM item WHERE a = $1"] == 30
        assert len(found) < 120
        if server_version_num(connection) >= 140_000:
            assert captured.evictions is not None and captured.evictions >= 1
        else:
            assert captured.evictions is None


def test_texts_that_the_server_has_lost_are_counted(spare_server: EmbeddedServer) -> None:
    target = configured(spare_server, "RESET pg_stat_statements.max")
    texts = spare_server.data / "pg_stat_tmp" / "pgss_query_texts.stat"
    with connect(target) as connection, connect(target) as other:
        send(connection, f"{MARKER} SELECT pg_stat_statements_reset()")
        send(other, "SELECT 2 AS number")
        assert len(statements.capture(connection).queries) == 1
        texts.unlink()
        lost = statements.capture(connection)
        assert lost.queries == ()
        assert lost.left_out["lost"] >= 2

        send(other, "SELECT 2 AS number, 3 AS other")  # is written behind where the others were
        with pytest.raises(ServerError, match="pg_stat_statements_reset") as raised:
            statements.capture(connection)
        assert "\n" not in str(raised.value)
        send(connection, f"{MARKER} SELECT pg_stat_statements_reset()")


def test_a_server_that_has_not_loaded_the_extension(spare_server: EmbeddedServer) -> None:
    target = configured(spare_server, "SET shared_preload_libraries = 'auto_explain'")
    with (
        connect(target) as connection,
        pytest.raises(ServerError, match="shared_preload_libraries and restart") as raised,
    ):
        statements.capture(connection)
    assert raised.value.exit_code == 3
    assert "\n" not in str(raised.value)


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


@pytest.mark.parametrize("version", VERSIONS)
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


READ_AT = datetime(2026, 1, 31, 10, tzinfo=UTC)


def snap(reset: datetime | None = None, **entries: Entry) -> Snapshot:
    keyed = {(10, number, True): entry for number, entry in enumerate(entries.values())}
    return Snapshot(entries=keyed, hidden=0, evictions=0, reset=reset, read_at=READ_AT)


def entry(name: str, calls: int, total_ms: float, since: datetime | None = None) -> Entry:
    return Entry(query=name, calls=calls, total_ms=total_ms, since=since)


def added(before: Snapshot, after: Snapshot) -> dict[str | None, tuple[int, float]]:
    return {each.query: (each.calls, each.total_ms) for each in statements.added(before, after).values()}


def test_what_was_added_between_two_snapshots() -> None:
    before = snap(a=entry("a", 5, 10), b=entry("b", 5, 10), c=entry("c", 9, 10), d=entry("d", 5, 10))
    after = snap(a=entry("a", 7, 30), b=entry("b", 5, 10), c=entry("c", 2, 1), d=entry("d", 6, 4), e=entry("e", 1, 1))
    # c and d were evicted and came again, as a counter that went down tells; e is new
    assert added(before, after) == {"a": (2, 20), "c": (2, 1), "d": (6, 4), "e": (1, 1)}


def test_after_a_reset_all_counts_are_new() -> None:
    before = snap(a=entry("a", 5, 10))
    after = snap(READ_AT, a=entry("a", 7, 30))
    assert added(before, after) == {"a": (7, 30)}


def test_where_nobody_tells_of_a_reset_it_shows_by_what_is_gone() -> None:
    before = snap(a=entry("a", 5, 10), b=entry("b", 5, 10), c=entry("c", 5, 10))
    after = snap(a=entry("a", 7, 30))
    assert added(before, after) == {"a": (7, 30)}
    one_is_gone = snap(a=entry("a", 7, 30), b=entry("b", 6, 11))
    assert added(before, one_is_gone) == {"a": (2, 20), "b": (1, 1)}


def test_an_entry_that_tells_since_when_it_counts_is_new_if_that_is_later() -> None:
    before = snap(a=entry("a", 5, 10, READ_AT))
    after = snap(a=entry("a", 7, 30, READ_AT + timedelta(seconds=1)))
    assert added(before, after) == {"a": (7, 30)}


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

"""Asking a real server for plans: what is run, what is only planned, and that nothing is ever written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url

from dbtune.errors import ServerError
from dbtune.plan.explain import Explained, Options, Status, choose_set, explain
from dbtune.server.connection import Target, connect, server_version_num
from dbtune.workload.query import ParameterSet, Query

WRITES = [
    "INSERT INTO item SELECT g, 0, '' FROM generate_series(1000000, 1000010) AS g",
    "UPDATE item SET owner = 1 WHERE id < 100",
    "DELETE FROM item WHERE id < 100",
    "WITH gone AS (DELETE FROM item WHERE id < 50 RETURNING *) SELECT count(*) FROM gone",
    "SELECT * FROM item WHERE id = 1 FOR UPDATE",
]
ACTS = [
    "SELECT nextval('item_number')",
    "SELECT pg_advisory_lock(42)",
    "SELECT setval('item_number', 99)",
    "SELECT sneaky()",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
]


@pytest.fixture
def items(db: Connection) -> Connection:
    """A connection to a database with a table of 2,000 rows, a sequence, and a function that writes."""
    db.exec_driver_sql("CREATE TABLE item (id int PRIMARY KEY, owner int, code text)")
    db.exec_driver_sql("INSERT INTO item SELECT g, mod(g, 20), 'code ' || g FROM generate_series(1, 2000) AS g")
    db.exec_driver_sql("CREATE SEQUENCE item_number")
    db.exec_driver_sql(
        "CREATE FUNCTION sneaky() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM item; RETURN 1; END $$"
    )
    db.exec_driver_sql("ANALYZE item")
    db.commit()
    return db


@pytest.fixture
def reader(items: Connection, database_url: str) -> Iterator[Connection]:
    """The same database as a role that may only SELECT."""
    items.exec_driver_sql("DROP ROLE IF EXISTS only_reads")
    items.exec_driver_sql("CREATE ROLE only_reads LOGIN")
    items.exec_driver_sql("GRANT SELECT ON item TO only_reads")
    items.commit()
    with connect(Target(make_url(database_url).set(username="only_reads"), "test")) as opened:
        yield opened
    items.rollback()
    items.exec_driver_sql("DROP OWNED BY only_reads")
    items.exec_driver_sql("DROP ROLE only_reads")
    items.commit()


def query(statement: str, *values: str | None, types: tuple[str, ...] = (), path: Path | None = None) -> Query:
    sets = (ParameterSet(name="one", values=values),) if values else ()
    return Query(name="q", statement=statement, sets=sets, types=types, path=path)


def run(connection: Connection, asked: Query, **options: bool | int) -> Explained:
    return explain(connection, asked, choose_set(asked), Options(**options))  # type: ignore[arg-type]


def contents(connection: Connection) -> tuple[object, ...]:
    """Return what any write would change: rows, the statistics' counters, the sequence."""
    connection.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
    rows = connection.exec_driver_sql("SELECT count(*), sum(owner), max(id) FROM item").one()
    counters = connection.exec_driver_sql(
        "SELECT n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables WHERE relname = 'item'"
    ).one()
    number = connection.exec_driver_sql("SELECT last_value, is_called FROM item_number").one()
    connection.rollback()
    return (*rows, *counters, *number)


def test_a_query_is_measured_with_its_values(items: Connection) -> None:
    explained = run(items, query("SELECT * FROM item WHERE owner = $1", "7", types=("integer",)))
    assert explained.status is Status.MEASURED
    assert explained.parameter_set == "one"
    assert explained.plan is not None
    assert explained.plan.root.rows_per_loop == 100
    assert explained.plan.root.raw["Rows Removed by Filter"] == 1900
    assert explained.plan.root.buffers is not None


def test_types_are_the_servers_where_the_file_has_none(items: Connection) -> None:
    explained = run(items, query("SELECT * FROM item WHERE id = $1 AND code = $2", "7", "code 7"))
    assert explained.plan is not None
    assert explained.plan.root.rows_per_loop == 1


def test_values_are_data_whatever_they_hold(items: Connection) -> None:
    explained = run(items, query("SELECT * FROM item WHERE code = $1", "'; DROP TABLE item; -- $1 %s :x \\"))
    assert explained.status is Status.MEASURED
    assert contents(items)[0] == 2000


def test_null_is_null(items: Connection) -> None:
    explained = run(items, query("SELECT * FROM item WHERE coalesce($1, 'x') = 'x'", None, types=("text",)))
    assert explained.plan is not None
    assert explained.plan.root.rows_per_loop == 2000


@pytest.mark.parametrize("statement", WRITES)
def test_what_would_write_or_lock_is_only_planned(items: Connection, statement: str) -> None:
    before = contents(items)
    explained = run(items, query(statement))
    assert explained.status is Status.PLANNED
    assert explained.plan is not None
    assert explained.reason is not None and "--write-ok" in explained.reason
    assert contents(items) == before


@pytest.mark.parametrize("statement", ACTS)
def test_what_acts_on_the_server_does_not(items: Connection, statement: str) -> None:
    before = contents(items)
    explained = run(items, query(statement))
    assert explained.status is not Status.MEASURED
    assert contents(items) == before
    locks = items.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").scalar()
    assert locks == 0


@pytest.mark.parametrize("statement", [*WRITES[:4], "SELECT * FROM item WHERE owner = 3", "SELECT count(*) FROM item"])
def test_a_role_that_may_only_select_leaves_no_trace(items: Connection, reader: Connection, statement: str) -> None:
    before = contents(items)
    explained = run(reader, query(statement))
    if statement.startswith("SELECT"):
        assert explained.status is Status.MEASURED
    else:
        assert explained.status is Status.SKIPPED
        assert explained.reason == "permission denied for table item"
    assert contents(items) == before


def test_write_ok_runs_and_rolls_back(items: Connection) -> None:
    rows = contents(items)[:3]
    explained = run(items, query("DELETE FROM item WHERE owner = 3"), write_ok=True)
    assert explained.status is Status.MEASURED
    assert explained.plan is not None
    assert explained.plan.root.raw["Operation"] == "Delete"
    assert contents(items)[:3] == rows


def test_a_change_is_measured_on_the_rows_that_are_there(items: Connection) -> None:
    explained = run(items, query("DELETE FROM item WHERE owner = 3"), write_ok=True)
    assert explained.plan is not None
    assert explained.plan.nodes[1].rows_per_loop == 100  # and not the 0 that a warm-up would leave


def test_broken_json_of_the_server_is_read_all_the_same(items: Connection) -> None:
    if server_version_num(items) < 150_000:
        pytest.skip("MERGE came with 15")
    items.exec_driver_sql("CREATE TABLE part (id int, v int) PARTITION BY RANGE (id)")
    items.exec_driver_sql("CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100)")
    items.exec_driver_sql("CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200)")
    items.exec_driver_sql("INSERT INTO part SELECT g, g FROM generate_series(1, 150) AS g")
    items.commit()
    merge = (
        "MERGE INTO part USING item ON part.id = item.id WHEN MATCHED THEN UPDATE SET v = item.owner "
        "WHEN NOT MATCHED AND item.id < 100 THEN INSERT VALUES (item.id, 1)"
    )
    explained = run(items, query(merge), write_ok=True)
    assert explained.status is Status.MEASURED
    assert explained.plan is not None
    assert explained.plan.root.raw["Operation"] == "Merge"


def test_planning_is_timed_also_without_parameters(items: Connection) -> None:
    parts = " UNION ALL ".join(f"SELECT count(*) FROM item WHERE owner = {n}" for n in range(60))
    explained = run(items, query(parts))
    assert explained.plan is not None
    assert (explained.plan.planning_ms or 0) > 0.1


def test_two_statements_in_one_text_are_refused_by_the_server(items: Connection) -> None:
    explained = run(items, query("SELECT 1; DELETE FROM item"))
    assert explained.status is Status.SKIPPED
    assert contents(items)[0] == 2000


def test_without_values_the_generic_plan_is_told(items: Connection) -> None:
    explained = run(items, query("SELECT * FROM item WHERE owner = $1 AND code LIKE $2"))
    assert explained.status is Status.PLANNED
    assert explained.parameter_set == "generic"
    assert explained.plan is not None
    assert "$1" in (explained.plan.root.filter or "")


def test_a_statement_that_takes_too_long_keeps_its_plan(items: Connection) -> None:
    explained = run(items, query("SELECT pg_sleep(20)"), statement_timeout_ms=100)
    assert explained.status is Status.PLANNED
    assert explained.timed_out
    assert explained.reason == "took longer than 0.1 s (--timeout)"
    assert run(items, query("SELECT 1")).status is Status.MEASURED


def test_a_locked_table_is_not_waited_for(items: Connection, database_url: str) -> None:
    with connect(Target(make_url(database_url), "test")) as other:
        other.exec_driver_sql("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
        explained = run(items, query("SELECT * FROM item"), lock_timeout_ms=50)
        assert explained.status is Status.SKIPPED
        assert explained.timed_out
        assert "lock" in (explained.reason or "")


@pytest.mark.parametrize(
    ("asked", "line", "said"),
    [
        (("SELECT *\nFROM item\nWHER id = 1",), 12, 'syntax error at or near "id"'),
        (("SELECT *\n  FROM item\n WHERE\n nothing = 1",), 13, 'column "nothing" does not exist'),
        (("SELECT * FROM item WHERE id = $1", "seven"), 10, "invalid input syntax for type integer"),
        (("SELECT * FROM nowhere",), 10, 'relation "nowhere" does not exist'),
    ],
)
def test_the_file_and_line_at_fault_are_named(items: Connection, asked: tuple[str, ...], line: int, said: str) -> None:
    path = Path("queries/q.sql")
    sets = (ParameterSet(name="one", values=asked[1:]),) if asked[1:] else ()
    explained = run(items, Query(name="q", statement=asked[0], sets=sets, path=path, line=10))
    assert explained.status is Status.SKIPPED
    assert explained.fault is not None
    assert (explained.fault.path, explained.fault.line) == (path, line)
    assert said in explained.fault.reason


def test_a_lost_connection_ends_it(items: Connection, database_url: str) -> None:
    pid = items.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    items.rollback()
    with connect(Target(make_url(database_url), "test")) as other:
        other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
    with pytest.raises(ServerError, match="connection was lost during q"):
        run(items, query("SELECT 1"))


def test_planner_facts_of_each_version_are_asked_for(items: Connection) -> None:
    explained = run(items, query("SELECT * FROM item ORDER BY code"))
    assert explained.plan is not None
    assert "Planning Time" in explained.plan.raw
    assert ("Serialization" in explained.plan.raw) == (server_version_num(items) >= 170_000)
    assert explained.plan.root.raw.get("Output")


def test_nothing_stays_prepared(items: Connection) -> None:
    run(items, query("SELECT * FROM item WHERE id = $1", "1"))
    run(items, query("SELECT * FROM nowhere"))
    assert items.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar() == 0


def test_the_other_driver_does_the_same(items: Connection, database_url: str) -> None:
    pytest.importorskip("psycopg")
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    with connect(Target(url, "test")) as opened:
        explained = run(opened, query("SELECT * FROM item WHERE owner = $1", "7"))
        assert explained.plan is not None
        assert explained.plan.root.rows_per_loop == 100
        assert run(opened, query("DELETE FROM item WHERE id = $1", "7")).status is Status.PLANNED
        assert run(opened, query("SELECT * FROM nowhere")).fault is None
        assert run(opened, query("SELECT count(*) FROM item")).status is Status.MEASURED

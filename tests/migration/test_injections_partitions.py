"""Partitioned tables: cut at any partition, partitions that come, go or are foreign, names taken, load meanwhile."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import psycopg2
import pytest
from alembic.util import CommandError
from sqlalchemy import Connection

from dbtune.errors import Unsafe
from dbtune.workload import lexer
from tests.migration.conftest import Host, Run, session, version, wait_for
from tests.migration.faults import ADVISORY, CLIENTS, START, builds, end, noted, polls, upgrade, upgrading

PARTITIONED = """
CREATE TABLE shop.log (at date, kind text, n int) PARTITION BY RANGE (at);
CREATE TABLE shop.log_1 PARTITION OF shop.log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop."log 2" PARTITION OF shop.log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')
    PARTITION BY LIST (kind);
CREATE TABLE shop.log_2a PARTITION OF shop."log 2" FOR VALUES IN ('a');
CREATE TABLE shop.log_2b PARTITION OF shop."log 2" FOR VALUES IN ('b');
INSERT INTO shop.log SELECT date '2024-05-01' + g, CASE WHEN mod(g, 2) = 0 THEN 'a' ELSE 'b' END, g
  FROM generate_series(1, 400) AS g;
CREATE INDEX log_1_old ON shop.log_1 (kind);
"""
STATEMENT = "CREATE INDEX log_n_idx ON shop.log (n)"
UNIQUE = "CREATE UNIQUE INDEX log_n_idx ON shop.log (n, at, kind)"
CONSTRAINT = "ALTER TABLE shop.log ADD CONSTRAINT log_n_idx UNIQUE (n, at, kind)"
MORE = "CREATE TABLE shop.log_3 PARTITION OF shop.log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
WHOLE = {"shop.log", "shop.log_1", 'shop."log 2"', "shop.log_2a", "shop.log_2b"}


def tree(run: Run) -> dict[str, bool]:
    """The tables that have a part of log_n_idx, and whether it is valid."""
    rows = run(
        "SELECT i.indrelid::regclass::text, i.indisvalid FROM pg_partition_tree('shop.log_n_idx') AS t"
        " JOIN pg_index AS i ON i.indexrelid = t.relid"
    )
    return dict(rows)


def parts(run: Run) -> list[tuple[str, str, bool]]:
    """All indexes of the table and its partitions: table, name, whether valid."""
    return sorted(
        run(
            "SELECT indrelid::regclass::text, indexrelid::regclass::text, indisvalid FROM pg_index"
            " WHERE indrelid::regclass::text LIKE 'shop.%log%'"
        )
    )


def whole(host: Host, run: Run, revision: str, tables: set[str] = WHOLE, client: str = "alembic") -> None:
    """Run it again and look: one index a table and the old one, all valid, noted, no lock left."""
    upgrade(host, client)
    assert tree(run) == dict.fromkeys(tables, True)
    assert len(parts(run)) == len(tables) + 1
    assert all(valid for _, _, valid in parts(run))
    assert noted(run) == revision
    assert run(ADVISORY) == []


@contextmanager
def writer_of(url: str, leaf: str) -> Iterator[Run]:
    """A transaction that has the lock of one that writes into a partition, and none on the tables above it."""
    with session(url) as writer:
        writer(f"BEGIN; LOCK TABLE {leaf} IN ROW EXCLUSIVE MODE")
        yield writer


def waits_on(run: Run, leaf: str) -> bool:
    """Whether a build of the partition waits for somebody."""
    return bool(
        run(
            "SELECT 1 FROM pg_stat_progress_create_index AS p JOIN pg_stat_activity AS a USING (pid)"
            f" WHERE p.relid = '{leaf}'::regclass AND a.wait_event_type = 'Lock'"
        )
    )


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("leaf", ["shop.log_1", "shop.log_2b"])
def test_a_client_killed_while_a_partition_s_index_is_built(
    host: Host, run: Run, db: Connection, leaf: str, client: str
) -> None:
    run(PARTITIONED)
    (written,) = host.new(STATEMENT, db)
    with ThreadPoolExecutor(1) as pool, writer_of(host.url, leaf) as writer:
        with upgrading(host, client) as process:
            wait_for(lambda: waits_on(run, leaf))
            process.kill()
            assert end(process)[0] == -signal.SIGKILL
        assert builds(run)
        assert (tree(run)["shop.log"], noted(run)) == (False, None)
        built = {name for _, name, valid in parts(run)}
        again = pool.submit(upgrade, host, client)
        wait_for(lambda: polls(run) or again.done())
        writer("ROLLBACK")
        again.result(60)
    assert built <= {name for _, name, _ in parts(run)}
    whole(host, run, written.revision)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("leaf", ["shop.log_1", "shop.log_2b"])
def test_a_client_killed_before_an_index_is_attached(
    host: Host, run: Run, db: Connection, leaf: str, client: str
) -> None:
    run(PARTITIONED)
    (written,) = host.new(STATEMENT, db)
    with session(host.url) as holder:
        with writer_of(host.url, leaf) as writer, upgrading(host, client) as process:
            wait_for(lambda: waits_on(run, leaf))
            holder("BEGIN")
            for (name,) in run("SELECT oid::regclass FROM pg_class WHERE relkind = 'I'"):
                holder(f"COMMENT ON INDEX {name} IS 'a lock that attaching waits for'")
            writer("ROLLBACK")
            wait_for(
                lambda: bool(run("SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'ShareUpdateExclusiveLock'"))
            )
            process.kill()
            end(process)
        built = parts(run)
        assert leaf not in tree(run)
        assert {valid for table, _, valid in built if table == leaf} == {True}
        assert noted(run) is None
        holder("ROLLBACK")
    whole(host, run, written.revision, client=client)
    assert {name for _, name, _ in built} <= {name for _, name, _ in parts(run)}


@pytest.mark.parametrize("client", CLIENTS)
def test_an_invalid_index_of_a_partition_is_built_anew(host: Host, run: Run, db: Connection, client: str) -> None:
    run(PARTITIONED)
    (written,) = host.new(STATEMENT, db)
    with ThreadPoolExecutor(1) as pool, writer_of(host.url, "shop.log_2a"):
        first = pool.submit(upgrade, host)
        wait_for(lambda: waits_on(run, "shop.log_2a"))
        run("SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index WHERE datname = current_database()")
        assert "canceling statement" in str(first.exception(60))
    assert [table for table, _, valid in parts(run) if not valid] == ['shop."log 2"', "shop.log", "shop.log_2a"]
    assert noted(run) is None
    whole(host, run, written.revision, client=client)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_unique_index_that_fails_in_a_partition_rejects_no_writes(
    host: Host, run: Run, db: Connection, client: str
) -> None:
    run(PARTITIONED)
    (written,) = host.new(UNIQUE, db)
    with ThreadPoolExecutor(1) as pool, session(host.url) as writer:
        writer("BEGIN; INSERT INTO shop.log_2a SELECT * FROM shop.log_2a LIMIT 1")  # a duplicate that nobody sees yet
        first = pool.submit(upgrade, host, client)
        wait_for(lambda: waits_on(run, "shop.log_2a"))
        writer("COMMIT")
        assert "could not create unique index" in str(first.exception(60))
    assert [table for table, _, valid in parts(run) if not valid] == ['shop."log 2"', "shop.log"]
    run("INSERT INTO shop.log_2a SELECT * FROM shop.log_2a LIMIT 1")
    with pytest.raises(Exception, match="not unique are"):
        upgrade(host, client)
    run("DELETE FROM shop.log_2a AS a USING shop.log_2a AS b WHERE a.n = b.n AND a.ctid > b.ctid")
    whole(host, run, written.revision, client=client)


@pytest.mark.parametrize("how", ["made", "attached"])
def test_a_partition_that_is_added_meanwhile_gets_its_index(host: Host, run: Run, db: Connection, how: str) -> None:
    run(PARTITIONED)
    (written,) = host.new(STATEMENT, db)
    with writer_of(host.url, "shop.log_1") as writer, upgrading(host) as process:
        wait_for(lambda: waits_on(run, "shop.log_1"))
        if how == "made":
            run(MORE)
        else:
            run("CREATE TABLE shop.log_3 AS SELECT DATE '2026-01-01' AS at, 'a' AS kind, 1 AS n")
            run("ALTER TABLE shop.log ATTACH PARTITION shop.log_3 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')")
        writer("ROLLBACK")
        code, said = end(process)
    assert code == 0, said
    whole(host, run, written.revision, {*WHOLE, "shop.log_3"})


@pytest.mark.parametrize("how", ["DROP TABLE shop.log_2b", 'ALTER TABLE shop."log 2" DETACH PARTITION shop.log_2b'])
def test_a_partition_that_goes_meanwhile_is_no_part_of_the_next_run(
    host: Host, run: Run, db: Connection, how: str
) -> None:
    run(PARTITIONED)
    (written,) = host.new(STATEMENT, db)
    with writer_of(host.url, "shop.log_1") as writer, upgrading(host) as process:
        wait_for(lambda: waits_on(run, "shop.log_1"))
        run(how)
        writer("ROLLBACK")
        code, said = end(process)
    assert (code, "log_2b" in said) == (1, True), said
    assert noted(run) is None
    run("DROP TABLE IF EXISTS shop.log_2b")
    whole(host, run, written.revision, WHOLE - {"shop.log_2b"})


@pytest.mark.parametrize("client", CLIENTS)
def test_a_foreign_partition_is_refused_before_anything_is_done(
    host: Host, run: Run, db: Connection, client: str
) -> None:
    run(PARTITIONED)
    (written,) = host.new(STATEMENT, db)
    run("CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw")
    run(MORE.replace("TABLE", "FOREIGN TABLE") + " SERVER far")
    before = parts(run)
    with pytest.raises(Unsafe, match=r"foreign table shop\.log_3"):
        host.new(STATEMENT, db, keep=False)
    with pytest.raises((CommandError, Unsafe), match=r"partition shop\.log_3 .*foreign table: .*never be valid"):
        upgrade(host, client)
    assert (parts(run), noted(run)) == (before, None)
    run("DROP FOREIGN TABLE shop.log_3")
    whole(host, run, written.revision, client=client)


@pytest.mark.parametrize("kind", ["table", "index", "constraint"])
def test_a_name_that_is_taken_in_a_partition_s_schema(host: Host, run: Run, db: Connection, kind: str) -> None:
    run(PARTITIONED)
    (written,) = host.new(STATEMENT, db)
    upgrade(host)
    ((name,),) = run(
        "SELECT indexrelid::regclass FROM pg_partition_tree('shop.log_n_idx') JOIN pg_index ON indexrelid = relid"
        " WHERE indrelid = 'shop.log_2a'::regclass"
    )
    host.alembic("downgrade", "base")
    bare = name.removeprefix("shop.")
    taken = {
        "table": f"CREATE TABLE {name} (a int)",
        "index": f"CREATE INDEX {bare} ON shop.log_2a (kind)",
        "constraint": f"ALTER TABLE shop.log_2a ADD CONSTRAINT {bare} UNIQUE (n)",
    }
    run(taken[kind])
    with pytest.raises(CommandError, match="left alone"):
        upgrade(host)
    assert run(f"SELECT to_regclass('{name}')") == [(name,)]
    assert noted(run) is None
    run(
        {
            "table": f"DROP TABLE {name}",
            "index": f"DROP INDEX {name}",
            "constraint": f"ALTER TABLE shop.log_2a DROP CONSTRAINT {bare}",
        }[kind]
    )
    whole(host, run, written.revision)


def test_a_downgrade_while_others_read_and_write(host: Host, run: Run, db: Connection) -> None:
    run(PARTITIONED)
    (written,) = host.new(STATEMENT, db)
    upgrade(host)
    errors: list[Exception] = []
    over = threading.Event()
    counts = {"parent": 0, "leaf": 0}

    def load(kind: str) -> None:
        with session(host.url) as own:
            while not over.is_set():
                try:
                    if kind == "parent":
                        own("BEGIN; INSERT INTO shop.log VALUES ('2025-06-01', 'a', 1); SELECT count(*) FROM shop.log")
                    else:  # the other way round
                        own("BEGIN; UPDATE shop.log_1 SET n = n WHERE n = 5")
                        own("SELECT count(*) FROM shop.log WHERE n = 5")
                    own("COMMIT")
                    counts[kind] += 1
                    over.wait(0.02 * random.random())
                except psycopg2.Error as error:
                    errors.append(error)
                    own("ROLLBACK")

    threads = [threading.Thread(target=load, args=(kind,)) for kind in ("parent", "leaf", "parent", "leaf")]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            counts.update(parent=0, leaf=0)
            wait_for(lambda: min(counts.values()) > 10)
            host.alembic("downgrade", "base")
            assert version(run) is None
            assert len(parts(run)) == 1
            upgrade(host)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert errors == []
    whole(host, run, written.revision)


def test_a_downgrade_never_costs_a_transaction_that_has_a_partition_and_wants_the_table(
    host: Host, run: Run, db: Connection
) -> None:
    run(PARTITIONED)
    host.new(STATEMENT, db)
    upgrade(host)
    with ExitStack() as stack:
        first, own = (stack.enter_context(writer_of(host.url, leaf)) for leaf in ("shop.log_1", "shop.log_2a"))
        process = stack.enter_context(upgrading(host, "downgrade"))
        wait_for(lambda: bool(run("SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'")))
        # Who waits for the table would look for a deadlock before the downgrade does, which waits for the first
        # partition until now, and find it.
        release = threading.Timer(0.7, first, ("ROLLBACK",))
        release.start()
        assert own("SELECT count(*) FROM shop.log WHERE at > '2026-01-01'") == [(0,)]
        own("COMMIT")
        release.join()
        code, said = end(process)
    assert code == 0, said
    assert len(parts(run)) == 1
    assert version(run) is None


def constraints(run: Run) -> list[str]:
    """The tables that have a unique constraint which is the one of shop.log or a part of it."""
    return sorted(
        table
        for (table,) in run(
            "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'u'"
            " AND conindid IN (SELECT relid FROM pg_partition_tree('shop.log_n_idx'))"
        )
    )


def test_a_unique_constraint_is_added_and_dropped_with_all_partitions(host: Host, run: Run, db: Connection) -> None:
    run(PARTITIONED)
    (written,) = host.new(CONSTRAINT, db)
    run(MORE)
    for _ in range(2):
        whole(host, run, written.revision, {*WHOLE, "shop.log_3"})
        assert constraints(run) == sorted({*WHOLE, "shop.log_3"})
        with pytest.raises(psycopg2.errors.UniqueViolation):
            run("INSERT INTO shop.log SELECT * FROM shop.log LIMIT 1")
        host.alembic("downgrade", "base")
        assert len(parts(run)) == 1
        assert run("SELECT 1 FROM pg_constraint WHERE contype = 'u' AND connamespace = 'shop'::regnamespace") == []


def test_a_unique_constraint_cut_after_any_statement(host: Host, run: Run, db: Connection) -> None:
    run(PARTITIONED)
    (host.folder / "alembic" / "versions" / "start.py").write_text(START)
    (written,) = host.new(CONSTRAINT, db)
    host.alembic("upgrade", "start")
    statements = lexer.statements(host.alembic("upgrade", "start:head", sql=True))
    first = next(number for number, sql in enumerate(statements) if "ADD CONSTRAINT" in sql)
    for cut in range(first, len(statements)):
        with session(host.url) as own:
            for sql in statements[:cut]:
                own(sql)
        whole(host, run, written.revision)
        assert constraints(run) == sorted(WHOLE)
        host.alembic("downgrade", "start")
        assert len(parts(run)) == 1


def test_a_unique_constraint_that_rows_stand_against_rejects_no_writes(host: Host, run: Run, db: Connection) -> None:
    run(PARTITIONED)
    (written,) = host.new(CONSTRAINT, db)
    run("INSERT INTO shop.log_2b SELECT * FROM shop.log_2b LIMIT 1")
    with pytest.raises(CommandError, match="not unique are"):
        upgrade(host)
    assert {table for table, _, valid in parts(run) if not valid} == {'shop."log 2"', "shop.log"}
    run("INSERT INTO shop.log_2b SELECT * FROM shop.log_2b LIMIT 1")
    run("DELETE FROM shop.log_2b AS a USING shop.log_2b AS b WHERE a.n = b.n AND a.ctid > b.ctid")
    whole(host, run, written.revision)


@pytest.mark.parametrize("foreign", ["ADD CONSTRAINT log_n_idx UNIQUE (at, kind)", "index"])
def test_a_constraint_or_index_of_somebody_else_s_is_left_alone(
    host: Host, run: Run, db: Connection, foreign: str
) -> None:
    run(PARTITIONED)
    run("DELETE FROM shop.log")
    host.new(CONSTRAINT, db)
    run(f"ALTER TABLE shop.log {foreign}" if foreign != "index" else UNIQUE)
    before = parts(run)
    with pytest.raises(CommandError, match="left alone"):
        upgrade(host)
    assert (parts(run), noted(run)) == (before, None)

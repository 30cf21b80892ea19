"""dbtune migrate status on a real server."""

from __future__ import annotations

import json
import subprocess
import threading

import psycopg2
import pytest
from sqlalchemy import make_url

from dbtune.migration import status
from dbtune.server.connection import Target, connect
from tests.command import dbtune
from tests.migration.conftest import Run, session, wait_for


def read(url: str) -> status.Status:
    with connect(Target(make_url(url), "test")) as connection:
        return status.read(connection)


def command(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return dbtune("migrate", "status", "--url", url, *arguments)


def test_nothing_there(run: Run, database_url: str) -> None:
    assert read(database_url) == status.Status((), (), (), (), ())
    assert command(database_url).stdout == "Builds running\n  none\n\nINVALID or left over\n  none\n"


def test_a_build_waits_for_a_writer(run: Run, database_url: str) -> None:
    run("DROP ROLE IF EXISTS status_visitor; CREATE ROLE status_visitor LOGIN")
    with session(database_url) as writer, session(database_url) as builder:
        writer("BEGIN; UPDATE shop.item SET note = 'y' WHERE id = 1")
        pid = writer("SELECT pg_backend_pid()")[0][0]
        thread = threading.Thread(target=builder, args=("CREATE INDEX CONCURRENTLY slow ON shop.item (owner)",))
        thread.start()
        try:
            wait_for(lambda: bool(run("SELECT 1 FROM pg_stat_progress_create_index WHERE current_locker_pid > 0")))
            found = read(database_url)
            done = command(database_url)
            foreign = read(make_url(database_url).set(username="status_visitor").render_as_string(False))
        finally:
            writer("ROLLBACK")
            thread.join()
    (build,) = found.builds
    assert (build.table, build.index, build.percent) == ("shop.item", "shop.slow", None)
    assert build.waiting is not None
    assert (build.waiting.pid, build.waiting.state) == (pid, "idle in transaction")
    assert not found.broken
    assert done.returncode == 0, done.stderr
    assert f"waiting for pid {pid} (idle in transaction, " in done.stdout
    assert foreign.builds == (status.Build(build.pid),)
    assert not foreign.broken
    run("DROP ROLE status_visitor")


def test_leftovers_and_how_they_are_mended(run: Run, database_url: str) -> None:
    for name in ('"Odd ""name"', "a_ccnew", "ours", "dbtune_drop_1"):
        with pytest.raises(psycopg2.errors.UniqueViolation):
            run(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON shop.item (owner)")
    run("COMMENT ON INDEX shop.ours IS 'dbtune abc 123'")
    run('UPDATE pg_index SET indisready = true WHERE indexrelid = \'shop."Odd ""name"\'::regclass')
    found = {each.index: each for each in read(database_url).broken}
    assert found["shop.a_ccnew"].costs == ()
    odd = found['shop."Odd ""name"']
    assert odd.mend == 'DROP INDEX CONCURRENTLY shop."Odd ""name";'
    assert odd.costs == ("every write maintains it", "rejects duplicate writes")
    assert found["shop.a_ccnew"].mend == "DROP INDEX CONCURRENTLY shop.a_ccnew;"
    assert (found["shop.ours"].ours, found["shop.ours"].mend) == (True, "run the upgrade again")
    assert found["shop.dbtune_drop_1"].mend == "run the upgrade or downgrade again"
    done = command(database_url, "--format", "json")
    assert done.returncode == 1, done.stderr
    shown = json.loads(done.stdout)
    assert shown["schema_version"] == 1
    assert len(shown["broken"]) == 4
    run(odd.mend)
    assert len(read(database_url).broken) == 3


def test_marks_partitions_and_versions(run: Run, database_url: str) -> None:
    run("CREATE INDEX made ON shop.item (owner); COMMENT ON INDEX shop.made IS 'dbtune abc 123'")
    run("CREATE TABLE shop.whole (id int) PARTITION BY LIST (id)")
    run("CREATE TABLE shop.part PARTITION OF shop.whole FOR VALUES IN (1)")
    run("CREATE INDEX whole_id ON ONLY shop.whole (id)")
    for schema in ("public", "shop"):
        run(f"CREATE TABLE {schema}.alembic_version AS SELECT 'a'::text AS version_num")
    found = read(database_url)
    assert found.made == (status.Made("shop.made", "shop.item", "abc"),)
    assert found.partitioned == (status.Partitioned("shop.whole_id", "shop.whole", ("shop.part",)),)
    assert found.versions == tuple(status.Version(f"{s}.alembic_version", ("a",)) for s in ("public", "shop"))
    assert command(database_url, "--format", "markdown").returncode == 0

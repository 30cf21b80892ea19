"""``dbtune migrate plan`` on servers of other kinds: with prepared transactions, standbys, slots, poolers, old rows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg2
import pytest
from pytest_postgresql.janitor import DatabaseJanitor
from sqlalchemy import make_url
from typer.testing import CliRunner

from dbtune.cli import app
from dbtune.migration.preflight import plan as preflight
from dbtune.migration.preflight.blocker import Kind
from dbtune.migration.preflight.disk import Holds
from dbtune.migration.preflight.finding import Level, Outcome
from dbtune.migration.preflight.plan import Plan
from dbtune.migration.preflight.server import Pooler
from dbtune.migration.project import Project
from dbtune.migration.replica import Limit
from dbtune.server import binaries
from dbtune.server.embedded import EmbeddedServer
from tests.migration.conftest import SHOP, Host, Run, make_host, session, wait_for
from tests.migration.standby import NAME, SLOT, pair
from tests.migration.test_apply_refuses import pgbouncer

INDEX = "item_owner_idx"
STATEMENT = f"CREATE INDEX {INDEX} ON shop.item (owner)"


def plan(host: Host, url: str | None = None, limit: Limit | None = None) -> Plan:
    return preflight.read(Project(host.ini), "head", url, limit=limit, min_seconds=0)


def rules(found: Plan, level: Level = Level.WARN) -> list[str]:
    return [each.rule for each in found.findings if each.level >= level]


def test_prepared_transactions_that_wrote_the_table(own_host: Host) -> None:
    own_host.new(STATEMENT)
    with session(own_host.url) as run:
        run("CREATE TABLE shop.other (id int)")
        run("BEGIN; UPDATE shop.item SET name = name WHERE id = 1; PREPARE TRANSACTION 'it''s'")
        run("BEGIN; INSERT INTO shop.other VALUES (1); PREPARE TRANSACTION 'elsewhere'")
        try:
            found = plan(own_host)
        finally:
            run("ROLLBACK PREPARED 'it''s'")
            run("ROLLBACK PREPARED 'elsewhere'")
    (blocker,) = found.blockers
    assert (blocker.kind, blocker.gid, blocker.pid, blocker.role) == (Kind.PREPARED, "it's", None, "dbtune")
    assert found.verdict.outcome is Outcome.WAIT
    (finding,) = found.findings
    assert "ROLLBACK PREPARED 'it''s';" in str(finding.advice)
    assert plan(own_host).verdict.outcome is Outcome.READY


OLD = """
INSERT INTO shop.item (id, name) SELECT g, md5(g::text) FROM generate_series(1000, 40000) AS g;
ALTER TABLE shop.item SET (autovacuum_freeze_max_age = 100000);
ALTER TABLE shop.item SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
CREATE TABLE shop.burnt (x int);
DO $$ BEGIN
    FOR i IN 1..100100 LOOP
        BEGIN INSERT INTO shop.burnt VALUES (1); EXCEPTION WHEN division_by_zero THEN NULL; END;
    END LOOP;
END $$
"""
VACUUMED = (
    "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE relation = 'shop.item'::regclass"
    " AND backend_type = 'autovacuum worker' AND query LIKE '%wraparound)'"
)


def test_an_autovacuum_that_does_not_give_way(data_dir: Path, pytestconfig: pytest.Config) -> None:
    bindir = pytestconfig.getoption("--pg-bindir")
    server = EmbeddedServer(data_dir / "old", binaries.at(bindir.absolute()) if bindir else None)
    server.start()
    try:
        host = make_host(data_dir / "old" / "host", server.url().replace("postgresql://", "postgresql+psycopg2://"))
        host.new(STATEMENT)
        with session(host.url) as run:
            run("ALTER SYSTEM SET autovacuum_naptime = '1s'")
            run(SHOP)
            run(OLD)
        due = plan(host)
        server.stop()
        server.start()  # a launcher that sleeps does not heed a shorter nap
        with session(host.url) as run:
            wait_for(lambda: bool(run(VACUUMED)), 60)
            found = plan(host)
    finally:
        server.reset()
    assert (due.verdict.outcome, rules(due)) == (Outcome.READY, ["freeze"])
    assert (found.verdict.outcome, rules(found)) == (Outcome.WAIT, ["blocked-by-wraparound-autovacuum"])
    assert [each.kind for each in found.blockers] == [Kind.WRAPAROUND]


@pytest.fixture(scope="module")
def servers(data_dir: Path, pytestconfig: pytest.Config) -> Iterator[tuple[EmbeddedServer, EmbeddedServer]]:
    bindir = pytestconfig.getoption("--pg-bindir")
    with pair(data_dir / "planned", binaries.at(bindir.absolute()) if bindir else None) as started:
        yield started


@pytest.fixture
def primary(servers: tuple[EmbeddedServer, EmbeddedServer], tmp_path: Path) -> Iterator[Host]:
    """A project on the primary, in a database of its own with the table shop.item."""
    url = make_url(servers[0].url()).set(drivername="postgresql+psycopg2", database="planned")
    janitor = DatabaseJanitor(
        user=url.username or "", host=str(url.query["host"]), port=str(url.query["port"]), dbname="planned"
    )
    with janitor:
        with session(url.render_as_string()) as run:
            run(SHOP)
        yield make_host(tmp_path / "host", url.render_as_string())


def has_come(url: str) -> bool:
    """Whether the table is there yet, in a database that may not be there either."""
    with suppress(psycopg2.OperationalError), session(url) as run:
        return run("SELECT to_regclass('shop.item') IS NOT NULL") == [(True,)]
    return False


def test_a_standby_is_refused_and_still_says_what_is_pending(
    primary: Host, servers: tuple[EmbeddedServer, EmbeddedServer]
) -> None:
    primary.new(STATEMENT)
    there = make_url(servers[1].url()).set(drivername="postgresql+psycopg2", database="planned").render_as_string()
    wait_for(lambda: has_come(there))
    found = plan(primary, there)
    assert (found.server.is_standby, found.verdict.outcome) == (True, Outcome.REFUSED)
    assert rules(found) == ["standby"]
    assert found.steps[0].costs[0] is not None
    done = CliRunner().invoke(app, ["migrate", "plan", "--config", str(primary.ini), "--url", there])
    assert (done.exit_code, "standby, no pooler" in " ".join(done.stdout.split())) == (4, True)


def test_replicas_and_slots(primary: Host, servers: tuple[EmbeddedServer, EmbeddedServer]) -> None:
    primary.new(STATEMENT)
    with session(primary.url) as run, session(servers[1].url()) as standby:
        run("SELECT pg_create_physical_replication_slot('forgotten', true)")
        standby("SELECT pg_wal_replay_pause()")
        try:
            run("INSERT INTO shop.item (id) SELECT g FROM generate_series(1000, 20000) AS g")
            wait_for(lambda: (plan(primary).replicas[0].bytes or 0) > 1_000_000)
            found = plan(primary, limit=Limit(bytes=1000))
            wide = plan(primary, limit=Limit(bytes=1 << 40))
            words = ["migrate", "plan", "--config", str(primary.ini), "--max-replica-lag", "1kB"]
            done = CliRunner().invoke(app, words, env={"COLUMNS": "80"})
        finally:
            standby("SELECT pg_wal_replay_resume()")
            run("SELECT pg_drop_replication_slot('forgotten')")
    assert [each.name for each in found.replicas] == [NAME]
    assert [(each.name, each.active) for each in found.slots] == [("forgotten", False), (SLOT, True)]
    assert (rules(found), rules(wide)) == (["lag"], [])
    assert rules(wide, Level.INFO) == ["slot"]
    assert "forgotten has no reader" in wide.findings[0].message
    assert (done.exit_code, f"! {NAME}: streaming, async, " in done.stdout) == (1, True)
    assert f"slot {SLOT}: reserved, has a reader" in done.stdout


def test_a_slot_that_the_build_would_endanger(primary: Host) -> None:
    primary.new("CREATE INDEX item_note ON shop.item (note)")
    with session(primary.url) as run:
        run(
            "INSERT INTO shop.item (id, note) SELECT g, repeat(md5(g::text), 60) FROM generate_series(1000, 30000) AS g"
        )
        run("ANALYZE shop.item")
        run("SELECT pg_create_physical_replication_slot('short', true)")
        run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
        run("SELECT pg_reload_conf()")
        try:
            wait_for(lambda: run("SHOW max_slot_wal_keep_size") == [("1MB",)])
            run("INSERT INTO shop.item (id, note) SELECT g, 'x' FROM generate_series(100000, 200000) AS g")
            wait_for(lambda: "slot" in rules(plan(primary)))
            found = plan(primary)
        finally:
            run("ALTER SYSTEM RESET max_slot_wal_keep_size")
            run("SELECT pg_reload_conf()")
            run("SELECT pg_drop_replication_slot('short')")
    assert any("slot short is " in each.message for each in found.findings if each.level is Level.WARN)


def test_disks_are_asked_where_the_server_is_on_this_machine(primary: Host, run: Run) -> None:
    primary.new(STATEMENT)
    with session(primary.url) as there:
        there("INSERT INTO shop.item (id, owner) SELECT g, g FROM generate_series(1000, 9000) AS g; ANALYZE shop.item")
    found = plan(primary)
    assert found.server.is_local
    places = {each.holds: each for each in found.places}
    assert places[Holds.INDEXES].tablespace == "pg_default"
    readable = Path(str(found.server.data_directory)).joinpath("base").exists()
    for place in places.values():
        assert (place.free is not None) == readable
        if place.path is not None:
            assert place.free == pytest.approx(shutil.disk_usage(place.path).free, rel=0.2)


def test_disks_are_asked_by_tcp_too_where_both_ends_are_here(own_server: EmbeddedServer, own_host: Host) -> None:
    own_host.new(STATEMENT)
    url = make_url(own_server.url(tcp=True)).set(
        drivername="postgresql+psycopg2", database=make_url(own_host.url).database
    )
    assert plan(own_host, url.render_as_string()).server.is_local


@pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="no PgBouncer on this machine")
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_poolers_are_told_apart(data_dir: Path, database_url: str, run: Run, mode: str) -> None:
    folder = data_dir / f"planned_{mode}"
    with pgbouncer(database_url, mode, folder) as url:
        host = make_host(folder / "host", url)
        (written,) = host.new(STATEMENT)
        found = plan(host)
        done = CliRunner().invoke(app, ["migrate", "plan", "--config", str(host.ini)])
    assert (found.server.pooler, found.server.is_local) == (Pooler(mode), False)
    assert written.revision in done.stdout
    if mode == "session":
        assert (found.verdict.outcome, done.exit_code) == (Outcome.READY, 0)
        assert "free space" in [each.what for each in found.unseen]
    else:
        assert (found.verdict.outcome, rules(found), done.exit_code) == (Outcome.REFUSED, ["pooler"], 4)
        assert "REFUSED: this is a pooler in transaction mode" in done.stdout

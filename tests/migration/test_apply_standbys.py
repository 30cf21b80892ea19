"""Standbys that are too far behind: no build begins, and one that makes them so is cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from dbtune.errors import GaveUp, Unsafe
from dbtune.migration import apply as applying
from dbtune.migration.apply import Budget
from dbtune.migration.attempt import WAITS_FOR_STANDBYS
from dbtune.migration.project import Project
from dbtune.migration.replica import Limit
from dbtune.migration.standbys import Standbys
from dbtune.server import binaries
from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer
from tests.migration.conftest import SHOP, Host, Run, indexes, make_host, session, state, wait_for
from tests.migration.faults import builds
from tests.migration.standby import NAME, pair
from tests.migration.told import Told

INDEX = "item_owner_idx"
STATEMENT = f"CREATE INDEX {INDEX} ON shop.item (owner)"
LIMIT = Limit(bytes=1 << 20)
WAL = "SELECT pg_logical_emit_message(false, 'dbtune test', repeat('x', 3000000)); SELECT pg_switch_wal()"


@pytest.fixture(scope="module")
def servers(data_dir: Path, pytestconfig: pytest.Config) -> Iterator[tuple[EmbeddedServer, EmbeddedServer]]:
    """A primary and its standby."""
    bindir = pytestconfig.getoption("--pg-bindir")
    with pair(data_dir / "apply_standbys", binaries.at(bindir.absolute()) if bindir else None) as both:
        yield both


@pytest.fixture
def followed(servers: tuple[EmbeddedServer, EmbeddedServer], tmp_path: Path) -> Iterator[tuple[Host, Run, Run]]:
    """A project on the primary, a session there, and one on the standby, which replays again in the end."""
    primary, standby = servers
    url = primary.url().replace("postgresql://", "postgresql+psycopg2://")
    with session(url) as run, session(standby.url()) as follows:
        run(f"DROP SCHEMA IF EXISTS shop CASCADE; DROP TABLE IF EXISTS alembic_version; {SHOP}")
        try:
            yield make_host(tmp_path / "followed", url), run, follows
        finally:
            follows("SELECT pg_wal_replay_resume()")


def upgrade(host: Host, told: Told, budget: Budget | None = None, limit: Limit = LIMIT) -> applying.Applied:
    return applying.apply(Project(host.ini), budget=budget, tell=told, max_lag=limit)


def lag(run: Run) -> int:
    rows: list[Any] = run("SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), replay_lsn) FROM pg_stat_replication")
    return int(rows[0][0])


def test_a_build_begins_when_standbys_keep_up(followed: tuple[Host, Run, Run]) -> None:
    host, run, follows = followed
    host.new(STATEMENT)
    told = Told()
    follows("SELECT pg_wal_replay_pause()")
    run(WAL)
    wait_for(lambda: lag(run) > (LIMIT.bytes or 0))
    with pytest.raises(
        GaveUp, match=rf"-budget\): .*{WAITS_FOR_STANDBYS}.*standby {NAME}.* MB and .*; nothing is left"
    ):
        upgrade(host, Told(), Budget(lock=0.5))
    assert indexes(run) == {}
    with ThreadPoolExecutor(1) as pool:
        upgraded = pool.submit(upgrade, host, told)
        wait_for(lambda: told.says(f"{WAITS_FOR_STANDBYS}: standby {NAME}"))
        follows("SELECT pg_wal_replay_resume()")
        upgraded.result(60)
    assert state(run, INDEX)[0]


def test_a_build_is_cancelled_when_a_standby_falls_behind(
    followed: tuple[Host, Run, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, run, follows = followed
    run(
        "CREATE FUNCTION shop.dozes(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        " $$ BEGIN PERFORM pg_sleep(0.5); RETURN n; END $$"
    )
    host.new(f"CREATE INDEX {INDEX} ON shop.item (shop.dozes(id))")
    monkeypatch.setattr("dbtune.migration.standbys._EVERY_S", 0.1)
    monkeypatch.setattr("dbtune.migration.standbys._LONG_S", 0.6)
    with ThreadPoolExecutor(1) as pool:
        upgraded = pool.submit(upgrade, host, Told())
        wait_for(lambda: builds(run))
        follows("SELECT pg_wal_replay_pause()")
        run(WAL)
        with pytest.raises(
            GaveUp, match=rf"standby {NAME}.*, over the limit .*cannot be paused, .* is dropped; run it"
        ):
            upgraded.result(60)
    assert (builds(run), indexes(run)) == (False, {})


def test_who_may_not_see_standbys_is_told(followed: tuple[Host, Run, Run]) -> None:
    host, run, _ = followed
    run("DROP ROLE IF EXISTS blind; CREATE ROLE blind LOGIN")
    url = make_url(host.url).set(username="blind")
    with connect(Target(url, "test")) as connection:
        assert Standbys(None).behind(connection) == ()
        with pytest.raises(Unsafe, match=r"--max-replica-lag: .*GRANT pg_read_all_stats"):
            Standbys(LIMIT).behind(connection)
    run("DROP ROLE blind")


def test_a_slot_in_danger_is_told_of_once(own_server: EmbeddedServer, own_host: Host) -> None:
    standbys = Standbys(None)
    with (
        session(own_host.url) as run,
        connect(Target(make_url(own_host.url), "test")) as connection,
    ):
        connection.execution_options(isolation_level="AUTOCOMMIT")
        run("SELECT pg_create_physical_replication_slot('forgotten', true)")
        try:
            assert standbys.endangered(connection) == ()
            run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
            run("SELECT pg_reload_conf()")
            for _ in range(3):
                run(WAL)
            wait_for(lambda: run("SELECT wal_status FROM pg_replication_slots") == [("unreserved",)])
            (told,) = standbys.endangered(connection)
            assert "replication slot forgotten needs WAL that the next checkpoint may remove" in told
            assert standbys.endangered(connection) == ()
            run("CHECKPOINT")
            wait_for(lambda: run("SELECT wal_status FROM pg_replication_slots") == [("lost",)])
            assert "replication slot forgotten has lost WAL" in standbys.endangered(connection)[0]
            assert Standbys(None).endangered(connection) == ()  # lost before
        finally:
            run("ALTER SYSTEM RESET max_slot_wal_keep_size")
            run("SELECT pg_reload_conf()")
            run("SELECT pg_drop_replication_slot('forgotten')")

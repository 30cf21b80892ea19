"""One deployer at a time, whatever limits sessions have and whoever ends them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import make_url

from dbtune.errors import GaveUp, ServerError
from dbtune.migration import apply as applying
from dbtune.migration.apply import Budget
from dbtune.migration.attempt import WAITS_FOR_WRITERS
from dbtune.migration.mutex import KEY, WAITS, Mutex
from dbtune.migration.project import Project
from dbtune.server.connection import Target
from tests.migration.conftest import Host, Run, indexes, session, state, version, wait_for
from tests.migration.faults import ADVISORY, builds, end, upgrading
from tests.migration.told import Told

INDEX = "item_owner_idx"
STATEMENT = f"CREATE INDEX {INDEX} ON shop.item (owner)"
WRITES = "BEGIN; UPDATE shop.item SET name = name"
HOLDER = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
    f" AND (classid::bigint << 32) | objid::bigint = {KEY}"
)


def upgrade(host: Host, told: Told, budget: Budget | None = None, *, at_once: bool = False) -> applying.Applied:
    return applying.apply(Project(host.ini), budget=budget, tell=told, at_once=at_once)


def test_sessions_outlive_the_limits_that_the_database_sets_for_idle_ones(host: Host, run: Run) -> None:
    (written,) = host.new(STATEMENT)
    ((name, number),) = run("SELECT current_database(), current_setting('server_version_num')::int")
    told = Told()
    with session(host.url) as writer, ThreadPoolExecutor(1) as pool:
        writer(WRITES)
        run(f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '1s'")
        run(f"ALTER DATABASE {name} SET statement_timeout = '2s'")
        if number >= 140000:
            run(f"ALTER DATABASE {name} SET idle_session_timeout = '1s'")
        first = pool.submit(upgrade, host, told)
        wait_for(lambda: told.says(WAITS_FOR_WRITERS))
        with upgrading(host, "apply", "--format", "json") as later:  # two of Alembic's do not go in one process
            assert later.stdout is not None
            assert WAITS in later.stdout.readline()
            waited = max(each.waiting_s or 0 for each in told.progress)
            wait_for(lambda: (told.progress[-1].waiting_s or 0) > waited + 2.5)
            writer("COMMIT")
            assert len(first.result(30).revisions) == 1
            code, said = end(later)
    assert (code, json.loads(said.splitlines()[-1])["revisions"]) == (0, [])
    assert (state(run, INDEX)[0], version(run)) == (True, written.revision)


def test_the_one_who_holds_the_lock_is_named(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    with session(host.url) as other:
        other(f"SELECT pg_advisory_lock({KEY})")
        ((pid,),) = other("SELECT pg_backend_pid()")
        with pytest.raises(GaveUp, match=rf"another deployer .*: pid {pid} \(dbtune, idle, .*\); nothing was changed"):
            upgrade(host, Told(), Budget(lock=0.2))


def test_a_lost_session_is_replaced_and_the_build_goes_on(host: Host, run: Run) -> None:
    (written,) = host.new(STATEMENT)
    told = Told()
    with session(host.url) as writer, ThreadPoolExecutor(1) as pool:
        writer(WRITES)
        upgraded = pool.submit(upgrade, host, told, at_once=True)
        wait_for(lambda: builds(run))
        before = run("SELECT pid FROM pg_stat_progress_create_index")
        ((holder,),) = run(HOLDER)
        run(f"SELECT pg_terminate_backend({holder})")
        wait_for(lambda: told.says("connected again"))
        assert run("SELECT pid FROM pg_stat_progress_create_index") == before
        assert run(HOLDER) not in ([], [(holder,)])
        writer("COMMIT")
        upgraded.result(30)
    assert (state(run, INDEX)[0], version(run)) == (True, written.revision)
    wait_for(lambda: not run(ADVISORY))


def test_it_stops_where_another_deployer_took_the_lock_meanwhile(host: Host, run: Run) -> None:
    (written,) = host.new(STATEMENT)
    with session(host.url) as writer, session(host.url) as other, ThreadPoolExecutor(2) as pool:
        writer(WRITES)
        upgraded = pool.submit(upgrade, host, Told(), at_once=True)
        wait_for(lambda: builds(run))
        ((holder,),) = run(HOLDER)
        taking = pool.submit(other, f"SELECT pg_advisory_lock({KEY})")
        wait_for(lambda: bool(run("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")))
        run(f"SELECT pg_terminate_backend({holder})")
        taking.result(30)
        with pytest.raises(ServerError, match=r"another one has it now.*run it again"):
            upgraded.result(30)
        assert not builds(run)
    upgrade(host, Told())
    assert (state(run, INDEX)[0], version(run)) == (True, written.revision)


def test_the_lock_is_known_to_be_ours(host: Host, run: Run) -> None:
    target = Target(make_url(host.url), "test")
    with Mutex(target) as mine, Mutex(target) as other:
        assert not mine.is_ours()
        mine.take(1)
        mine.take(1)  # once is enough
        assert (mine.is_ours(), other.is_ours(), other.regain()) == (True, False, False)
        run(f"SELECT pg_terminate_backend(pid) FROM ({HOLDER}) AS held")
        assert mine.regain()
    wait_for(lambda: not run(ADVISORY))


def test_a_build_that_sleeps_waits_for_nobody(host: Host, run: Run) -> None:
    run(
        "CREATE FUNCTION shop.dozes(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN"
        " PERFORM pg_sleep(CASE WHEN n = 1 THEN 1.5 ELSE 0 END); RETURN n; END $$"
    )
    host.new(f"CREATE INDEX {INDEX} ON shop.item (shop.dozes(id))")
    told = Told()
    upgrade(host, told)
    assert not told.says("lock of another deployer"), told.lines
    assert list(indexes(run)) == [INDEX]

"""What a build would wait for is waited for before it begins, while nothing is held and nothing is made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dbtune.errors import GaveUp
from dbtune.migration import apply as applying
from dbtune.migration.apply import Budget
from dbtune.migration.attempt import WAITS_FOR_WRITERS
from dbtune.migration.build import Build, begun_by
from dbtune.migration.project import Project
from dbtune.server.embedded import EmbeddedServer
from tests.migration.conftest import Host, Run, indexes, session, state, version, wait_for
from tests.migration.told import Told

INDEX = "item_owner_idx"
STATEMENT = f"CREATE INDEX {INDEX} ON shop.item (owner)"
WRITES = "BEGIN; UPDATE shop.item SET name = name WHERE id = 1"


def upgrade(host: Host, told: Told, **options: Any) -> applying.Applied:
    return applying.apply(Project(host.ini), tell=told, **options)


@pytest.mark.parametrize(
    ("statement", "build"),
    [
        ("CREATE INDEX CONCURRENTLY a ON t (b)", Build(table="t", index="a")),
        (
            '-- x\n/* y */ create unique index concurrently IF NOT EXISTS "A b" on "S".t (b)',
            Build(table='"S".t', index='"S"."A b"'),
        ),
        ("CREATE INDEX CONCURRENTLY ON s.t (b)", Build(table="s.t", index=None)),
        ("CREATE INDEX a ON t (b)", None),
        ("DO $$ CREATE INDEX CONCURRENTLY a ON t (b) $$", None),
        ("CREATE INDEX CONCURRENTLY a ON", None),
    ],
)
def test_the_build_that_a_statement_begins(statement: str, build: Build | None) -> None:
    assert begun_by(statement) == build


@pytest.mark.parametrize("budget", [Budget(lock=0.5), Budget(total=0.5)], ids=["lock", "total"])
def test_giving_up_before_a_build_leaves_nothing(host: Host, run: Run, budget: Budget) -> None:
    (written,) = host.new(STATEMENT)
    told = Told()
    with session(host.url) as writer:
        writer(WRITES)
        ((pid,),) = writer("SELECT pg_backend_pid()")
        with pytest.raises(GaveUp, match=rf"-budget\): .*{WAITS_FOR_WRITERS}.*pid {pid} \(.*; nothing is left of it"):
            upgrade(host, told, budget=budget)
        assert (indexes(run), run("SELECT 1 FROM pg_stat_progress_create_index")) == ({}, [])
    upgrade(host, told)
    assert (state(run, INDEX)[0], version(run)) == (True, written.revision)


def test_a_wait_holds_nothing_up(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    told = Told()
    with session(host.url) as writer, ThreadPoolExecutor(1) as pool:
        writer(WRITES)
        first = pool.submit(upgrade, host, told)
        wait_for(lambda: told.says(WAITS_FOR_WRITERS))
        run("SET lock_timeout = '1s'; ALTER TABLE shop.item ALTER owner SET STATISTICS 10")
        run("INSERT INTO shop.item (id) VALUES (901)")
        snapshots = "SELECT 1 FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"
        wait_for(lambda: run(f"{snapshots} AND datname = current_database()") == [])
        writer("COMMIT")
        first.result(30)
    assert state(run, INDEX)[0]


def test_those_who_come_later_are_not_waited_for(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    told = Told()
    with session(host.url) as first, session(host.url) as later, ThreadPoolExecutor(1) as pool:
        first(WRITES)
        upgraded = pool.submit(upgrade, host, told)
        wait_for(lambda: told.says(WAITS_FOR_WRITERS))
        later("BEGIN; UPDATE shop.item SET name = name WHERE id = 2")
        first("COMMIT; BEGIN; UPDATE shop.item SET name = name WHERE id = 1")
        wait_for(lambda: bool(run("SELECT 1 FROM pg_stat_progress_create_index")))
        first("COMMIT")
        later("COMMIT")
        upgraded.result(30)
    assert state(run, INDEX)[0]


def test_only_locks_that_a_build_waits_for_count(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    told = Told()
    with session(host.url) as reader, session(host.url) as writer:
        reader("BEGIN; SELECT count(*) FROM shop.item")
        run("CREATE TABLE shop.other (id int)")
        writer("BEGIN; INSERT INTO shop.other VALUES (1)")
        upgrade(host, told)
    assert not told.says(WAITS_FOR_WRITERS)


def test_a_lock_of_the_kind_that_builds_take_is_waited_for(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    told = Told()
    with session(host.url) as holder, ThreadPoolExecutor(1) as pool:
        holder("BEGIN; LOCK TABLE shop.item IN SHARE UPDATE EXCLUSIVE MODE")
        upgraded = pool.submit(upgrade, host, told)
        wait_for(lambda: told.says(WAITS_FOR_WRITERS))
        holder("COMMIT")
        upgraded.result(30)
    assert state(run, INDEX)[0]


def test_a_prepared_transaction_is_named(own_server: EmbeddedServer, own_host: Host) -> None:
    own_host.new(STATEMENT)
    told = Told()
    with session(own_host.url) as run:
        run(f"{WRITES}; PREPARE TRANSACTION 'forgotten'")
        with pytest.raises(GaveUp, match="prepared transaction 'forgotten' \\(dbtune, open for"):
            upgrade(own_host, told, budget=Budget(lock=0.5))
        assert indexes(run) == {}
        run("ROLLBACK PREPARED 'forgotten'")
        upgrade(own_host, told)
        assert state(run, INDEX)[0]


def test_any_revision_that_builds_concurrently_waits(host: Host, run: Run) -> None:
    (host.folder / "alembic" / "versions" / "own.py").write_text(
        "from alembic import op\nrevision, down_revision, branch_labels, depends_on = 'own', None, None, None\n"
        "def upgrade():\n    with op.get_context().autocommit_block():\n"
        f"        op.create_index('{INDEX}', 'item', ['owner'], schema='shop', postgresql_concurrently=True)\n"
        "def downgrade(): pass\n"
    )
    with session(host.url) as writer:
        writer(WRITES)
        with pytest.raises(GaveUp, match=f"own shop.{INDEX} .*{WAITS_FOR_WRITERS}.*nothing is left"):
            upgrade(host, Told(), budget=Budget(lock=0.5))
        assert indexes(run) == {}
    (made,) = upgrade(host, Told()).indexes
    assert (made.revision, made.index, made.table, made.is_valid) == ("own", f"shop.{INDEX}", "shop.item", True)


def test_an_old_snapshot_is_told_of_and_the_build_begins(host: Host, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    host.new(STATEMENT)
    told = Told()
    monkeypatch.setattr("dbtune.migration.ahead._OLD_S", 0.1)
    with session(host.url) as reader, ThreadPoolExecutor(1) as pool:
        reader("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
        ((pid,),) = reader("SELECT pg_backend_pid() FROM pg_sleep(0.2)")
        upgraded = pool.submit(upgrade, host, told)
        wait_for(lambda: any(each.phase == "waiting for old snapshots" for each in told.progress))
        reader("COMMIT")
        upgraded.result(30)
    assert told.says(f"snapshots that are old already: pid {pid} (")

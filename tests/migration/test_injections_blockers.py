"""Who stands in the way of a build: named by apply, which gives up; waited for by Alembic, which goes on afterwards."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import psycopg2
import pytest
from sqlalchemy import make_url

from dbtune.errors import GaveUp
from dbtune.migration import apply as applying
from dbtune.migration.apply import Budget
from dbtune.migration.project import Project
from tests.migration.conftest import Host, Run, session, wait_for
from tests.migration.faults import (
    BESIDE,
    STATEMENT,
    done,
    made,
    noted,
    others,
    upgrade,
)

Release = Callable[[], object]

BLOCKERS = {
    "reader of another table": "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM shop.other",
    "cursor": "BEGIN; DECLARE page CURSOR FOR SELECT * FROM shop.other; FETCH 1 FROM page",
    "ALTER": "BEGIN; ALTER TABLE shop.item ALTER owner SET STATISTICS 50",
    "lock": "BEGIN; LOCK TABLE shop.item",
    "long query": "SELECT pg_sleep(60)",
    "ANALYZE": "ANALYZE shop.item",
    "waits for another tool's lock": "SELECT pg_advisory_lock(1)",
}
ASLEEP = """
CREATE FUNCTION shop.asleep(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF pg_catalog.current_query() LIKE 'ANALYZE%' THEN
        PERFORM pg_catalog.pg_sleep(60);
    END IF;
    RETURN n;
END $$;
CREATE INDEX item_asleep ON shop.item (shop.asleep(id));
"""


@contextmanager
def blocker(run: Run, url: str, sql: str) -> Iterator[tuple[int, Release]]:
    """A session that is in a transaction, or in a statement; yields its pid and what ends it."""
    with session(url) as own, ThreadPoolExecutor(1) as pool:
        ((pid,),) = own("SELECT pg_backend_pid()")
        if sql.startswith("BEGIN"):
            own(sql)
            yield pid, lambda: own("ROLLBACK")
            return
        with suppress(psycopg2.errors.QueryCanceled):
            blocks = pool.submit(own, sql)
            begun = (
                f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND state = 'active' AND wait_event <> 'ClientRead'"
            )
            wait_for(lambda: bool(run(begun)))
            try:
                yield pid, lambda: run(f"SELECT pg_cancel_backend({pid})")
            finally:
                run(f"SELECT pg_cancel_backend({pid})")
                blocks.result(60)


def waited_for(run: Run, pid: int) -> bool:
    """Whether somebody of this database waits for that session."""
    return bool(
        run(
            f"SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND {pid} = ANY (pg_blocking_pids(pid))"
        )
    )


def named_and_waited_for(host: Host, run: Run, pid: int, release: Release) -> None:
    """Let apply give up, naming the blocker, then let Alembic wait until the blocker goes."""
    with pytest.raises(GaveUp, match=rf"pid {pid} \("):
        applying.apply(Project(host.ini), budget=Budget(lock=0.5), at_once=True)
    assert (made(run) or None, noted(run)) == (None, None)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(upgrade, host)
        try:
            wait_for(lambda: waited_for(run, pid))
            assert (made(run) or None, noted(run)) == (None, None)
        finally:
            release()
        waiting.result(60)


@pytest.mark.parametrize("kind", BLOCKERS)
def test_who_is_in_the_way(host: Host, run: Run, kind: str) -> None:
    run(BESIDE + (ASLEEP if kind == "ANALYZE" else ""))
    (written,) = host.new(STATEMENT)
    with session(host.url) as other, session(host.url) as unrelated:
        other("SELECT pg_advisory_lock(1)")
        unrelated("SELECT pg_advisory_lock(2)")  # of another tool, and nobody waits for it
        before = others(run)  # while the table is locked, nobody can look
        with blocker(run, host.url, BLOCKERS[kind]) as (pid, release):
            named_and_waited_for(host, run, pid, release)
    done(run, written.revision, before)


@contextmanager
def asyncpg_idle(url: str) -> Iterator[tuple[int, Release]]:
    """An idle transaction of asyncpg's, which has read; it keeps its snapshot."""
    asyncpg = pytest.importorskip("asyncpg")
    where = make_url(url)
    began, over = threading.Event(), threading.Event()
    pids: list[int] = []

    async def idle() -> None:
        opened = await asyncpg.connect(
            user=where.username, database=where.database, host=where.query["host"], port=int(str(where.query["port"]))
        )
        async with opened.transaction():
            await opened.fetch("SELECT id FROM shop.other")
            pids.append(opened.get_server_pid())
            began.set()
            await asyncio.to_thread(over.wait, 60)
        await opened.close()

    thread = threading.Thread(target=lambda: asyncio.run(idle()))
    thread.start()
    try:
        assert began.wait(20)
        yield pids[0], over.set
    finally:
        over.set()
        thread.join()


def test_an_idle_transaction_of_asyncpg_is_in_the_way(host: Host, run: Run) -> None:
    run(BESIDE)
    (written,) = host.new(STATEMENT)
    before = others(run)
    with asyncpg_idle(host.url) as (pid, release):
        named_and_waited_for(host, run, pid, release)
    done(run, written.revision, before)

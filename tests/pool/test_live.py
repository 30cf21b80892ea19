"""Demand and true causes read from a running server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, make_url, text

from dbtune.errors import UsageError
from dbtune.pool import causes, live
from dbtune.server import sessions
from dbtune.server.connection import Target, connect, pooled
from dbtune.workload.query import ParameterSet, Query


@contextmanager
def load(url: str, idle: float = 0.0, callers: int = 3) -> Iterator[None]:
    """Let callers run short transactions, holding the connection for ``idle`` seconds more than the statement takes.

    They read a table: from 15 on, a session that touches none keeps its counters to itself.
    """
    engine = pooled(Target(make_url(url), "test"), callers)
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            with engine.connect() as opened:
                opened.execute(text("SELECT pg_sleep(0.02) FROM (SELECT FROM pg_class LIMIT 1) AS one"))
                time.sleep(idle)
            time.sleep(0.02)

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        engine.dispose()


def test_rate_and_hold_of_a_running_service(db: Connection, database_url: str) -> None:
    with load(database_url):
        found = live.observe(db, 2.0)
    assert found.traffic.rate > 20
    assert 0.015 < found.hold < 0.2
    assert found.causes == ()
    assert found.limits.usable > 0


def test_connections_held_idle_are_the_cause(db: Connection, database_url: str) -> None:
    with load(database_url, idle=0.2):
        found = live.observe(db, 2.0)
    (cause,) = found.causes
    assert "idle in transaction" in cause


def test_silence_is_said(db: Connection) -> None:
    with pytest.raises(UsageError, match="no transaction ended"):
        live.observe(db, 0.3)


def test_a_statement_that_scans_is_named(db: Connection, database_url: str) -> None:
    db.exec_driver_sql("CREATE TABLE item (id int PRIMARY KEY, kind text, note text)")
    db.exec_driver_sql("INSERT INTO item SELECT g, 'k' || g, repeat('x', 100) FROM generate_series(1, 60000) g")
    db.exec_driver_sql("ANALYZE item")
    db.commit()
    scans = Query(
        name="by-kind",
        statement="SELECT note FROM item WHERE kind = $1",
        types=("text",),
        sets=(ParameterSet(name="one", values=("k17",)),),
        calls=100,
    )
    quick = Query(
        name="by-id",
        statement="SELECT note FROM item WHERE id = $1",
        types=("integer",),
        sets=(ParameterSet(name="one", values=("17",)),),
        calls=100,
    )
    with load(database_url):
        found = live.observe(db, 2.5, (scans, quick))
        assert live.observe(db, 2.5, (quick,)).causes == ()
    (cause,) = found.causes
    assert cause.startswith("by-kind takes")


def test_sessions_that_block_each_other(db: Connection, database_url: str) -> None:
    db.exec_driver_sql("CREATE TABLE counter (n int)")
    db.exec_driver_sql("INSERT INTO counter VALUES (0)")
    db.commit()
    target = Target(make_url(database_url), "test")
    assert causes.blocked(sessions.read(db)) is None

    def wait() -> None:
        with connect(target) as opened:
            opened.execute(text("UPDATE counter SET n = n + 1"))

    with connect(target) as holder:
        holder.execute(text("UPDATE counter SET n = 1"))
        pid = holder.execute(text("SELECT pg_backend_pid()")).scalar()
        threads = [threading.Thread(target=wait) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(100):
            told = causes.blocked(sessions.read(db))
            if told is not None and told.startswith("3 "):
                break
            time.sleep(0.05)
        holder.rollback()
        for thread in threads:
            thread.join()
    assert told is not None
    assert "wait for a lock" in told
    assert str(pid) in told

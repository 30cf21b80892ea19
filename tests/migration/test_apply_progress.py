"""Rates, the time left, and for how long somebody was waited for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import make_url

from dbtune.migration.duration import spoken
from dbtune.migration.progress import Meter
from dbtune.migration.watch import Activity, Count, look
from dbtune.server.connection import Target, connect
from tests.migration.conftest import Run, session, wait_for

SCAN = "building index: scanning table"


def activity(done: int | None = None, phase: str = SCAN, waits_for: tuple[str, ...] = ()) -> Activity:
    count = None if done is None else Count(done=done, total=100_000_000, unit="bytes")
    return Activity(pid=7, relation="s.t", index="s.i", phase=phase, count=count, waits_for=waits_for)


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    meter = Meter()
    first = meter.read(activity(0), 0, "abc")
    assert (first.done, first.rate, first.eta_s, first.is_new) == (0, None, None, True)
    assert first.line == f"abc s.i (pid 7): {SCAN}, 0%"
    for second in range(1, 31):
        meter.read(activity(1_000_000 * second), second, "abc")
    for second in range(31, 61):
        read = meter.read(activity(30_000_000 + 2_000_000 * (second - 30)), second, "abc")
    assert (read.done, read.is_new) == (0.9, False)
    assert read.rate == pytest.approx(2_000_000)
    assert read.eta_s == pytest.approx(5)
    assert read.line == f"abc s.i (pid 7): {SCAN}, 90%, 2 MB/s, 5 s left in this phase"


def test_a_new_phase_counts_anew_and_one_that_stands_still_has_no_end() -> None:
    meter = Meter()
    meter.read(activity(0), 0, None)
    meter.read(activity(90_000_000), 10, None)
    other = meter.read(activity(5, "index validation: scanning index"), 11, None)
    assert (other.rate, other.eta_s, other.is_new) == (None, None, True)
    still = meter.read(activity(5, "index validation: scanning index"), 14, None)
    assert (still.rate, still.eta_s, still.is_new) == (0, None, False)


def test_waiting_has_no_share_and_tells_since_when() -> None:
    meter = Meter()
    phase = "waiting for old snapshots"
    begun = meter.read(activity(phase=phase, waits_for=("pid 9 (me)",)), 100, "abc")
    assert (begun.waiting_s, begun.done, begun.line) == (0, None, f"abc s.i (pid 7): {phase}: pid 9 (me)")
    later = meter.read(activity(phase=phase, waits_for=("pid 9 (me)",)), 292, "abc")
    assert later.line == f"abc s.i (pid 7): {phase} for 3 min 12 s: pid 9 (me)"
    assert meter.read(activity(1), 300, "abc").waiting_s is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.7, "1 min"), (192, "3 min 12 s"), (3599.9, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_seconds_are_said_as_people_do(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


def test_each_phase_is_measured_by_what_it_counts(run: Run, database_url: str) -> None:
    run("INSERT INTO shop.item (id, name) SELECT n, md5(n::text) FROM generate_series(1000, 250000) AS n")
    seen: dict[str, set[str | None]] = {}
    with (
        session(database_url) as builder,
        connect(Target(make_url(database_url), "test")) as opened,
        ThreadPoolExecutor(1) as pool,
    ):
        connection = opened.execution_options(isolation_level="AUTOCOMMIT")
        ((pid,),) = builder("SELECT pg_backend_pid()")
        building = pool.submit(builder, "CREATE INDEX CONCURRENTLY by_name ON shop.item (name)")
        while not building.done():
            found = look(connection, [pid])
            assert found is not None
            if found.phase is not None:
                seen.setdefault(found.phase, set()).add(None if found.count is None else found.count.unit)
                assert found.count is None or 0 <= found.count.done <= found.count.total
                assert (found.pid, found.relation) == (pid, "shop.item")
        building.result()
    units = {
        SCAN: "bytes",
        "building index: loading tuples in tree": "tuples",
        "index validation: scanning index": "bytes",
        "index validation: scanning table": "bytes",
    }
    assert SCAN in seen
    for phase, counted in seen.items():
        assert counted <= {None, units.get(phase)}, phase


def test_nobody_reads_a_password(run: Run, database_url: str) -> None:
    with (
        session(database_url) as holder,
        session(database_url) as waiter,
        connect(Target(make_url(database_url), "test")) as opened,
        ThreadPoolExecutor(1) as pool,
    ):
        connection = opened.execution_options(isolation_level="AUTOCOMMIT")
        ((pid,),) = waiter("SELECT pg_backend_pid()")
        holder("BEGIN; SELECT 'PASSWORD hunter2' FROM pg_advisory_lock(5)")
        waiting = pool.submit(waiter, "SELECT 'password hunter2' FROM pg_advisory_lock(5)")
        wait_for(lambda: bool(run("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory'")))
        found = look(connection, [pid])
        holder("ROLLBACK; SELECT pg_advisory_unlock_all()")
        waiting.result()
    assert found is not None
    assert found.statement == "(a statement with a password)"
    assert "hunter2" not in found.waits_for[0]
    assert "(a statement with a password)" in found.waits_for[0]

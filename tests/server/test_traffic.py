"""Rate, hold time and churn of what other sessions do meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from psycopg2 import extensions
from sqlalchemy import Connection, make_url

from dbtune.server.connection import Target, connect, server_version_num
from dbtune.server.counters import Counters, Reading
from dbtune.server.sessions import Group, Sample
from dbtune.server.traffic import Observation, Traffic, measure
from tests.server.conftest import Opened

NONE = Counters(xact_commit=0, xact_rollback=0, deadlocks=0, temp_files=0, temp_bytes=0)


def measured(db: Connection, work: Callable[[], None], seconds: float = 2.0) -> Traffic:
    """Measure while another thread works; it begins a little later, after the first reading."""
    delay = 0.3 if server_version_num(db) >= 150_000 else 1.6

    def later() -> None:
        time.sleep(delay)
        work()

    thread = threading.Thread(target=later)
    thread.start()
    try:
        return measure(db, seconds)
    finally:
        thread.join()


def tell(opened: extensions.connection) -> None:
    """Make a session of ours tell its counters, which takes one transaction."""
    opened.rollback()
    opened.autocommit = True
    if opened.info.server_version >= 150_000:
        opened.cursor().execute("SELECT pg_stat_force_next_flush() FROM pg_database")
    else:
        time.sleep(0.6)
        opened.cursor().execute("SELECT 1")
    opened.autocommit = False


def test_transactions_and_their_hold(db: Connection, session: Opened) -> None:
    opened = session(application_name="web")
    tell(opened)

    def work() -> None:
        for number in range(8):
            opened.cursor().execute("SELECT pg_sleep(0.04)")
            time.sleep(0.06)
            opened.rollback() if number % 4 == 0 else opened.commit()
        tell(opened)

    found = measured(db, work)
    assert (found.added.xact_commit, found.added.xact_rollback) == (6 + 1, 2)  # telling is a transaction too
    assert found.hold is not None and found.busy is not None and found.app_share is not None
    assert found.hold == pytest.approx(found.busy / found.rate)
    assert 0 < found.app_share < 1
    assert found.peak == 1
    assert found.open == pytest.approx(1)
    assert found.database == db.exec_driver_sql("SELECT current_database()").scalar()


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_nothing_goes_on(database_url: str, session: Opened, driver: str) -> None:
    tell(session())
    with connect(Target(make_url(database_url).set(drivername=f"postgresql+{driver}"), "test")) as opened:
        found = measure(opened, 1)
    assert found.is_quiet
    assert (found.rate, found.hold, found.churn) == (0, None, 0)
    assert found.utilisation == pytest.approx(0, abs=0.01)  # what measuring itself took
    assert found.session_s is None


def test_an_open_transaction_is_seen_before_it_ends(db: Connection, session: Opened) -> None:
    session().cursor().execute("SELECT 1")
    time.sleep(0.6)  # before 15 the first reading may be that old
    found = measure(db, 1)
    assert found.busy == pytest.approx(1, abs=0.01)
    assert (found.stuck, found.peak, found.hold) == (1, 1, None)
    assert found.utilisation == pytest.approx(1, abs=0.01)


def test_a_transaction_that_ends_brings_more_time_than_there_was(db: Connection, session: Opened) -> None:
    opened = session()
    opened.cursor().execute("SELECT pg_sleep(3)")

    def work() -> None:
        opened.rollback()
        tell(opened)

    found = measured(db, work, 1.5)
    assert found.busy is not None and found.busy <= 1
    assert not found.is_quiet


def test_new_sessions_are_counted(db: Connection, session: Opened) -> None:
    def work() -> None:
        for _ in range(3):
            opened = session()
            tell(opened)
            if opened.info.server_version >= 140_000:
                opened.close()  # without session counters only those that stay are met

    found = measured(db, work, 3 if server_version_num(db) >= 150_000 else 5)
    assert found.churn is not None
    assert round(found.churn * found.seconds) == 3
    assert found.session_s is not None


def test_a_role_without_rights_has_counters_or_nothing(plain: Connection, session: Opened) -> None:
    session().cursor().execute("SELECT 1")
    found = measure(plain, 0.5)
    assert found.peak is None
    assert (found.busy is None) == (server_version_num(plain) < 140_000)
    assert any("cannot be seen" in doubt for doubt in found.doubts)


def test_the_connection_is_as_before(db: Connection) -> None:
    measure(db, 0.1)
    db.exec_driver_sql("CREATE TEMP TABLE gone ()")
    db.rollback()
    assert db.exec_driver_sql("SELECT to_regclass('gone')").scalar() is None


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def reading(seconds: float, counters: Counters, *, clock: float = 0, reset: datetime | None = None) -> Reading:
    return Reading(
        at=NOON + timedelta(seconds=seconds + clock),
        read_at=1000 + seconds,
        database="shop",
        counters={"shop": counters},
        resets={"shop": reset},
    )


def observation(first: Reading, last: Reading, *samples: Sample, own: int = 0) -> Observation:
    return Observation(
        first=first, last=last, samples=samples, own_transactions=own, own_ms=0, has_session_counters=True
    )


def held(active: int, idle_in_transaction: int = 0) -> Sample:
    def group(state: str, count: int) -> Group:
        return Group(
            datname="shop", usename="app", application_name="web", client_addr=None, state=state,
            wait_event_type=None, wait_event=None, pids=tuple(range(count)),
        )  # fmt: skip

    return group("active", active), group("idle in transaction", idle_in_transaction)


COUNTED = replace(
    NONE, xact_commit=1000, active_time=9000.0, idle_in_transaction_time=6000.0, session_time=0.0, sessions=5,
    sessions_abandoned=0, sessions_fatal=0, sessions_killed=0,
)  # fmt: skip
ZERO = replace(COUNTED, xact_commit=0, active_time=0.0, idle_in_transaction_time=0.0, sessions=0)


def test_littles_law() -> None:
    found = observation(reading(0, ZERO), reading(10, COUNTED), *[held(1), held(1, 1)] * 20).traffic()
    assert (found.rate, found.busy, found.app_share) == (100, 1.5, 0.4)
    assert found.hold == pytest.approx(0.015)
    assert (found.churn, found.source, found.doubts) == (0.5, "counters", ())


def test_own_transactions_are_taken_out() -> None:
    found = observation(reading(0, ZERO), reading(10, COUNTED), held(1, 1), own=40).traffic()
    assert found.added.transactions == 960


def test_a_clock_that_jumps_is_not_believed() -> None:
    for jump in (3600, -3600):
        found = observation(reading(0, ZERO), reading(10, COUNTED, clock=jump), held(1, 1)).traffic()
        assert found.seconds == 10
        assert f"moved by {jump:+d} s" in found.doubts[0]


def test_statistics_that_were_reset_meanwhile() -> None:
    reset = NOON + timedelta(seconds=6)
    later = observation(reading(0, COUNTED), reading(10, COUNTED, reset=reset), held(2, 2)).traffic()
    assert (later.seconds, later.rate) == (4, 250)
    assert "were reset" in later.doubts[0]
    silently = observation(reading(0, replace(COUNTED, xact_commit=9999)), reading(10, COUNTED), held(1, 1)).traffic()
    assert silently.added.transactions == 1000
    assert "were reset" in silently.doubts[0]


def test_samples_overrule_counters_that_chance_does_not_explain() -> None:
    found = observation(reading(0, ZERO), reading(10, COUNTED), *[held(0, 6)] * 50).traffic()
    assert (found.busy, found.app_share, found.source) == (6, 1, "50 samples")
    assert "counters say 1.5 in use" in found.doubts[0]


def test_transactions_from_before_are_no_part_of_the_hold_time() -> None:
    (active, idle) = held(1, 4)
    stuck = (active, replace(idle, old=4))
    added = replace(COUNTED, active_time=10_000.0, idle_in_transaction_time=0.0)
    found = observation(reading(0, ZERO), reading(10, added), *[stuck] * 30).traffic()
    assert (found.busy, found.stuck, found.rate, found.doubts) == (5, 4, 100, ())
    assert found.hold == pytest.approx(0.01)

"""What is found to be wrong with connections: each check at its limit, on values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dbtune.pool.occupancy import blocking, words
from dbtune.pool.occupancy.finding import Finding, Severity
from dbtune.pool.occupancy.judging import judge
from dbtune.render.connections import screen
from dbtune.server.counters import Counters, Reading
from dbtune.server.limits import Limit, Limits
from dbtune.server.pgbouncer import Bouncer, Pool
from dbtune.server.sessions import Group, Session, Snapshot, Wait
from dbtune.server.situation import Situation, Watched
from dbtune.server.spills import Spill
from dbtune.server.traffic import Observation

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ZERO = Counters(
    xact_commit=0, xact_rollback=0, deadlocks=0, temp_files=0, temp_bytes=0, active_time=0.0,
    idle_in_transaction_time=0.0, session_time=0.0, sessions=0, sessions_abandoned=0, sessions_fatal=0,
    sessions_killed=0,
)  # fmt: skip


def session(pid: int = 1, state: str | None = "idle", **changes: Any) -> Session:
    values: dict[str, Any] = {
        "pid": pid, "backend_type": "client backend", "datname": "shop", "usename": "app", "application_name": "web",
        "client_addr": "10.0.0.5", "state": state, "backend_s": 1000.0, "state_s": 1.0, "query_s": 1.0,
    }  # fmt: skip
    return Session(**(values | changes))


def group(state: str, count: int, wait: str | None = None, event: str | None = None) -> Group:
    return Group(
        datname="shop", usename="app", application_name="web", client_addr=None, state=state,
        wait_event_type=wait, wait_event=event, pids=tuple(range(count)),
    )  # fmt: skip


def reading(at: float, counters: Counters, reset: datetime | None) -> Reading:
    return Reading(
        at=NOON + timedelta(seconds=at), read_at=at, database="shop", counters={"shop": counters},
        resets={"shop": reset},
    )  # fmt: skip


def situation(
    *clients: Session,
    counted: Counters = ZERO,
    reset: datetime | None = None,
    within: float | None = None,
    samples: Sequence[tuple[Group, ...]] = (),
    waits: Sequence[Wait] = (),
    others: tuple[Session, ...] = (),
    **changes: Any,
) -> Situation:
    """A server with these clients; ``within`` seconds ``counted`` was added, else since ``reset``."""
    observation = None
    if within is not None:
        observation = Observation(
            first=reading(0, ZERO, reset), last=reading(within, counted, reset), samples=tuple(samples),
            own_transactions=0, own_ms=0, has_session_counters=True,
        )  # fmt: skip
    values: dict[str, Any] = {
        "server": "here", "version": "18.1", "version_num": 180_001, "at": NOON, "started": NOON,
        "in_recovery": False, "database": "shop", "role": "me", "reads_stats": True,
        "limits": Limits(max_connections=103, superuser_reserved_connections=3),
        "snapshot": Snapshot(clients=clients, others=others, waits={each.pid: each for each in waits}),
        "reading": reading(0, counted, reset), "observation": observation,
    }  # fmt: skip
    return Situation(**(values | changes))


def found(seen: Situation, check: str) -> Finding | None:
    return next((each for each in judge(seen).findings if each.check == check), None)


def severity(seen: Situation, check: str) -> Severity | None:
    one = found(seen, check)
    assert one is None or (one.message and one.action)
    return None if one is None else one.severity


@pytest.mark.parametrize(
    ("count", "expected"), [(79, None), (80, Severity.WARNING), (94, Severity.WARNING), (95, Severity.CRITICAL)]
)
def test_connections_run_out(count: int, expected: Severity | None) -> None:
    assert severity(situation(*map(session, range(count))), "connections-used") == expected


def test_the_most_that_were_taken_at_any_look_counts() -> None:
    samples = [(group("active", 10),), (group("active", 99),)]  # and the session that asks
    one = found(situation(session(), within=10, samples=samples), "connections-used")
    assert one is not None and one.severity is Severity.CRITICAL
    assert "100 of 100 usable" in one.message and "1 now" in one.message


def test_other_processes_take_no_connection() -> None:
    workers = tuple(session(pid, backend_type="parallel worker") for pid in range(99))
    assert found(situation(session(), others=workers), "connections-used") is None


def test_limits_of_roles_and_databases() -> None:
    limits = Limits(
        max_connections=103, superuser_reserved_connections=3, roles=(Limit(name="app", most=5),),
        databases=(Limit(name="shop", most=100), Limit(name="other", most=1)),
    )  # fmt: skip
    seen = situation(*map(session, range(5)), limits=limits)
    assert severity(seen, "role-limit-used") is Severity.CRITICAL
    assert found(seen, "database-limit-used") is None


@pytest.mark.parametrize(("seconds", "expected"), [(299, None), (300, Severity.WARNING), (3600, Severity.CRITICAL)])
def test_idle_in_transaction(seconds: float, expected: Severity | None) -> None:
    for state in ("idle in transaction", "idle in transaction (aborted)"):
        seen = situation(session(7, state, state_s=seconds, xact_s=seconds, query="UPDATE item"))
        assert severity(seen, "idle-in-transaction") == expected
        assert found(seen, "long-transaction") is None
    if expected:
        one = found(seen, "idle-in-transaction")
        assert one is not None and "UPDATE item" in one.message
        assert "pg_terminate_backend(7)" in one.action and "idle_in_transaction_session_timeout" in one.action


def test_long_statements_and_transactions() -> None:
    assert found(situation(session(state="active", query_s=59)), "long-query") is None
    assert severity(situation(session(state="active", query_s=60)), "long-query") is Severity.WARNING
    long = session(state="active", query_s=1800, xact_s=1800)
    assert severity(situation(long), "long-transaction") is Severity.WARNING
    assert found(situation(long), "long-query") is None  # it is told once
    for expected in (
        replace(long, application_name="pg_dump"),
        replace(long, query="/* nightly */ VACUUM item"),
        replace(long, query="CREATE UNIQUE INDEX CONCURRENTLY i ON item (id)"),
        replace(long, is_own=True),
    ):
        assert [each.check for each in judge(situation(expected)).findings] == []


def wait(pid: int, *blockers: int, seconds: float | None = 11) -> Wait:
    return Wait(
        pid=pid, locktype="relation", mode="ShareLock", relation="public.item", waited_s=seconds, blockers=blockers
    )  # fmt: skip


def test_blocking() -> None:
    clients = [session(1, "idle in transaction"), session(2, "active"), session(3, "active")]
    waiting = [wait(2, 1, seconds=11), wait(3, 2, 1, seconds=61)]
    seen = situation(*clients, waits=waiting)
    one = found(seen, "blocking")
    assert one is not None and one.severity is Severity.CRITICAL
    assert one.object == "pid 1" and one.evidence["blocked"] == 2
    assert "pg_terminate_backend(1)" in one.action
    assert found(situation(*clients, waits=[wait(2, 1, seconds=9)]), "blocking") is None
    active = situation(session(1, "active"), session(2, "active"), waits=[wait(2, 1)])
    one = found(active, "blocking")
    assert one is not None and one.severity is Severity.WARNING and "pg_cancel_backend(1)" in one.action


def test_trees_of_blocked_sessions() -> None:
    clients = tuple(session(pid, "active", query_s=30 + pid) for pid in range(1, 7))
    waiting = [wait(2, 1), wait(3, 2, 1), wait(4, 1, seconds=50), wait(6, 0)]
    (first, second) = blocking.trees(situation(*clients, waits=waiting).snapshot)
    assert (first.pid, [each.pid for each in first.blocked], first.size) == (1, [4, 2], 3)
    assert [each.pid for each in first.blocked[1].blocked] == [3]
    assert first.blocked[1].blocked[0].also == (1,)
    assert (second.pid, second.session) == (blocking.PREPARED, None)
    assert [each.pid for each in second.blocked] == [6]


def test_sessions_that_wait_for_each_other_are_a_tree_too() -> None:
    clients = tuple(session(pid, "active") for pid in (1, 2, 3))
    (tree,) = blocking.trees(situation(*clients, waits=[wait(1, 2), wait(2, 1, seconds=20), wait(3, 1)]).snapshot)
    assert (tree.pid, tree.size) == (2, 2)
    one = found(situation(*clients, waits=[wait(1, 2), wait(2, 1)]), "blocking")
    assert one is not None and "wait for each other" in one.action


def test_before_14_a_wait_is_as_long_as_its_statement_at_most() -> None:
    seen = situation(
        session(1, "idle in transaction"), session(2, "active", query_s=40), waits=[wait(2, 1, seconds=None)],
        version_num=130_000, version="13.9",
    )  # fmt: skip
    one = found(seen, "blocking")
    assert one is not None and "for up to 40 s" in one.message


COUNTED = replace(ZERO, xact_commit=1000, active_time=8000.0, idle_in_transaction_time=2000.0, sessions=10)


def test_pools_that_are_too_large() -> None:
    samples = [(group("active", 1), group("idle", 30))] * 40
    seen = situation(within=10, counted=replace(COUNTED, idle_in_transaction_time=0.0), samples=samples)
    assert severity(seen, "pool-waste") is Severity.INFO
    crowded = [(group("active", 1), group("idle", 90))] * 40
    assert severity(situation(within=10, counted=COUNTED, samples=crowded), "pool-waste") is Severity.WARNING
    few = [(group("active", 1), group("idle", 5))] * 40
    assert found(situation(within=10, counted=COUNTED, samples=few), "pool-waste") is None
    assert found(situation(within=10, samples=[(group("idle", 30),)] * 40), "pool-waste") is None  # nobody works


def test_connections_that_are_not_kept() -> None:
    samples = [(group("active", 1), group("idle", 9))] * 40
    seen = situation(within=10, counted=replace(COUNTED, sessions=50), samples=samples)
    one = found(seen, "no-pooling")
    assert one is not None and "5.0 new sessions/s" in one.message and one.evidence["session_s"] == 2
    assert found(situation(within=10, counted=replace(COUNTED, sessions=9), samples=samples), "no-pooling") is None


def test_time_that_the_application_holds_connections() -> None:
    samples = [(group("active", 1), group("idle in transaction", 1), group("idle", 3))] * 40
    busy = replace(COUNTED, active_time=10_000.0, idle_in_transaction_time=9_000.0)
    assert severity(situation(within=10, counted=busy, samples=samples), "idle-in-transaction-share") is Severity.INFO
    worse = replace(busy, active_time=9_000.0, idle_in_transaction_time=10_000.0)
    seen = situation(within=10, counted=worse, samples=samples)
    assert severity(seen, "idle-in-transaction-share") is Severity.WARNING
    since = replace(worse, session_time=100_000.0)
    assert severity(situation(counted=since), "idle-in-transaction-share") is Severity.WARNING
    assert found(situation(counted=replace(since, session_time=1e6)), "idle-in-transaction-share") is None


def test_broken_sessions() -> None:
    seen = situation(counted=replace(COUNTED, sessions=199, sessions_abandoned=1, sessions_killed=1))
    one = found(seen, "broken-sessions")
    assert one is not None and "2 sessions of 199 ended broken: 1 abandoned, 1 killed" in one.message
    assert found(situation(counted=replace(COUNTED, sessions=200, sessions_fatal=2)), "broken-sessions") is None
    assert found(situation(counted=replace(COUNTED, sessions=3, sessions_fatal=1)), "broken-sessions") is None


def test_rollbacks() -> None:
    assert severity(situation(counted=replace(COUNTED, xact_rollback=112)), "rollbacks") is Severity.WARNING
    assert found(situation(counted=replace(COUNTED, xact_rollback=111)), "rollbacks") is None
    assert found(situation(counted=replace(ZERO, xact_rollback=19)), "rollbacks") is None


def test_deadlocks_within_the_interval_or_every_day() -> None:
    one = replace(COUNTED, deadlocks=1)
    assert severity(situation(within=10, counted=one), "deadlocks") is Severity.WARNING
    assert found(situation(counted=one, reset=NOON - timedelta(days=2)), "deadlocks") is None
    assert severity(situation(counted=one, reset=NOON - timedelta(hours=20)), "deadlocks") is Severity.WARNING
    assert found(situation(counted=one), "deadlocks") is None  # nobody knows since when


def test_temporary_files() -> None:
    spilled = replace(COUNTED, temp_files=3, temp_bytes=2**30 // 100)
    spill = Spill(queryid=1, query="SELECT big", calls=1, temp_bytes=5)
    one = found(situation(within=36, counted=replace(spilled, temp_bytes=2**30 // 99), spills=(spill,)), "temp-spill")
    assert one is not None and "SELECT big" in one.message
    assert found(situation(within=37, counted=spilled), "temp-spill") is None


def test_waits_of_those_that_hold_a_connection() -> None:
    def waited(kind: str, count: int) -> Situation:
        return situation(
            within=10, counted=COUNTED, samples=[(group("active", 4), group("active", count, kind, "x"))] * 40
        )

    assert severity(waited("Lock", 1), "lock-waits") is Severity.WARNING
    assert severity(waited("LWLock", 2), "lwlock-waits") is Severity.WARNING
    assert found(waited("LWLock", 1), "lwlock-waits") is None
    assert found(waited("IO", 4), "lock-waits") is None


def bouncer(**changes: Any) -> Watched:
    pool = Pool(
        database="shop", user="app", mode="transaction", cl_active=2, cl_waiting=3, sv_active=2, sv_idle=0, sv_other=0,
        maxwait_s=1.0, size=2,
    )  # fmt: skip
    settings = {"query_wait_timeout": "5", "max_client_conn": "100", "reserve_pool_size": "0"}
    one = Bouncer(
        name="there", version="1.25", read_at=0, pools=(replace(pool, **changes.pop("pool", {})),), work={},
        settings=settings | changes.pop("settings", {}), clients=changes.pop("clients", 5),
    )  # fmt: skip
    return Watched(first=one, last=one, looks=(one.pools,))


def test_clients_that_wait_in_pgbouncer() -> None:
    assert severity(situation(bouncer=bouncer()), "pool-wait") is Severity.WARNING
    assert severity(situation(bouncer=bouncer(pool={"maxwait_s": 10})), "pool-wait") is Severity.CRITICAL
    assert found(situation(bouncer=bouncer(pool={"maxwait_s": 0.9})), "pool-wait") is None
    one = found(situation(bouncer=bouncer(pool={"size": 9})), "pool-wait")
    assert one is not None and "could not connect" in one.action


def test_settings_of_pgbouncer() -> None:
    assert severity(situation(bouncer=bouncer(clients=80)), "pooler-clients-used") is Severity.WARNING
    assert severity(situation(bouncer=bouncer(clients=95)), "pooler-clients-used") is Severity.CRITICAL
    assert found(situation(bouncer=bouncer(pool={"size": 100})), "pooler-exceeds-server") is None
    assert severity(situation(bouncer=bouncer(pool={"size": 101})), "pooler-exceeds-server") is Severity.WARNING
    for timeout, expected in (("60", None), ("0", Severity.INFO), ("120", Severity.INFO)):
        seen = situation(bouncer=bouncer(settings={"query_wait_timeout": timeout}))
        assert severity(seen, "pooler-wait-timeout") == expected


def test_the_worst_comes_first() -> None:
    seen = situation(
        session(1, "idle in transaction", state_s=301, xact_s=301), session(2, "active"),
        waits=[wait(2, 1, seconds=70)], bouncer=bouncer(settings={"query_wait_timeout": "120"}),
    )  # fmt: skip
    severities = [each.severity for each in judge(seen).findings]
    assert severities == sorted(severities, reverse=True) and len(severities) > 2
    assert judge(seen).worst is Severity.CRITICAL
    assert judge(situation()).worst is None


def test_no_name_steers_the_terminal() -> None:
    bad = session(3, "idle in transaction", state_s=400, xact_s=400, usename="a\x1b[31mb", datname="c\rd")
    seen = situation(bad, session(4, "active", usename="e\x9bf"), waits=[wait(4, 3)])
    for markdown in (False, True):
        page = screen(judge(seen), 80, markdown=markdown)
        assert "a?[31mb@c?d" in page and "e?f" in page
        assert all(c.isprintable() or c == "\n" for c in page)
    coloured = screen(judge(seen), 80, colour=True)
    assert set(re.findall(r"\x1b\[[0-9;]*m", coloured)) == {"\x1b[0m", "\x1b[1;33m"}


def unseen(seen: Situation) -> str:
    return "\n".join(f"{each.what}: {each.why}; {each.remedy}" for each in judge(seen).unseen)


def test_what_is_not_known_is_said() -> None:
    hidden = session(5, None, backend_type=None)
    assert 'GRANT pg_monitor TO "me"' in unseen(situation(session(is_own=True), hidden))
    assert "track_activities is off" in unseen(situation(session(state="disabled")))
    limits = Limits(max_connections=10, superuser_reserved_connections=3, switches={"track_counts": False})
    assert "track_counts is off" in unseen(situation(limits=limits))
    assert "never reset" in unseen(situation())
    assert "reset 5 min ago" in unseen(situation(reset=NOON - timedelta(minutes=5)))
    assert "went back by 1 h" in unseen(situation(snapshot=Snapshot(clients=(), others=(), skew_s=3600)))
    assert "PostgreSQL 14 began" in unseen(situation(version_num=130_001, version="13.1"))
    assert "--interval" in unseen(situation())
    assert "--interval" not in unseen(situation(within=10))
    assert "--log" not in unseen(situation(bouncer=bouncer()))
    assert "refused the connection" in unseen(situation(bouncer_lost="refused the connection"))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.0123, "12.3 ms"), (3.21, "3.2 s"), (59.7, "1 min"), (75, "1 min 15 s"), (3600, "1 h"), (90_000, "1 d 1 h")],
)
def test_durations_in_words(seconds: float, expected: str) -> None:
    assert words.duration(seconds) == expected

"""What is wrong with what goes on: how connections are used, broken and waited in, counted over some time."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.pool.occupancy import holders
from dbtune.pool.occupancy.finding import Finding, Severity
from dbtune.pool.occupancy.present import USED
from dbtune.pool.occupancy.words import amount, duration, per_second, plural, share
from dbtune.server.counters import Counters
from dbtune.server.situation import Situation
from dbtune.server.traffic import Traffic

BROKEN_SHARE, BROKEN_LEAST = 0.01, 2
WASTE_SHARE, WASTE_LEAST = 0.05, 10
CHURN, SHORT_SESSION_S = 1.0, 60.0
IDLE_SHARE, APP_SHARE = 0.05, 0.5
ROLLBACK_SHARE, ROLLBACK_LEAST = 0.10, 20
DEADLOCKS_A_DAY = 1.0
SPILL_AN_HOUR, SPILL_LEAST_S = 2.0**30, 3600.0
LOCK_SHARE, LWLOCK_SHARE, LEAST_SAMPLES = 0.2, 0.3, 20
_HOUR, _DAY = 3600.0, 86_400.0


def findings(situation: Situation) -> Iterator[Finding]:
    """Yield what the interval shows in each database, or without one what was counted in this since the reset."""
    observation = situation.observation
    if observation is None:
        counted, seconds = situation.counted, situation.counted_s
        since = situation.counted_since
        when = "" if since is None else f" since {since:%Y-%m-%d %H:%M}"
        yield from idle_share_since(counted, situation.database, when)
        yield from broken(counted, situation.database, when)
        yield from rollbacks(counted, situation.database, when)
        if seconds is not None and seconds >= SPILL_LEAST_S:
            yield from deadlocks(counted, situation.database, when, seconds)
            yield from spilled(situation, counted, situation.database, when, seconds)
        return
    for name in observation.databases:
        traffic = observation.traffic(name)
        when = f" within {duration(traffic.seconds)}"
        yield from wasted(traffic, situation)
        yield from unpooled(traffic)
        yield from idle_share(traffic)
        yield from broken(traffic.added, name, when)
        yield from rollbacks(traffic.added, name, when)
        yield from deadlocks(traffic.added, name, when, None)
        yield from spilled(situation, traffic.added, name, when, traffic.seconds)
    yield from waited(situation)


def wasted(traffic: Traffic, situation: Situation) -> Iterator[Finding]:
    """Yield that most of the open connections do nothing while others work."""
    if traffic.utilisation is None or traffic.busy is None or traffic.is_quiet:
        return
    if traffic.open < WASTE_LEAST or traffic.utilisation >= WASTE_SHARE:
        return
    full = situation.peak / max(1, situation.limits.usable) >= USED
    peak = "" if traffic.peak is None else f", at most {traffic.peak}"
    yield Finding(
        check="pool-waste",
        object=f"database {traffic.database}",
        severity=Severity.WARNING if full else Severity.INFO,
        message=f"{traffic.busy:.1f} of {traffic.open:.0f} open connections are in use on average{peak}",
        action="smaller pools do: see dbtune size",
        evidence={"busy": traffic.busy, "open": traffic.open, "peak": traffic.peak},
    )


def unpooled(traffic: Traffic) -> Iterator[Finding]:
    """Yield that connections are made for short use again and again."""
    if traffic.churn is None or traffic.churn <= CHURN:
        return
    if traffic.session_s is None or traffic.session_s >= SHORT_SESSION_S:
        return
    yield Finding(
        check="no-pooling",
        object=f"database {traffic.database}",
        severity=Severity.WARNING,
        message=f"{per_second(traffic.churn, 'new sessions')}, which last {duration(traffic.session_s)} on average:"
        " connections are not kept",
        action="keep them: a pool in the application (not NullPool; pool_size as large as what is in use, so that"
        " max_overflow is not opened and closed all the time), or PgBouncer in between",
        evidence={"sessions_per_s": traffic.churn, "session_s": traffic.session_s},
    )


def idle_share(traffic: Traffic) -> Iterator[Finding]:
    """Yield that connections are held while the server waits for the application."""
    if traffic.app_share is None or traffic.busy is None or not traffic.open:
        return
    idle = (traffic.busy - traffic.stuck) * traffic.app_share
    yield from _idle_share(
        traffic.database, traffic.app_share, idle / traffic.open, traffic.hold, f" ({idle:.1f} connections on average)"
    )


def idle_share_since(counted: Counters, database: str, when: str) -> Iterator[Finding]:
    """Yield the same of what was counted since the statistics' reset."""
    if counted.app_share is None or not counted.session_time or counted.idle_in_transaction_time is None:
        return
    of_session = counted.idle_in_transaction_time / counted.session_time
    yield from _idle_share(database, counted.app_share, of_session, counted.hold_s, when)


def _idle_share(database: str, app_share: float, of_session: float, hold: float | None, more: str) -> Iterator[Finding]:
    if of_session <= IDLE_SHARE:
        return
    held = "time that connections are held," if hold is None else f"{duration(hold)} that one is held,"
    yield Finding(
        check="idle-in-transaction-share",
        object=f"database {database}",
        severity=Severity.WARNING if app_share >= APP_SHARE else Severity.INFO,
        message=f"for {share(app_share)} of the {held} the server waits for the application, idle in transaction{more}",
        action="commit earlier, and do other work (HTTP calls, rendering) outside of the transaction; only then look at"
        " the size of pools",
        evidence={"app_share": app_share, "share_of_session_time": of_session, "hold_s": hold},
    )


def broken(counted: Counters, database: str, when: str) -> Iterator[Finding]:
    """Yield that sessions ended otherwise than by their client's word."""
    if counted.broken is None or counted.sessions is None or counted.broken < BROKEN_LEAST:
        return
    sessions = max(counted.sessions, counted.broken)
    if counted.broken / sessions <= BROKEN_SHARE:
        return
    kinds = {
        "abandoned": counted.sessions_abandoned or 0,
        "fatal": counted.sessions_fatal or 0,
        "killed": counted.sessions_killed or 0,
    }
    steps = {
        "abandoned": "abandoned: the client was gone (killed workers, a proxy's or network's time-out)",
        "fatal": "fatal: see the server's log for FATAL",
        "killed": "killed: somebody used pg_terminate_backend or a time-out ended them",
    }
    worst = max(kinds, key=lambda kind: kinds[kind])
    yield Finding(
        check="broken-sessions",
        object=f"database {database}",
        severity=Severity.WARNING,
        message=f"{plural(counted.broken, 'session')} of {sessions:,} ended broken{when}:"
        f" {', '.join(f'{count:,} {kind}' for kind, count in kinds.items() if count)}",
        action=f"{steps[worst]}; dbtune connections --log FILE reads logs for it",
        evidence={"sessions": counted.sessions, **kinds},
    )


def rollbacks(counted: Counters, database: str, when: str) -> Iterator[Finding]:
    """Yield that many transactions are rolled back."""
    if counted.transactions < ROLLBACK_LEAST:
        return
    part = counted.xact_rollback / counted.transactions
    if part <= ROLLBACK_SHARE:
        return
    yield Finding(
        check="rollbacks",
        object=f"database {database}",
        severity=Severity.WARNING,
        message=f"{share(part)} of {plural(counted.transactions, 'transaction')} were rolled back{when}",
        action="errors in the server's log tell why; sessions that only read and are closed without COMMIT count too,"
        " and cost nothing",
        evidence={"xact_rollback": counted.xact_rollback, "transactions": counted.transactions},
    )


def deadlocks(counted: Counters, database: str, when: str, seconds: float | None) -> Iterator[Finding]:
    """Yield deadlocks: any within an interval (``seconds`` None), else if there was more than one a day."""
    if not counted.deadlocks:
        return
    if seconds is not None and counted.deadlocks / seconds * _DAY < DEADLOCKS_A_DAY:
        return
    yield Finding(
        check="deadlocks",
        object=f"database {database}",
        severity=Severity.WARNING,
        message=f"{plural(counted.deadlocks, 'deadlock')}{when}",
        action="the server's log has both statements of each; lock rows in the same order everywhere",
        evidence={"deadlocks": counted.deadlocks},
    )


def spilled(situation: Situation, counted: Counters, database: str, when: str, seconds: float) -> Iterator[Finding]:
    """Yield that statements write much to temporary files, and which do."""
    hourly = counted.temp_bytes / seconds * _HOUR
    if hourly <= SPILL_AN_HOUR:
        return
    spills = situation.spills or () if database == situation.database else ()
    worst = f"; most by: {spills[0].query}" if spills else ""
    yield Finding(
        check="temp-spill",
        object=f"database {database}",
        severity=Severity.WARNING,
        message=f"{amount(counted.temp_bytes)} in {plural(counted.temp_files, 'temporary file')}{when},"
        f" {amount(hourly)} an hour{worst}",
        action="more work_mem for those statements, or an index that gives the order; dbtune explain shows sorts and"
        " hashes on disk",
        evidence={
            "temp_bytes": counted.temp_bytes,
            "bytes_per_hour": hourly,
            "queries": [each.query for each in spills],
        },
    )


def waited(situation: Situation) -> Iterator[Finding]:
    """Yield that sessions which hold a connection wait for each other instead of working."""
    samples = situation.observation.samples if situation.observation is not None else ()
    if len(samples) < LEAST_SAMPLES:
        return
    active = [each for each in holders.waits((), samples) if each.state == "active"]
    total = sum(each.mean for each in active)
    for check, kind, most, step in (
        (
            "lock-waits",
            "Lock",
            LOCK_SHARE,
            "a larger pool only lets more of them wait: shorter transactions, see blocking",
        ),
        (
            "lwlock-waits",
            "LWLock",
            LWLOCK_SHARE,
            "too many work at once: fewer connections get more done, see dbtune size --sweep",
        ),
    ):
        found = [each for each in active if each.kind == kind]
        mean = sum(each.mean for each in found)
        if mean >= 1 and mean / total >= most:
            yield Finding(
                check=check,
                object="server",
                severity=Severity.WARNING,
                message=f"{share(mean / total)} of the sessions at a statement wait for {kind}"
                f" {found[0].event} ({mean:.1f} of {total:.1f} on average)",
                action=step,
                evidence={"waiting": mean, "active": total, "event": found[0].event},
            )

"""What logs prove: requests that got no connection, and sessions that ended badly."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from dbtune.pool.occupancy.finding import Finding, Severity
from dbtune.pool.occupancy.words import duration, plural
from dbtune.workload.capture.log.events import Kind
from dbtune.workload.capture.log.gathered import Gathered

_SIZE = "see dbtune size for pools that fit together"


def findings(told: Gathered) -> Iterator[Finding]:
    """Yield what the logs tell."""
    yield from refused(told)
    yield from timed_out(told)
    for kind, check, severity, what, step in (
        (
            Kind.LOST_IN_TRANSACTION,
            "lost-in-transaction",
            Severity.WARNING,
            "client lost within an open transaction",
            "workers were killed or timed out while they held a connection: order the time-outs statement < pool <"
            " worker < load balancer",
        ),
        (
            Kind.IDLE_IN_TRANSACTION,
            "ended-in-transaction",
            Severity.WARNING,
            "session ended by idle_in_transaction_session_timeout",
            "find what the application does between its statements; the log names the session",
        ),
        (
            Kind.DEADLOCK,
            "deadlocks",
            Severity.WARNING,
            "deadlock",
            "the log has both statements of each; lock rows in the same order everywhere",
        ),
        (
            Kind.LOCK_WAIT,
            "logged-lock-waits",
            Severity.INFO,
            "wait for a lock that was logged",
            "the log names who waited and for what; shorter transactions",
        ),
    ):
        tally = told.events.get(kind)
        if tally is not None:
            longest = f", the longest {duration(tally.most / 1000)}" if kind is Kind.LOCK_WAIT and tally.most else ""
            times = "" if tally.count == 1 else f", {tally.count:,} times"
            yield Finding(
                check=check,
                object="log",
                severity=severity,
                message=f"{what}{times}{longest}{_period(tally.first, tally.last)}",
                action=step,
                evidence={"count": tally.count},
            )


def refused(told: Gathered) -> Iterator[Finding]:
    """Yield that the server had no connection left: its own log says so, or an application's."""
    server = told.events.get(Kind.TOO_MANY_CLIENTS)
    refusals = told.evidence.refusals
    if server is None and not refusals.count:
        return
    count = max(server.count if server is not None else 0, refusals.count)
    first, last = (server.first, server.last) if server is not None else (refusals.first, refusals.last)
    yield Finding(
        check="connections-refused",
        object="log",
        severity=Severity.CRITICAL,
        message=f"the server refused {plural(count, 'connection')} (SQLSTATE 53300){_period(first, last)}",
        action=f"all pools together may open more than the server has: {_SIZE}",
        evidence={"count": count},
    )


def timed_out(told: Gathered) -> Iterator[Finding]:
    """Yield that requests waited for a pool in vain."""
    for _, pool in sorted(told.evidence.pools.items()):
        if pool.timeouts:
            size = f"{pool.size}" + ("" if pool.max_overflow is None else f" + {pool.max_overflow}")
            after = "" if pool.timeout_seconds is None else f" for {pool.timeout_seconds:g} s"
            yield Finding(
                check="pool-timeouts",
                object=f"pool of {size}",
                severity=Severity.WARNING,
                message=f"{plural(pool.timeouts, 'request')} waited{after} for one of {size} connections and got none"
                f"{_period(pool.first, pool.last)}",
                action="first what holds the connections (idle in transaction, blocking, slow statements); then"
                f" {_SIZE}",
                evidence={"timeouts": pool.timeouts, "pool_size": pool.size, "max_overflow": pool.max_overflow},
            )


def _period(first: datetime | None, last: datetime | None) -> str:
    times = list(dict.fromkeys(f"{each:%Y-%m-%d %H:%M}" for each in (first, last) if each is not None))
    return f", {' to '.join(times)}" if times else ""

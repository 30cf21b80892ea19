"""What is wrong with a PgBouncer's pools."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.pool.occupancy.finding import Finding, Severity
from dbtune.pool.occupancy.present import NEARLY_ALL, USED
from dbtune.pool.occupancy.words import duration, plural, share
from dbtune.server.pgbouncer import Pool
from dbtune.server.situation import Situation, Watched

WAIT_S, WAIT_LONG_S = 1.0, 10.0
LONG_TIMEOUT_S = 60


def findings(situation: Situation) -> Iterator[Finding]:
    """Yield what PgBouncer's console shows."""
    watched = situation.bouncer
    if watched is None:
        return
    yield from waiting(watched)
    yield from clients(watched)
    yield from oversized(watched, situation.limits.usable)
    timeout = watched.last.number("query_wait_timeout")
    if timeout is not None and (timeout == 0 or timeout > LONG_TIMEOUT_S):
        yield Finding(
            check="pooler-wait-timeout",
            object="PgBouncer",
            severity=Severity.INFO,
            message=f"query_wait_timeout is {f'{timeout} s' if timeout else 'off'}: clients wait in PgBouncer after"
            " their own callers have given up",
            action="set it below the time-outs of the application and its load balancer, such as 5 s",
            evidence={"query_wait_timeout_s": timeout},
        )


def waiting(watched: Watched) -> Iterator[Finding]:
    """Yield pools whose clients wait for a connection: the longest wait at any look."""
    worst: dict[str, Pool] = {}
    for pool in (pool for look in watched.looks for pool in look):
        if pool.name not in worst or pool.maxwait_s > worst[pool.name].maxwait_s:
            worst[pool.name] = pool
    for name, pool in sorted(worst.items()):
        if pool.maxwait_s < WAIT_S or not pool.cl_waiting:
            continue
        full = pool.size is not None and pool.servers >= pool.size
        size = "" if pool.size is None else f" of {pool.size}"
        yield Finding(
            check="pool-wait",
            object=f"pool {name}",
            severity=Severity.CRITICAL if pool.maxwait_s >= WAIT_LONG_S else Severity.WARNING,
            message=f"{plural(pool.cl_waiting, 'client')} waited for a connection, the first for"
            f" {duration(pool.maxwait_s)}, with {pool.servers}{size} server connections, {pool.sv_active} of them in"
            " use",
            action="shorter transactions, or a larger pool_size if the server has room; see dbtune size"
            if full
            else "the pool is not full, so PgBouncer could not connect: see its log and max_db_connections",
            evidence={
                "cl_waiting": pool.cl_waiting,
                "maxwait_s": pool.maxwait_s,
                "sv_active": pool.sv_active,
                "pool_size": pool.size,
            },
        )


def clients(watched: Watched) -> Iterator[Finding]:
    """Yield that PgBouncer will take no more clients."""
    most, used = watched.last.number("max_client_conn"), watched.last.clients
    if not most or used / most < USED:
        return
    yield Finding(
        check="pooler-clients-used",
        object="PgBouncer",
        severity=Severity.CRITICAL if used / most >= NEARLY_ALL else Severity.WARNING,
        message=f"{used} of max_client_conn = {most} clients are connected ({share(used / most)})",
        action="raise max_client_conn (an idle client costs it some kB, and a file descriptor), or smaller pools",
        evidence={"clients": used, "max_client_conn": most},
    )


def oversized(watched: Watched, usable: int) -> Iterator[Finding]:
    """Yield that the pools together may open more connections than the server has."""
    pools = [pool for pool in watched.last.pools if pool.size is not None]
    reserve = watched.last.number("reserve_pool_size") or 0
    most = sum((pool.size or 0) + reserve for pool in pools)
    if most <= usable:
        return
    yield Finding(
        check="pooler-exceeds-server",
        object="PgBouncer",
        severity=Severity.WARNING,
        message=f"{plural(len(pools), 'pool')} may open {most} connections, one pool for each database and role; the"
        f" server has {usable}",
        action="smaller pool_size, or max_db_connections, if all of them are on this server",
        evidence={"most": most, "usable": usable, "pools": len(pools)},
    )

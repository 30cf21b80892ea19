"""What is wrong at this moment: connections that run out, sessions that stay, sessions in the way of others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from dbtune.pool.occupancy import blocking, holders
from dbtune.pool.occupancy.finding import Finding, Severity
from dbtune.pool.occupancy.words import duration, plural, share
from dbtune.server.sessions import Session
from dbtune.server.situation import Situation
from dbtune.sql import quote_identifier

USED, NEARLY_ALL = 0.80, 0.95
IDLE_S, IDLE_LONG_S = 300.0, 3600.0
QUERY_S, TRANSACTION_S = 60.0, 1800.0
BLOCKED_S, BLOCKED_LONG_S, MANY_BLOCKED = 10.0, 60.0, 10
_NAMED = 3
_MAINTENANCE = re.compile(
    r"(?:/\*.*?\*/\s*)*(?:VACUUM|ANALYZE|REINDEX|CLUSTER|REFRESH|COPY|CREATE\s+(?:UNIQUE\s+)?INDEX|CHECKPOINT)\b",
    re.IGNORECASE,
)
_TOOLS = ("pg_dump", "pg_dumpall", "pg_restore", "pg_basebackup", "dbtune")


def findings(situation: Situation) -> Iterator[Finding]:
    """Yield what a look at the server shows."""
    clients = [each for each in situation.snapshot.clients if not each.is_own]
    yield from used(situation)
    yield from blocked(situation)
    yield from idle_in_transaction(clients, situation)
    yield from limited(situation)
    yield from long_running(clients)


def used(situation: Situation) -> Iterator[Finding]:
    """Yield that ordinary roles' connections run out."""
    limits = situation.limits
    if (severity := _severity(situation.peak, limits.usable)) is None:
        return
    clients = situation.snapshot.clients
    idle = sum(each.state == "idle" for each in clients)
    now = "" if situation.peak == situation.used else f", {situation.used} now"
    who = "".join(
        f"; {most.application_name} ({most.usename}@{most.datname}) has {most.open}"
        for most in holders.holders(clients, ())[:1]
    )
    if "max_connections" in limits.pending:
        step = "max_connections was changed and waits for a restart"
    elif idle > len(clients) / 2:
        step = f"{idle} of {situation.used} are idle: smaller pools, or a pooler, free them; see dbtune size"
    else:
        step = "end what is listed here as stuck first, then see dbtune size for pools that fit"
    yield Finding(
        check="connections-used",
        object="server",
        severity=severity,
        message=f"{situation.peak} of {limits.usable} usable connections were taken"
        f" ({share(situation.peak / max(1, limits.usable))}){now}{who}",
        action=step,
        evidence={"peak": situation.peak, "used": situation.used, "usable": limits.usable, "idle": idle},
    )


def limited(situation: Situation) -> Iterator[Finding]:
    """Yield roles and databases that come near a limit of their own."""
    clients = situation.snapshot.clients
    roles = Counter(each.usename for each in clients)
    databases = Counter(each.datname for each in clients)
    for check, kind, limits, counted in (
        ("role-limit-used", "role", situation.limits.roles, roles),
        ("database-limit-used", "database", situation.limits.databases, databases),
    ):
        for limit in limits:
            if limit.most and (severity := _severity(counted[limit.name], limit.most)) is not None:
                yield Finding(
                    check=check,
                    object=f"{kind} {limit.name}",
                    severity=severity,
                    message=f"it has {counted[limit.name]} of the {limit.most} connections that it may have",
                    action="smaller pools, or a higher limit if the server has room:"
                    f" ALTER {kind.upper()} {quote_identifier(limit.name)} CONNECTION LIMIT …",
                    evidence={"used": counted[limit.name], "limit": limit.most},
                )


def idle_in_transaction(clients: Sequence[Session], situation: Situation) -> Iterator[Finding]:
    """Yield that sessions have been idle in transaction for minutes."""
    found = sorted(
        (each for each in clients if each.is_idle_in_transaction and (each.state_s or 0) >= IDLE_S),
        key=lambda each: -(each.state_s or 0),
    )
    if not found:
        return
    oldest = found[0]
    guard = ""
    if not situation.limits.timeouts.get("idle_in_transaction_session_timeout") and oldest.usename:
        guard = (
            f"; against the next one: ALTER ROLE {quote_identifier(oldest.usename)}"
            " SET idle_in_transaction_session_timeout = '1min'"
        )
    yield Finding(
        check="idle-in-transaction",
        object=f"pid {oldest.pid}",
        severity=Severity.CRITICAL if (oldest.state_s or 0) >= IDLE_LONG_S else Severity.WARNING,
        message=f"{_many(found)} idle in transaction for more than {duration(IDLE_S)}: {_named(found)}",
        action=f"find why {oldest.application_name or 'it'} neither commits nor rolls back, and end it:"
        f" SELECT pg_terminate_backend({oldest.pid}){guard}",
        evidence={"sessions": len(found), "longest_s": oldest.state_s, "pids": [str(each.pid) for each in found]},
    )


def long_running(clients: Sequence[Session]) -> Iterator[Finding]:
    """Yield transactions and statements that run for long; maintenance and waiting for locks are not meant."""
    ordinary = [each for each in clients if not is_maintenance(each)]
    transactions = sorted(
        (
            each
            for each in ordinary
            if (each.xact_s or 0) >= TRANSACTION_S
            and not (each.is_idle_in_transaction and (each.state_s or 0) >= IDLE_S)
        ),
        key=lambda each: -(each.xact_s or 0),
    )
    if transactions:
        oldest = transactions[0]
        yield Finding(
            check="long-transaction",
            object=f"pid {oldest.pid}",
            severity=Severity.WARNING,
            message=f"{_many(transactions)} in a transaction for more than {duration(TRANSACTION_S)}:"
            f" {_named(transactions)}",
            action="smaller transactions; until this one ends, VACUUM removes nothing that it might still see"
            f" (SELECT pg_cancel_backend({oldest.pid}) stops its statement)",
            evidence={
                "sessions": len(transactions),
                "longest_s": oldest.xact_s,
                "pids": [str(each.pid) for each in transactions],
            },
        )
    told = {each.pid for each in transactions}
    statements = sorted(
        (
            each
            for each in ordinary
            if each.state == "active"
            and (each.query_s or 0) >= QUERY_S
            and each.wait_event_type != "Lock"
            and each.pid not in told
        ),
        key=lambda each: -(each.query_s or 0),
    )
    if statements:
        oldest = statements[0]
        yield Finding(
            check="long-query",
            object=f"pid {oldest.pid}",
            severity=Severity.WARNING,
            message=f"{_many(statements)} at one statement for more than {duration(QUERY_S)}: {_named(statements)}",
            action="see its plan with dbtune explain; a statement_timeout for the role ends such statements",
            evidence={
                "sessions": len(statements),
                "longest_s": oldest.query_s,
                "query_id": oldest.query_id,
                "pids": [str(each.pid) for each in statements],
            },
        )


def blocked(situation: Situation) -> Iterator[Finding]:
    """Yield sessions that others have waited for longer than a moment."""
    for tree in blocking.trees(situation.snapshot):
        if tree.longest_s < BLOCKED_S:
            continue
        severe = tree.longest_s >= BLOCKED_LONG_S or tree.size >= MANY_BLOCKED
        yield Finding(
            check="blocking",
            object=f"pid {tree.pid}" if tree.pid else "prepared transaction",
            severity=Severity.CRITICAL if severe else Severity.WARNING,
            message=f"{head(tree)} blocks {plural(tree.size, 'session')}, the longest for"
            f" {'up to ' if situation.version_num < 140_000 else ''}{duration(tree.longest_s)}",
            action=release(tree),
            evidence={"blocked": tree.size, "longest_s": tree.longest_s},
        )


def head(tree: blocking.Node) -> str:
    """Return who is at the head of a tree, in words."""
    if tree.pid == blocking.PREPARED:
        return "a prepared transaction"
    return f"pid {tree.pid}" if tree.session is None else f"{named(tree.session)}, {doing(tree.session)},"


def release(tree: blocking.Node) -> str:
    """Return the next step for those that wait below."""
    session = tree.session
    if tree.pid == blocking.PREPARED:
        return "find it in pg_prepared_xacts, then COMMIT PREPARED or ROLLBACK PREPARED"
    if tree.wait is not None:
        return "they wait for each other: the server ends one of them after deadlock_timeout, and logs the statements"
    if session is None or session.is_hidden:
        return f"ask as a member of pg_monitor what pid {tree.pid} does"
    if session.is_client and session.state != "active":
        return f"have it commit or roll back, or end it: SELECT pg_terminate_backend({tree.pid})"
    if session.is_client:
        return f"wait until its statement ends, or stop it: SELECT pg_cancel_backend({tree.pid})"
    return f"it is no client but {session.backend_type}: wait, or SELECT pg_cancel_backend({tree.pid})"


def is_maintenance(session: Session) -> bool:
    """Return whether it is expected to take long."""
    return session.application_name.startswith(_TOOLS) or _MAINTENANCE.match(session.query) is not None


def named(session: Session) -> str:
    """Return which session this is: ``pid 4711 (web, app@shop, 10.0.0.5)``."""
    who = f"{session.usename}@{session.datname}" if session.datname else session.usename or session.backend_type
    facts = [session.application_name, who, session.client_addr]
    return f"pid {session.pid} ({', '.join(fact for fact in facts if fact)})"


def doing(session: Session) -> str:
    """Return what it does, and since when: ``idle in transaction for 5 min``."""
    if session.is_hidden:
        return "hidden from this role"
    if session.state is None:
        return session.backend_type or "starting"
    since = session.query_s if session.state == "active" else session.state_s
    return session.state if since is None else f"{session.state} for {duration(since)}"


def _severity(count: int, most: int) -> Severity | None:
    part = count / max(1, most)
    if part < USED:
        return None
    return Severity.CRITICAL if part >= NEARLY_ALL else Severity.WARNING


def _many(found: Sequence[Session]) -> str:
    return f"{plural(len(found), 'session')} {'is' if len(found) == 1 else 'are'}"


def _named(found: Sequence[Session]) -> str:
    """Return the first sessions in words, with the statement of the first."""
    told = [f"{named(each)} {doing(each)}" for each in found[:_NAMED]]
    if found[0].query:
        told[0] += f", {'after' if found[0].state != 'active' else 'running'} {found[0].query}"
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return "; ".join(told) + more

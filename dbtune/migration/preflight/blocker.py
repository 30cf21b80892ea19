"""Who an upgrade would have to wait for now: locks on its tables, old snapshots, prepared transactions, deployers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from dbtune import sql
from dbtune.migration.block import lock_key
from dbtune.server.connection import MARKER

BUILDING = frozenset(
    {
        "RowExclusiveLock",
        "ShareUpdateExclusiveLock",
        "ShareLock",
        "ShareRowExclusiveLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    }
)
"""Locks that a build waits for: those of writers (SHARE), and those of other builds, VACUUM and ALTER (its own)."""

ANY = BUILDING | {"AccessShareLock", "RowShareLock"}
"""Locks that DROP INDEX CONCURRENTLY and ALTER TABLE wait for."""

_EXCERPT = 80
_WRAPAROUND = "(to prevent wraparound)"


class Kind(StrEnum):
    """What somebody who is in the way is."""

    SESSION = "session"
    PREPARED = "prepared transaction"
    BUILD = "build"
    AUTOVACUUM = "autovacuum"
    """It gives way to whoever wants its lock."""

    WRAPAROUND = "wraparound autovacuum"
    """It does not give way."""

    DEPLOYER = "deployer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock on a table, or one that is waited for."""

    table: str
    mode: str
    granted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """Somebody in the way. ``open_seconds`` is the age of the transaction; None where it is not shown, or none is open.

    ``locks`` are those that would be waited for; ``snapshot`` tells that its snapshot would. ``is_shown`` tells whether
    this role may see what the session does.
    """

    kind: Kind
    pid: int | None = None
    gid: str | None = None
    role: str | None = None
    application: str | None = None
    address: str | None = None
    state: str | None = None
    open_seconds: float | None = None
    query: str | None = None
    locks: tuple[Lock, ...] = ()
    snapshot: bool = False
    is_shown: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A table that work is done on: its oid, its name as SQL, and the lock modes that the work waits for.

    ``is_overdue``: an autovacuum of it does not give way.
    """

    oid: int
    name: str
    modes: frozenset[str]
    is_overdue: bool = False


def read(connection: Connection, relations: Sequence[Relation], *, snapshots: bool) -> tuple[Blocker, ...]:
    """Return who is in the way of work on these tables, those first who began first.

    ``snapshots``: an index is to be built CONCURRENTLY, which waits for all older snapshots of the database.
    """
    by_oid = {each.oid: each for each in relations}
    keys = [lock_key("every upgrade"), *(lock_key(each.name) for each in relations)]
    locks: dict[int | str, list[Lock]] = {}
    prepared: dict[str, RowMapping] = {}
    deployers: set[int] = set()
    for row in _rows(connection, "migration_preflight_locks", oids=list(by_oid), keys=keys):
        if row["key"] is not None:
            deployers.add(row["pid"])
            continue
        relation = by_oid[row["relation"]]
        if row["mode"] not in relation.modes:
            continue
        whose = row["gid"] or "unknown" if row["pid"] is None else row["pid"]
        locks.setdefault(whose, []).append(Lock(table=relation.name, mode=row["mode"], granted=row["granted"]))
        if row["pid"] is None:
            prepared[whose] = row
    pids = [*deployers, *(each for each in locks if isinstance(each, int))]
    overdue = {each.name for each in relations if each.is_overdue}
    found = [_prepared(row, locks[whose]) for whose, row in prepared.items()]
    found += [
        _session(row, locks.get(row["pid"], []), deployers, overdue, snapshots=snapshots)
        for row in _rows(connection, "migration_preflight_sessions", pids=pids)
    ]
    connection.rollback()
    wanted = [each for each in found if each.locks or each.snapshot or each.kind is Kind.DEPLOYER]
    return tuple(sorted(wanted, key=lambda each: -(each.open_seconds or 0.0)))


def _rows(connection: Connection, name: str, **given: Any) -> list[RowMapping]:
    return list(connection.execute(text(f"{MARKER}\n{sql.load(name)}"), given).mappings())


def _prepared(row: RowMapping, locks: Sequence[Lock]) -> Blocker:
    return Blocker(
        kind=Kind.PREPARED, gid=row["gid"], role=row["owner"], open_seconds=row["prepared_s"], locks=tuple(locks)
    )


def _session(
    row: RowMapping, locks: Sequence[Lock], deployers: set[int], overdue: set[str], *, snapshots: bool
) -> Blocker:
    query = " ".join((row["query"] or "").split())
    kind = Kind.SESSION
    if row["pid"] in deployers:
        kind = Kind.DEPLOYER
    elif row["is_build"]:
        kind = Kind.BUILD
    elif row["is_vacuum"] and row["role"] is None:
        late = query.endswith(_WRAPAROUND) or any(each.table in overdue for each in locks)
        kind = Kind.WRAPAROUND if late else Kind.AUTOVACUUM
    cut = query if len(query) <= _EXCERPT else f"{query[: _EXCERPT - 1].rstrip()}…"
    excerpt = "(a statement with a password)" if "password" in query.lower() else cut
    return Blocker(
        kind=kind,
        pid=row["pid"],
        role=row["role"],
        application=row["application"] or None,
        address=row["address"],
        state=row["state"],
        open_seconds=row["open_s"],
        query=(excerpt or None) if row["is_shown"] else None,
        locks=tuple(locks),
        snapshot=snapshots and row["is_waited_for"],
        is_shown=row["is_shown"],
    )

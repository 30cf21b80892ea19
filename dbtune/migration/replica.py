"""Standbys that follow the server, and whether one is too far behind to be given more to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, text

from dbtune import sql
from dbtune.errors import UsageError
from dbtune.server.connection import MARKER

_LIMIT = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z]+)\s*")
_BYTES = {"B": 1, "kB": 1 << 10, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One row of dbtune/sql/migration_replicas.sql: ``bytes`` and ``seconds`` are how far it is behind in replaying.

    ``name`` is its application_name. Both are None where the role may not see them, ``seconds`` also where nothing
    was heard of the replica yet. ``seconds`` may be too many by the time since its last reply, for a moment.
    """

    pid: int
    name: str
    address: str | None
    state: str | None
    sync_state: str | None
    bytes: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How far a replica may be behind: so many ``bytes``, or ``seconds``; the other one is None."""

    bytes: int | None = None
    seconds: float | None = None

    def is_passed(self, replica: Replica) -> bool | None:
        """Return whether the replica is further behind than this; None where nobody can tell."""
        limit, lag = (self.seconds, replica.seconds) if self.bytes is None else (self.bytes, replica.bytes)
        return None if lag is None or limit is None else lag > limit


def lag(connection: Connection) -> tuple[Replica, ...]:
    """Return the replicas that are connected now, in any transaction or none; pg_stat_replication."""
    rows = connection.execute(text(f"{MARKER}\n{sql.load('migration_replicas')}")).mappings()
    return tuple(Replica(**row) for row in rows)


def limit(given: str, option: str = "--max-replica-lag") -> Limit:
    """Return what ``100MB`` or ``30s`` means; a size is in PostgreSQL's units, of which 1 kB is 1024 bytes.

    :raises UsageError: it is neither.
    """
    found = _LIMIT.fullmatch(given)
    if found is not None:
        number, unit = float(found["number"]), found["unit"]
        if unit in _BYTES:
            return Limit(bytes=round(number * _BYTES[unit]))
        if unit in _SECONDS:
            return Limit(seconds=number * _SECONDS[unit])
    raise UsageError(f"{option} {given}: write a size such as 100MB, or a time such as 30s")

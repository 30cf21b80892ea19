"""How many may connect: the server's limits, those of roles and databases, and where each was set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from dbtune import sql

CONNECTIONS = ("max_connections", "superuser_reserved_connections", "reserved_connections")
"""What decides how many may connect; ``reserved_connections`` came with PostgreSQL 16."""

TIMEOUTS = (
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
)
SWITCHES = ("track_activities", "track_counts", "log_lock_waits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How many connections one role, or all to one database, may have: rolconnlimit, datconnlimit."""

    name: str
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a server.

    ``sources`` tells for each setting where its value is from, as pg_settings.source. ``pending`` are settings that
    were changed in the file and wait for a restart. ``timeouts`` are in milliseconds, 0 for none, and those of this
    session: a role or database may have its own. ``roles`` are without superusers, whose limits are not enforced.
    """

    max_connections: int
    superuser_reserved_connections: int
    reserved_connections: int = 0
    roles: tuple[Limit, ...] = ()
    databases: tuple[Limit, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    pending: tuple[str, ...] = ()
    timeouts: Mapping[str, int] = field(default_factory=dict)
    switches: Mapping[str, bool] = field(default_factory=dict)

    @property
    def reserved(self) -> int:
        """Connections that an ordinary role does not get."""
        return self.superuser_reserved_connections + self.reserved_connections

    @property
    def usable(self) -> int:
        """Connections that ordinary roles have together."""
        return max(0, self.max_connections - self.reserved)


def read(connection: Connection) -> Limits:
    """Read the limits (pg_settings, pg_roles, pg_database); every role may. An open transaction is rolled back."""
    names = [*CONNECTIONS, *TIMEOUTS, *SWITCHES]
    rows = connection.execute(text(sql.load("limit_settings")), {"names": names}).mappings().all()
    limited = connection.execute(text(sql.load("limit_roles"))).mappings().all()
    connection.rollback()
    found = {row["name"]: row["setting"] for row in rows}
    return Limits(
        max_connections=int(found["max_connections"]),
        superuser_reserved_connections=int(found["superuser_reserved_connections"]),
        reserved_connections=int(found.get("reserved_connections", 0)),
        roles=tuple(Limit(name=row["name"], most=row["most"]) for row in limited if row["kind"] == "role"),
        databases=tuple(Limit(name=row["name"], most=row["most"]) for row in limited if row["kind"] == "database"),
        sources={row["name"]: row["source"] for row in rows},
        pending=tuple(sorted(row["name"] for row in rows if row["pending_restart"])),
        timeouts={name: int(found[name]) for name in TIMEOUTS if name in found},
        switches={name: found[name] == "on" for name in SWITCHES if name in found},
    )

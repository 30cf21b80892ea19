"""Who is connected, what they do, and who waits for whom: pg_stat_activity and pg_locks, read once or sampled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, RowMapping, text

from dbtune import sql
from dbtune.server.connection import server_version_num

CLIENT = "client backend"
IDLE_IN_TRANSACTION = ("idle in transaction", "idle in transaction (aborted)")
HOLDING = ("active", "fastpath function call", *IDLE_IN_TRANSACTION)
"""States in which somebody has a pool's connection in hand; idle outside of a transaction it may lie in the pool."""

DISABLED = "disabled"
"""The state of a session with track_activities off."""

_EXCERPT = 200
_SECRET = re.compile(r"passw|pwd|secret|token|://[^/\s:]*:[^@\s]+@", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A row of dbtune/sql/sessions.sql. Times are seconds since then; None where it is not so, or hidden.

    ``query`` is the statement that runs or the last one, on one line, without its end if it is long, and not at all
    where it could hold a password. ``is_hidden``: this role sees no more than database, role and application.
    """

    pid: int
    backend_type: str | None
    datname: str | None
    usename: str | None
    application_name: str
    client_addr: str | None
    state: str | None
    wait_event_type: str | None = None
    wait_event: str | None = None
    backend_s: float | None = None
    xact_s: float | None = None
    query_s: float | None = None
    state_s: float | None = None
    query: str = ""
    query_id: int | None = None
    is_own: bool = False

    @property
    def is_hidden(self) -> bool:
        return self.backend_type is None

    @property
    def is_client(self) -> bool:
        """Whether it takes one of max_connections; of what is hidden, a process with role and database is one."""
        return self.backend_type == CLIENT or (self.is_hidden and self.usename is not None and self.datname is not None)

    @property
    def is_idle_in_transaction(self) -> bool:
        return self.state in IDLE_IN_TRANSACTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A lock that a session waits for. ``waited_s`` needs PostgreSQL 14. Blocker 0 is a prepared transaction."""

    pid: int
    locktype: str
    mode: str
    relation: str | None
    waited_s: float | None
    blockers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All sessions at one moment. ``waits`` are by pid. ``skew_s`` is by how much a session began in the future."""

    clients: tuple[Session, ...]
    others: tuple[Session, ...]
    waits: Mapping[int, Wait] = field(default_factory=dict)
    skew_s: float = 0.0

    @property
    def hidden(self) -> int:
        """How many clients this role may not look into."""
        return sum(each.is_hidden for each in self.clients)

    @property
    def own(self) -> Session | None:
        """The session that asked."""
        return next((each for each in self.clients if each.is_own), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A row of dbtune/sql/session_sample.sql: clients that are alike.

    ``old`` of them are in a transaction that began before sampling did; into ``hidden`` of them this role may not look.
    """

    datname: str | None
    usename: str | None
    application_name: str
    client_addr: str | None
    state: str | None
    wait_event_type: str | None
    wait_event: str | None
    pids: tuple[int, ...]
    old: int = 0
    hidden: int = 0

    @property
    def count(self) -> int:
        return len(self.pids)

    @property
    def is_holding(self) -> bool:
        return self.state in HOLDING

    @property
    def is_unseen(self) -> bool:
        """Whether nobody can tell what they do."""
        return bool(self.hidden) or self.state == DISABLED


Sample = tuple[Group, ...]
"""All clients at one moment, without the session that asked."""


def read(connection: Connection) -> Snapshot:
    """Return all sessions, and the locks they wait for if any do. An open transaction is rolled back."""
    version = server_version_num(connection)
    query_id = "a.query_id" if version >= 140_000 else "NULL::int8"
    statement = sql.load("sessions").replace("/* query_id */ NULL::int8", query_id)
    rows = connection.execute(text(statement)).mappings().all()
    found = [_session(row) for row in rows]
    waits: dict[int, Wait] = {}
    if any(each.wait_event_type == "Lock" or (each.is_client and each.is_hidden) for each in found):
        waits = _waits(connection, version)
    connection.rollback()
    ages = [age for row in rows for name in ("backend_s", "state_s") if (age := row[name]) is not None]
    return Snapshot(
        clients=tuple(each for each in found if each.is_client),
        others=tuple(each for each in found if not each.is_client),
        waits=waits,
        skew_s=max(0.0, -min(ages, default=0.0)),
    )


def sample(connection: Connection, began: datetime) -> Sample:
    """Return the clients that are connected now, those that are alike together; ``began`` is when sampling did."""
    rows = connection.execute(text(sql.load("session_sample")), {"began": began}).mappings()
    return tuple(
        Group(**{**row, "application_name": _printable(row["application_name"]), "pids": tuple(row["pids"])})
        for row in rows
    )


def shown(query: str | None) -> str:
    """Return a statement fit for people: one line, no control characters, no password, not long."""
    if not query:
        return ""
    line = _printable(" ".join(query.split()))
    if _SECRET.search(query):
        return f"{line.split(' ', 1)[0][:20].upper()} … (may hold a password)"
    return line if len(line) <= _EXCERPT else f"{line[: _EXCERPT - 1]}…"


def _session(row: RowMapping) -> Session:
    values = dict(row)
    for name in ("backend_s", "xact_s", "query_s", "state_s"):
        values[name] = None if values[name] is None else max(0.0, values[name])
    values["query"] = "" if row["backend_type"] is None else shown(row["query"])
    values["application_name"] = _printable(row["application_name"])
    return Session(**values)


def _printable(text: str | None) -> str:
    return "".join(c for c in text or "" if c.isprintable())


def _waits(connection: Connection, version: int) -> dict[int, Wait]:
    waitstart = "l.waitstart" if version >= 140_000 else "NULL::timestamptz"
    statement = sql.load("session_waits").replace("/* waitstart */ NULL::timestamptz", waitstart)
    rows = connection.execute(text(statement)).mappings()
    return {
        row["pid"]: Wait(
            pid=row["pid"],
            locktype=row["locktype"],
            mode=row["mode"],
            relation=row["relation"],
            waited_s=None if row["waited_s"] is None else max(0.0, row["waited_s"]),
            blockers=tuple(dict.fromkeys(row["blockers"])),
        )
        for row in rows
    }

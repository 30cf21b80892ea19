"""What pg_stat_database has counted, once or over an interval: transactions, sessions, and the time they took."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, text

from dbtune import sql
from dbtune.server.connection import MARKER, server_version_num

_SETTLE_SECONDS = 0.6
"""Before 15 a session tells its counters twice a second at most, and so often they are written for others to read."""

COUNTERS = (
    "xact_commit",
    "xact_rollback",
    "deadlocks",
    "temp_files",
    "temp_bytes",
    "active_time",
    "idle_in_transaction_time",
    "session_time",
    "sessions",
    "sessions_abandoned",
    "sessions_fatal",
    "sessions_killed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """A database's row of dbtune/sql/database_counters_*.sql, or what was added to it. Times are milliseconds.

    What came with PostgreSQL 14 is None before. A session adds its times when it is idle outside of a transaction, and
    when it ends: a transaction that runs is not in them yet, and one that ends brings all of its time at once.
    """

    xact_commit: int
    xact_rollback: int
    deadlocks: int
    temp_files: int
    temp_bytes: int
    active_time: float | None = None
    idle_in_transaction_time: float | None = None
    session_time: float | None = None
    sessions: int | None = None
    sessions_abandoned: int | None = None
    sessions_fatal: int | None = None
    sessions_killed: int | None = None

    @property
    def transactions(self) -> int:
        """Transactions that ended, by COMMIT or ROLLBACK; a statement by itself is one too."""
        return self.xact_commit + self.xact_rollback

    @property
    def held_ms(self) -> float | None:
        """How long sessions ran a statement or were within a transaction, all together."""
        if self.active_time is None or self.idle_in_transaction_time is None:
            return None
        return self.active_time + self.idle_in_transaction_time

    @property
    def hold_s(self) -> float | None:
        """Seconds that a transaction keeps its connection, on average, as the server sees it."""
        held = self.held_ms
        return held / 1000 / self.transactions if held is not None and self.transactions else None

    @property
    def app_share(self) -> float | None:
        """The part of that time in which the server waited for the application, 0 to 1."""
        held = self.held_ms
        return self.idle_in_transaction_time / held if held and self.idle_in_transaction_time is not None else None

    @property
    def broken(self) -> int | None:
        """Sessions that did not end by the client's own word."""
        if self.sessions_abandoned is None or self.sessions_fatal is None or self.sessions_killed is None:
            return None
        return self.sessions_abandoned + self.sessions_fatal + self.sessions_killed

    def since(self, earlier: Counters) -> Counters | None:
        """Return what was added since ``earlier``; None where they began anew."""
        added = {}
        for name in COUNTERS:
            now, before = getattr(self, name), getattr(earlier, name)
            if now is not None and before is not None:
                if now < before:
                    return None
                added[name] = now - before
        return replace(self, **added)

    def without(self, transactions: int, active_ms: float) -> Counters:
        """Return the counters without committed transactions that are not the applications'."""
        return replace(
            self,
            xact_commit=max(0, self.xact_commit - transactions),
            active_time=None if self.active_time is None else max(0.0, self.active_time - active_ms),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The counters of all databases at one moment.

    ``at`` is the server's time, ``read_at`` this machine's monotonic clock in seconds. ``resets`` tells since when they
    count, None: since ever, and nobody knows when that was. ``database`` is the one of the connection.
    """

    at: datetime
    read_at: float
    database: str
    counters: Mapping[str, Counters]
    resets: Mapping[str, datetime | None]


def read(connection: Connection) -> Reading:
    """Return the counters of all databases (pg_stat_database). An open transaction is rolled back."""
    name = "database_counters_14" if server_version_num(connection) >= 140_000 else "database_counters_13"
    rows = connection.execute(text(sql.load(name))).mappings().all()
    read_at = time.monotonic()
    connection.rollback()
    return Reading(
        at=rows[0]["at"],
        read_at=read_at,
        database=next(row["datname"] for row in rows if row["is_own"]),
        counters={row["datname"]: Counters(**{name: row[name] for name in COUNTERS}) for row in rows},
        resets={row["datname"]: row["stats_reset"] for row in rows},
    )


def settle(connection: Connection, sleep: Callable[[float], None] = time.sleep) -> int:
    """Have this session tell its own counters, so that they can be taken out exactly; return how many it sent.

    Before 15 that takes over a second, and the ``connection`` must be in autocommit.
    """
    if server_version_num(connection) >= 150_000:
        # it tells nothing where no relation was touched
        connection.exec_driver_sql(f"{MARKER} SELECT pg_catalog.pg_stat_force_next_flush() FROM pg_catalog.pg_database")
        return 1
    sleep(_SETTLE_SECONDS)
    connection.exec_driver_sql(f"{MARKER} SELECT 1")
    sleep(_SETTLE_SECONDS)
    return 1

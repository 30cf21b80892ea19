"""The server that was read, this database, and what the role may see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The row of dbtune/sql/health_server.sql. ``at`` is the server's clock; ``xids`` the next transaction's number.

    ``life`` tells one run of counters from another: a crash, a promoted standby or a new cluster has a new one.
    """

    COUNTERS: ClassVar = ("xids",)

    version_num: int
    at: datetime
    started: datetime
    database: str
    system_identifier: str
    timeline: int
    in_recovery: bool
    role: str
    reads_stats: bool
    reads_settings: bool
    stats_reset: datetime | None
    life: datetime | None
    bgwriter_reset: datetime | None
    block_size: int
    track_counts: bool
    xids: int

    @property
    def major(self) -> int:
        """The major version, such as 18."""
        return self.version_num // 10_000

    @property
    def counters_since(self) -> datetime | None:
        """Since when this database counts, at the latest.

        From 15 on a crash empties the counters without a trace in stats_reset. It resets those of the archiver and the
        background writer too, so they cannot be older than the older of these two.
        """
        known = [at for at in (self.life, self.bgwriter_reset) if at is not None]
        if self.stats_reset is not None:
            return self.stats_reset
        return min(known, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database of the server: ages in transactions and in multixacts."""

    name: str
    xid_age: int
    mxid_age: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A row of pg_settings; ``setting`` and ``boot_val`` count in ``unit``."""

    name: str
    setting: str
    unit: str | None
    source: str
    boot_val: str | None
    pending_restart: bool

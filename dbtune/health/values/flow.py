"""Counters of the server as a whole: blocks, checkpoints, WAL, parallel workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Io:
    """What client backends did to shared buffers, in blocks (pg_stat_io, PostgreSQL 16)."""

    COUNTERS: ClassVar = ("reads", "evictions", "writes", "hits")

    reads: int
    evictions: int
    writes: int
    hits: int
    stats_reset: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """Checkpoints by the clock, and those that were asked for."""

    COUNTERS: ClassVar = ("timed", "requested")

    timed: int
    requested: int
    stats_reset: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wal:
    """WAL in bytes, ``fpi`` images of whole pages in it, and writes because wal_buffers were full (PostgreSQL 14)."""

    COUNTERS: ClassVar = ("bytes", "fpi", "buffers_full")

    bytes: int
    fpi: int
    buffers_full: int
    stats_reset: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Parallel workers that plans wanted and got (PostgreSQL 18)."""

    COUNTERS: ClassVar = ("wanted", "launched")

    wanted: int
    launched: int
    stats_reset: datetime | None

"""What pg_stat_statements counts, and whether it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An entry: times in milliseconds; ``query`` has no values, None where the server lost the text."""

    COUNTERS: ClassVar = ("calls", "rows", "total_ms")

    queryid: str
    userid: int
    query: str | None
    calls: int
    rows: int
    total_ms: float
    mean_ms: float
    stddev_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of what runs the extension sees.

    ``installed`` in this database, and ``preloaded`` by the server (None: not to be seen). ``entries`` of ``most`` are
    in use, ``hidden`` of them are of other roles; ``evictions`` is None where the extension is older than 1.9.
    ``total_ms`` is the time of all statements of this database.
    """

    COUNTERS: ClassVar = ("evictions", "total_ms")

    installed: bool
    preloaded: bool | None
    entries: int = 0
    most: int | None = None
    hidden: int = 0
    evictions: int | None = None
    total_ms: float = 0.0
    stats_reset: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """The entries that took most time, by queryid and user, and the coverage."""

    coverage: Coverage
    top: Mapping[str, Statement] = field(default_factory=dict)

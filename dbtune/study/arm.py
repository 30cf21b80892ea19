"""What a study runs: arms, each a service with its settings, its data, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dbtune.load import schedule
from dbtune.load.schedule import Schedule
from dbtune.party.rows import Scale
from dbtune.party.web.servers import Server
from dbtune.party.web.settings import Settings

ROUTES = ("GET /businesses?id=", "GET /businesses/ref/", "GET /businesses/id/")
"""The three that were asked in 2019, as its tables name them."""


class Reported(StrEnum):
    """The settings whose figures the report of 2019 gives."""

    BASELINE = "baseline"
    GUNICORN = "gunicorn"
    CACHE = "cache"
    FULL_RUN = "full run"
    POOL_500 = "pool 500"
    POOL_100 = "pool 100"
    INDEXES = "indexes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """Every count at every offset for each route, begun together unless ``isolated``; ``faster`` divides offsets."""

    counts: tuple[int, ...] = schedule.REPORT_COUNTS
    offsets_ms: tuple[float, ...] = tuple(float(each) for each in schedule.REPORT_OFFSETS_MS)
    faster: float = 1.0
    isolated: bool = False
    drain_s: float = 5.0

    def schedule(self, routes: int, seed: int) -> Schedule:
        """Return when each request is due."""
        return schedule.sets(
            self.counts,
            self.offsets_ms,
            routes,
            overlapped=not self.isolated,
            drain_s=self.drain_s,
            faster=self.faster,
            seed=seed,
        )

    def __str__(self) -> str:
        """Return it in words."""
        sets = len(self.counts) * len(self.offsets_ms)
        pace = "" if self.faster == 1 else f", {self.faster:g} times as fast"
        return f"{sets} sets for each route, {'one after the other' if self.isolated else 'all together'}{pace}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """``rate`` requests a second at random times, for ``seconds``."""

    rate: float
    seconds: float

    def schedule(self, routes: int, seed: int) -> Schedule:
        """Return when each request is due."""
        return schedule.poisson(self.rate, self.seconds, routes, seed)

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.rate:g}/s at random for {self.seconds:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One run. ``settings`` has no URL yet: the study's server is made later.

    ``routes`` are indices of :data:`ROUTES`; ``keys`` is among how many businesses a request chooses; ``killed_at_s``
    when, seconds into it, the service's processes are killed.
    """

    name: str
    title: str
    scale: Scale
    indexes: bool
    server: Server
    settings: Settings
    load: Sets | Steady
    routes: tuple[int, ...] = (0, 1, 2)
    keys: int = 10_000
    reported: Reported | None = None
    killed_at_s: float | None = None

    def schedule(self, seed: int) -> Schedule:
        """Return when each request is due; the same seed, the same times."""
        return self.load.schedule(len(self.routes), seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A list of arms and what they share: the server's ``max_connections``, and the client's time-out in seconds."""

    title: str
    arms: tuple[Arm, ...]
    max_connections: int = 100
    client_timeout_s: float = 60.0
    seed: int = 2019
    repeat: int = 1
    calibrate_s: float = 1.0

    def seconds(self) -> float:
        """Return about how long it takes: what is sent, and a few seconds each to start, settle and stop."""
        return self.repeat * sum(arm.schedule(self.seed).seconds + 6 for arm in self.arms) + 20

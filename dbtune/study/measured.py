"""What came of an arm: outcomes as its client saw them, stages as the service counted them, and the server's log."""

from __future__ import annotations

from dataclasses import dataclass, field

from dbtune.load.record import Row
from dbtune.load.summary import Summary
from dbtune.load.timeline import Timeline
from dbtune.party.web.funnel import Funnel

LOST = {
    "not taken": "never taken from the listen queue: refused, reset, or given up by its client",
    "turned away": "answered before the route's function",
    "pool_timeout": "no connection of the pool came free within pool_timeout",
    "too many clients": "the server had no connection left (SQLSTATE 53300)",
    "connect failed": "could not connect for another reason",
    "query failed": "a statement or the commit failed",
    "cut off": "under way when its process ended",
    "too late": "done after its client had given up, or not written when its process ended",
}
"""Where a request can be lost, in a request's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """The most sessions of the service that were seen at once: all, active, and idle in a transaction."""

    most: int = 0
    active: int = 0
    idle_in_transaction: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of an arm. ``broken`` and ``refused`` are what the server's log tells; ``pace`` is the machine's speed
    just before, relative to what it was when the study began; ``ended`` says how the service ended by itself."""

    summary: Summary
    timeline: Timeline
    rows: tuple[Row, ...]
    funnel: Funnel
    sessions: Sessions = Sessions()
    broken: int = 0
    refused: int = 0
    pace: float = 1.0
    ended: str | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = field(default=())

    @property
    def sent(self) -> int:
        """Return how many requests were sent."""
        return self.summary.all.count

    @property
    def succeeded(self) -> int:
        """Return how many were answered as they should be, in time."""
        return sum(count for (outcome, _), count in self.summary.all.ends.items() if outcome.is_success)

    def share(self, column: str) -> float:
        """Return the share of one of the report's columns, from 0 to 1."""
        return self.summary.all.columns[column] / self.sent if self.sent else 0.0

    @property
    def lost(self) -> dict[str, int]:
        """Return how many were lost at each stage of :data:`LOST`; with those that succeeded they are all."""
        total = self.funnel.total
        found = {
            "not taken": max(0, self.sent - total["accepted"]),
            "turned away": total["turned_away"],
            "pool_timeout": total["pool_timeout"],
            "too many clients": total["too_many_clients"],
            "connect failed": total["connect_failed"],
            "query failed": total["query_failed"],
        }
        rest = self.sent - self.succeeded - sum(found.values())
        # Not what is in flight: that has also those that had failed, and whose answer was not written yet.
        cut_off = min(rest, sum(self.funnel.open.values()))
        return found | {"cut off": cut_off, "too late": rest - cut_off}

    @property
    def hit_ratio(self) -> float:
        """Return the share of taken requests that the cache answered."""
        total = self.funnel.total
        return total["cached"] / total["accepted"] if total["accepted"] else 0.0

"""The time that counters were counted over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dbtune.health.finding import Confidence

LEAST_SECONDS = 60.0
"""Counters of a shorter time say nothing about rates, unless somebody asked for that interval."""

_HOUR, _DAY = 3600.0, 86_400.0
YOUNG_DAYS = 7
"""Totals of fewer days may lack whole kinds of work: a week's end, a month's end."""


class Kind(StrEnum):
    """Where a span begins: at the first of two readings, at a stored one, or at the counters' reset."""

    INTERVAL = "interval"
    HISTORY = "history"
    RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From ``since`` to the reading; ``seconds`` and ``since`` are None where nobody knows when counting began."""

    kind: Kind
    since: datetime | None
    seconds: float | None

    @property
    def tells(self) -> bool:
        """Whether it is long enough for rates."""
        return self.kind is Kind.INTERVAL or (self.seconds is not None and self.seconds >= LEAST_SECONDS)

    @property
    def confidence(self) -> Confidence:
        """How far rates over this time may be trusted to be those of today."""
        if self.seconds is None:
            return Confidence.LOW
        if self.kind is Kind.RESET:
            return Confidence.MEDIUM if self.seconds >= YOUNG_DAYS * _DAY else Confidence.LOW
        if self.seconds >= _HOUR:
            return Confidence.HIGH
        return Confidence.MEDIUM if self.seconds >= LEAST_SECONDS else Confidence.LOW

    def per_second(self, count: float) -> float:
        """Return the mean rate; 0 where the time is not known."""
        return count / self.seconds if self.seconds else 0.0

"""The time over which calls were counted, so that counts of different captures can be told apart and compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

MOST = 8
"""Periods that a query keeps; of more, those with the shortest time between them become one."""


@dataclass(frozen=True, slots=True)
class Period:
    """From ``begin`` to ``end``: both in UTC, or both without a zone where a log does not tell it."""

    begin: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end - self.begin).total_seconds()

    def __str__(self) -> str:
        """Return it as ISO 8601 writes an interval: ``2026-01-31T10:00:00Z/2026-01-31T11:00:00Z``."""
        return f"{_text(self.begin)}/{_text(self.end)}"


def period(begin: datetime, end: datetime) -> Period:
    """Return the period between two times that both have a zone, or both have none."""
    return Period(_in_utc(begin), max(_in_utc(begin), _in_utc(end)))


def parse(text: str) -> Period:
    """Return what ``str`` of a period says.

    :raises ValueError: it is none, or ends before it begins.
    """
    first, slash, last = text.partition("/")
    begin, end = _in_utc(datetime.fromisoformat(first)), _in_utc(datetime.fromisoformat(last))
    if not slash or (begin.tzinfo is None) != (end.tzinfo is None) or end < begin:
        raise ValueError(f"{text!r} is no period")
    return Period(begin, end)


def union(periods: Iterable[Period]) -> tuple[Period, ...]:
    """Return the same time in as few periods as possible, in order; those without a zone come first."""
    joined: list[Period] = []
    for each in sorted(periods, key=lambda p: (p.begin.tzinfo is not None, p.begin)):
        last = joined[-1] if joined and _alike(joined[-1], each) else None
        if last is not None and each.begin <= last.end:
            joined[-1] = Period(last.begin, max(last.end, each.end))
        else:
            joined.append(each)
    while len(joined) > MOST:
        gaps = [
            (after.begin - before.end if _alike(before, after) else timedelta.max, index)
            for index, (before, after) in enumerate(pairwise(joined))
        ]
        _, closest = min(gaps)
        joined[closest : closest + 2] = [Period(joined[closest].begin, joined[closest + 1].end)]
    return tuple(joined)


@dataclass(slots=True)
class Span:
    """The time from the first to the last of what is added."""

    _ends: dict[bool, tuple[datetime, datetime]] = field(default_factory=dict)

    def add(self, begin: datetime, end: datetime) -> None:
        """Reach from ``begin`` and to ``end``; times without a zone are kept apart from those with one."""
        has_zone = begin.tzinfo is not None
        known = self._ends.get(has_zone)
        if known is None:
            self._ends[has_zone] = (begin, end)
        elif begin < known[0] or end > known[1]:
            self._ends[has_zone] = (min(begin, known[0]), max(end, known[1]))

    @property
    def periods(self) -> tuple[Period, ...]:
        """What was reached: one period, none where nothing was added; two if only some of the times have a zone."""
        return union(period(begin, end) for begin, end in self._ends.values())


def _alike(one: Period, other: Period) -> bool:
    return (one.begin.tzinfo is None) == (other.begin.tzinfo is None)


def _in_utc(time: datetime) -> datetime:
    return time if time.tzinfo is None else time.astimezone(UTC)


def _text(time: datetime) -> str:
    whole = time.replace(tzinfo=None).isoformat(timespec="milliseconds" if time.microsecond else "seconds")
    return whole if time.tzinfo is None else f"{whole}Z"

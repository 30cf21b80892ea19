"""A run over time: slices with what was due in each, how it ended, how long it took, and how many were under way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dbtune.load.latency import Latencies
from dbtune.load.record import Row

SLICES = 24


@dataclass(slots=True)
class Slice:
    """What was due from ``begins``, seconds from the start, on; ``in_flight`` were under way at its end."""

    begins: float
    count: int = 0
    good: int = 0
    in_flight: int = 0
    times: Latencies = field(default_factory=Latencies)


class Timeline:
    """Slices of a run that lasts ``seconds``; answers that come later count in the last."""

    def __init__(self, seconds: float, slices: int = SLICES) -> None:
        self._width = max(seconds / slices, 1e-9)
        self.slices = [Slice(begins=number * self._width) for number in range(slices)]

    def add(self, row: Row) -> None:
        """Count a row."""
        slices = self.slices
        place = min(len(slices) - 1, int(row.due / self._width))
        slices[place].count += 1
        slices[place].good += row.outcome.is_success
        if row.latency is not None:
            slices[place].times.add(row.latency)
        if row.sent is not None:
            done = row.done if row.done is not None else row.sent
            for number in range(int(row.sent / self._width), len(slices)):
                if slices[number].begins + self._width >= done:
                    break
                slices[number].in_flight += 1


def over_time(rows: Iterable[Row], seconds: float) -> Timeline:
    """Return the timeline of rows."""
    timeline = Timeline(seconds)
    for row in rows:
        timeline.add(row)
    return timeline

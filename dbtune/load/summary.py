"""A run in numbers, counted row by row: outcomes, times of successes and of failures apart, and the generator's own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from dbtune.load.latency import Latencies
from dbtune.load.outcome import Outcome, reported
from dbtune.load.record import Row

LATE_S = 0.05
"""A 99th percentile of the send lag from which a run tells of the generator, not of the service."""

_WORDS, _OTHER = 1000, "(other words)"

SHORT = 0.005
"""The share of what was planned that may be missing."""


@dataclass(slots=True)
class Tally:
    """What came of some requests."""

    ends: Counter[tuple[Outcome, int | None]] = field(default_factory=Counter)
    served: Latencies = field(default_factory=Latencies)
    failed: Latencies = field(default_factory=Latencies)
    service: Latencies = field(default_factory=Latencies)

    @property
    def count(self) -> int:
        """Return how many there were."""
        return self.ends.total()

    @property
    def outcomes(self) -> Counter[Outcome]:
        """Return counts by outcome."""
        found: Counter[Outcome] = Counter()
        for (outcome, _), count in self.ends.items():
            found[outcome] += count
        return found

    @property
    def columns(self) -> Counter[str]:
        """Return counts by the columns of the tables of 2019."""
        found: Counter[str] = Counter()
        for (outcome, status), count in self.ends.items():
            found[reported(outcome, status)] += count
        return found

    @property
    def success(self) -> float:
        """Return the share that succeeded, from 0 to 1; NaN of nothing."""
        good = sum(count for (outcome, _), count in self.ends.items() if outcome.is_success)
        return good / self.count if self.ends else math.nan

    def add(self, row: Row) -> None:
        """Count a row."""
        self.ends[row.outcome, row.status] += 1
        if row.done is None:
            return
        if not row.outcome.is_success:
            self.failed.add(row.done - row.due)
            return
        self.served.add(row.done - row.due)
        if row.sent is not None:
            self.service.add(row.done - row.sent)

    def take(self, other: Tally) -> None:
        """Count all that another one counted."""
        self.ends.update(other.ends)
        self.served.take(other.served)
        self.failed.take(other.failed)
        self.service.take(other.service)


@dataclass(slots=True)
class Summary:
    """A run, counted by route and cell; the sums are made when they are asked for.

    ``details`` are the words of failures: a thousand of them, and how many had others.
    """

    planned: int
    both: dict[tuple[str, str], Tally] = field(default_factory=dict)
    lag: Latencies = field(default_factory=Latencies)
    details: Counter[tuple[Outcome, str]] = field(default_factory=Counter)
    first: float = math.inf
    last_sent: float = 0.0
    last: float = 0.0
    last_due: float = 0.0

    def add(self, row: Row) -> None:
        """Count a row."""
        key = row.route, row.cell
        tally = self.both.get(key)
        if tally is None:
            tally = self.both[key] = Tally()
        tally.add(row)
        if row.sent is not None:
            self.lag.add(row.sent - row.due)
            self.first = min(self.first, row.sent)
            self.last_sent = max(self.last_sent, row.sent)
        if row.done is not None and row.done > self.last:
            self.last = row.done
        if row.due > self.last_due:
            self.last_due = row.due
        if row.detail and not row.outcome.is_success:
            said = row.outcome, row.detail
            # Words that name a request are all different: they must not fill the memory.
            self.details[said if said in self.details or len(self.details) < _WORDS else (row.outcome, _OTHER)] += 1

    @property
    def all(self) -> Tally:
        """Return what came of all requests."""
        return _sum(self.both.values())

    @property
    def routes(self) -> dict[str, Tally]:
        """Return what came of each route's."""
        return self._by(0)

    @property
    def cells(self) -> dict[str, Tally]:
        """Return what came of each cell's."""
        return self._by(1)

    def _by(self, place: int) -> dict[str, Tally]:
        names = dict.fromkeys(key[place] for key in self.both)
        return {name: _sum(tally for key, tally in self.both.items() if key[place] == name) for name in names}

    @property
    def sent(self) -> int:
        """Return how many were sent."""
        return self.lag.count

    @property
    def rate(self) -> float:
        """Return requests sent a second; NaN of fewer than two."""
        took = self.last_sent - self.first
        return (self.sent - 1) / took if self.sent > 1 and took > 0 else math.nan

    @property
    def goodput(self) -> float:
        """Return successes a second, until the last answer; NaN of nothing."""
        took = self.last - self.first
        everything = self.all
        return everything.success * everything.count / took if took > 0 else math.nan

    @property
    def no_verdict(self) -> str | None:
        """Return why nothing follows from the run, None where its generator kept up."""
        missing = self.planned - self.sent
        if missing > SHORT * self.planned:
            return f"{missing} of {self.planned} requests were not sent"
        late = self.lag.at(0.99)
        if late > LATE_S:
            return f"requests were sent late, 1 % of them by {late * 1000:.0f} ms or more: the generator fell behind"
        return None


def _sum(tallies: Iterable[Tally]) -> Tally:
    found = Tally()
    for tally in tallies:
        found.take(tally)
    return found


def summarise(rows: Iterable[Row], planned: int) -> Summary:
    """Return a run in numbers; the rows are read once and not kept."""
    found = Summary(planned=planned)
    for row in rows:
        found.add(row)
    return found

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

SHORT = 0.005
"""The share of what was planned that may be missing."""


@dataclass(slots=True)
class Tally:
    """What came of some requests. ``columns`` are counts by the columns of the tables of 2019."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)
    served: Latencies = field(default_factory=Latencies)
    failed: Latencies = field(default_factory=Latencies)
    service: Latencies = field(default_factory=Latencies)

    @property
    def count(self) -> int:
        """Return how many there were."""
        return self.outcomes.total()

    @property
    def success(self) -> float:
        """Return the share that succeeded, from 0 to 1; NaN of nothing."""
        good = sum(count for outcome, count in self.outcomes.items() if outcome.is_success)
        return good / self.count if self.count else math.nan

    def add(self, row: Row) -> None:
        """Count a row."""
        self.outcomes[row.outcome] += 1
        self.columns[reported(row.outcome, row.status)] += 1
        if row.latency is not None:
            (self.served if row.outcome.is_success else self.failed).add(row.latency)
        if row.service is not None and row.outcome.is_success:
            self.service.add(row.service)


@dataclass(slots=True)
class Summary:
    """A run: all, by route, by cell, and by route and cell. ``details`` are the commonest words of failures."""

    planned: int
    all: Tally = field(default_factory=Tally)
    routes: dict[str, Tally] = field(default_factory=dict)
    cells: dict[str, Tally] = field(default_factory=dict)
    both: dict[tuple[str, str], Tally] = field(default_factory=dict)
    lag: Latencies = field(default_factory=Latencies)
    details: Counter[tuple[Outcome, str]] = field(default_factory=Counter)
    first: float = math.inf
    last_sent: float = 0.0
    last: float = 0.0
    last_due: float = 0.0

    def add(self, row: Row) -> None:
        """Count a row."""
        self.all.add(row)
        self.routes.setdefault(row.route, Tally()).add(row)
        self.cells.setdefault(row.cell, Tally()).add(row)
        self.both.setdefault((row.route, row.cell), Tally()).add(row)
        if row.lag is not None and row.sent is not None:
            self.lag.add(row.lag)
            self.first = min(self.first, row.sent)
            self.last_sent = max(self.last_sent, row.sent)
        self.last = max(self.last, row.done or 0.0)
        self.last_due = max(self.last_due, row.due)
        if row.detail and not row.outcome.is_success:
            self.details[row.outcome, row.detail] += 1

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
        return self.all.success * self.all.count / took if took > 0 else math.nan

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


def summarise(rows: Iterable[Row], planned: int) -> Summary:
    """Return a run in numbers; the rows are read once and not kept."""
    found = Summary(planned=planned)
    for row in rows:
        found.add(row)
    return found

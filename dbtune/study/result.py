"""A study's results: each arm with what was expected of it and what its runs measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dbtune.load.closed import Looped
from dbtune.load.latency import Latencies
from dbtune.study.arm import Arm, Study
from dbtune.study.expectation import Expectation
from dbtune.study.measured import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An arm after its runs; where there are none, ``failed`` says why."""

    arm: Arm
    expectation: Expectation | None = None
    looped: tuple[Looped, ...] = ()
    runs: tuple[Measured, ...] = ()
    failed: str | None = None

    @property
    def sent(self) -> int:
        """Return how many requests all runs sent."""
        return sum(run.sent for run in self.runs)

    def share(self, column: str) -> float:
        """Return the share of one of the report's columns over all runs, from 0 to 1."""
        return sum(run.share(column) * run.sent for run in self.runs) / self.sent if self.sent else 0.0

    @property
    def success(self) -> float:
        """Return the share of requests that were answered as they should be, from 0 to 1."""
        return sum(run.succeeded for run in self.runs) / self.sent if self.sent else 0.0

    @property
    def noise(self) -> float:
        """Return half of the range of success of repeated runs; of a single one, two standard errors of its share."""
        if len(self.runs) > 1:
            each = [run.succeeded / run.sent for run in self.runs if run.sent]
            return (max(each) - min(each)) / 2
        share = self.success
        return 2 * math.sqrt(share * (1 - share) / self.sent) if self.sent else 0.0

    @property
    def lost(self) -> dict[str, int]:
        """Return how many requests of all runs were lost at each stage."""
        found: dict[str, int] = {}
        for run in self.runs:
            for stage, count in run.lost.items():
                found[stage] = found.get(stage, 0) + count
        return found

    @property
    def stages(self) -> dict[str, int]:
        """Return the counts of the service's funnel over all runs."""
        found: dict[str, int] = {}
        for run in self.runs:
            for stage, count in run.funnel.total.items():
                found[stage] = found.get(stage, 0) + count
        return found

    @property
    def served(self) -> Latencies:
        """Return the times of what succeeded, from when each was due."""
        found = Latencies()
        for run in self.runs:
            found.take(run.summary.all.served)
        return found

    @property
    def goodput(self) -> float:
        """Return successes a second, the mean of the runs; NaN of none."""
        return sum(run.summary.goodput for run in self.runs) / len(self.runs) if self.runs else math.nan

    @property
    def miss(self) -> float | None:
        """Return measured less predicted success; None where the model does not claim to know."""
        if self.expectation is None or self.expectation.no_claim is not None or not self.runs:
            return None
        return self.success - self.expectation.success

    @property
    def no_verdict(self) -> str | None:
        """Return why a run's generator cannot be trusted, if one cannot."""
        return next((run.summary.no_verdict for run in self.runs if run.summary.no_verdict), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What a study found. ``usable`` are the connections that the service could have, ``seconds`` how long it took."""

    study: Study
    version: str
    cores: int
    usable: int
    arms: tuple[Result, ...]
    seconds: float
    interrupted: bool = False

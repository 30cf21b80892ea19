"""The report on a server's connections: the situation, what is wrong, what stays open."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.pool.occupancy import flow, logged, pooler, present
from dbtune.pool.occupancy.finding import Finding, Severity, Unseen
from dbtune.pool.occupancy.unseen import unseen
from dbtune.server.situation import Situation
from dbtune.workload.capture.log.gathered import Gathered


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``findings`` are the worst first. ``told`` is what logs told, None where none were read."""

    situation: Situation
    findings: tuple[Finding, ...]
    unseen: tuple[Unseen, ...]
    told: Gathered | None = None

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding."""
        return max((each.severity for each in self.findings), default=None)


def judge(situation: Situation, told: Gathered | None = None, more: tuple[Unseen, ...] = ()) -> Report:
    """Return the report; ``more`` is what else could not be known."""
    found = [*present.findings(situation), *flow.findings(situation), *pooler.findings(situation)]
    found += logged.findings(told) if told is not None else ()
    return Report(
        situation=situation,
        findings=tuple(sorted(found, key=lambda each: -each.severity)),
        unseen=(*more, *unseen(situation, has_log=told is not None)),
        told=told,
    )

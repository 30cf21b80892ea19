"""VACUUM at work."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Confidence, Severity, Sign
from dbtune.health.section import Section
from dbtune.migration.name import qualified


def passes(case: Case, limits: Limits) -> Iterator[Sign]:
    for vacuum in case.now.vacuums:
        count = vacuum.index_vacuum_count or 0
        if vacuum.schema is None or vacuum.name is None or count < limits["passes"]:
            continue
        yield Sign(
            object=qualified(vacuum.schema, vacuum.name),
            severity=Severity.WARNING,
            message=f"VACUUM (pid {vacuum.pid}, {vacuum.phase}) goes through all indexes for the {count + 1}. time: "
            f"its memory does not hold the dead rows at once",
            action="more maintenance_work_mem (autovacuum_work_mem for autovacuum), and VACUUM before so many rows "
            "died",
            evidence={"pid": vacuum.pid, "phase": vacuum.phase, "index_vacuum_count": count},
            weight=float(count),
        )


def saturated(case: Case, limits: Limits) -> Iterator[Sign]:
    workers = case.now.workers
    if workers is None or not workers.all_busy:
        return
    is_often = case.busy_readings >= limits["readings"]
    times = "now" if case.busy_readings < 2 else f"in the last {case.busy_readings} readings"
    yield Sign(
        object="autovacuum_max_workers",
        severity=Severity.WARNING if is_often else Severity.INFO,
        message=f"all {workers.allowed} autovacuum workers are at work {times}",
        action="let them work faster first (autovacuum_vacuum_cost_limit): more workers share the same budget",
        confidence=Confidence.HIGH if is_often else Confidence.LOW,
        evidence={"running": workers.running, "allowed": workers.allowed, "readings": case.busy_readings},
    )


CHECKS = (
    Check(
        id="vacuum-passes",
        title="VACUUM that goes through the indexes again and again",
        group=Group.VACUUM,
        reads=("pg_stat_progress_vacuum: phase, index_vacuum_count",),
        trigger="a running VACUUM has gone through the indexes `passes` times or more",
        severity="warning",
        why="Each pass reads every index as a whole.",
        next_step="More maintenance_work_mem or autovacuum_work_mem.",
        resolved="VACUUM is done, or needs one pass",
        needs=frozenset({Section.VACUUMS}),
        judge=passes,
        limits=(Limit("passes", 2, Unit.COUNT, "are more than needed"),),
        primary_only=True,
    ),
    Check(
        id="autovacuum-saturated",
        title="All autovacuum workers are at work",
        group=Group.VACUUM,
        reads=("pg_stat_activity.backend_type", "autovacuum_max_workers"),
        trigger="no worker is free at the time of reading",
        severity="warning if it was so in `readings` readings on end, else info",
        why="Tables wait for their turn while dead rows gather.",
        next_step="A higher autovacuum_vacuum_cost_limit, then more workers.",
        resolved="a worker is free",
        needs=frozenset({Section.WORKERS}),
        judge=saturated,
        limits=(Limit("readings", 3, Unit.COUNT, "on end are no accident"),),
        primary_only=True,
    ),
)

"""Statements, and whether they are counted."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Severity, Sign, Sql
from dbtune.health.section import Section
from dbtune.plan.words import excerpt, milliseconds

_SHOWN = 5
_UNKNOWN_SECONDS = 3600.0
"""The time that is taken where the extension (before 1.9) does not tell since when it counts."""


def top(case: Case, limits: Limits) -> Iterator[Sign]:
    counted, span = case.counted.statements, case.span(Section.STATEMENTS)
    if counted is None or not counted.coverage.total_ms:
        return
    total = counted.coverage.total_ms
    seconds = span.seconds if span.seconds is not None else _UNKNOWN_SECONDS
    if total / 1000 / seconds < limits["busy"]:
        return
    found = sorted(counted.top.values(), key=lambda each: -each.total_ms)[:_SHOWN]
    for each in found:
        share = each.total_ms / total
        if share < limits["share"] or not each.calls:
            continue
        text = excerpt(" ".join((each.query or "a statement whose text is lost").split()), 70)
        varies = each.mean_ms > 0 and each.stddev_ms >= limits["variation"] * each.mean_ms
        spread = "; its times differ much: look at several parameter sets" if varies else ""
        yield Sign(
            object=f"statement {each.queryid}",
            severity=Severity.INFO,
            message=f"{words.percent(share)} of all time {words.over(span)}: {words.rate(span, each.calls, 'call')}, "
            f"{milliseconds(each.total_ms / each.calls)} each{spread}: {text}",
            action="see its plan: dbtune capture statements, then dbtune explain and dbtune advise",
            confidence=case.confidence(Section.STATEMENTS),
            evidence={
                "queryid": each.queryid,
                "calls": each.calls,
                "total_ms": round(each.total_ms, 3),
                "share": round(share, 4),
                "rows": each.rows,
                "mean_ms": round(each.mean_ms, 3),
                "stddev_ms": round(each.stddev_ms, 3),
            },
            weight=share,
        )


def missing(case: Case, limits: Limits) -> Iterator[Sign]:
    if case.now.statements is None:
        return
    coverage = case.now.statements.coverage
    if coverage.installed and coverage.preloaded:
        return
    if coverage.preloaded is False:
        message = "the server does not load it: nobody counts which statement takes how long"
        action = "add pg_stat_statements to shared_preload_libraries, restart the server, and create the extension"
        remedy = None
    else:
        message = "the extension is not made in this database: its counters cannot be read"
        action = "create the extension (or ALTER EXTENSION … UPDATE one that is older than 1.8)"
        remedy = Sql(statement="CREATE EXTENSION pg_stat_statements;")
    yield Sign(
        object="pg_stat_statements",
        severity=Severity.INFO,
        message=message,
        action=action,
        remedy=remedy,
        evidence={"installed": coverage.installed, "preloaded": coverage.preloaded},
    )


def evicted(case: Case, limits: Limits) -> Iterator[Sign]:
    if case.counted.statements is None:
        return
    coverage = case.counted.statements.coverage
    if not coverage.evictions or not coverage.most or coverage.entries < limits["share"] * coverage.most:
        return
    yield Sign(
        object="pg_stat_statements.max",
        severity=Severity.INFO,
        message=f"{coverage.entries} of {coverage.most} entries are in use, and it threw out the rarest "
        f"{words.plural(coverage.evictions, 'time')} {words.over(case.span(Section.STATEMENTS))}",
        action="a higher pg_stat_statements.max; lists of different lengths and names of temporary tables fill it",
        confidence=case.confidence(Section.STATEMENTS),
        evidence={"entries": coverage.entries, "most": coverage.most, "evictions": coverage.evictions},
    )


def starved(case: Case, limits: Limits) -> Iterator[Sign]:
    parallel, span = case.counted.parallel, case.span(Section.PARALLEL)
    if parallel is None or parallel.wanted < limits["workers"]:
        return
    share = parallel.launched / parallel.wanted
    if share >= limits["share"]:
        return
    yield Sign(
        object="max_parallel_workers",
        severity=Severity.INFO,
        message=f"{words.percent(share)} of the {words.plural(parallel.wanted, 'parallel worker')} that plans wanted "
        f"{words.over(span)} were there",
        action="more max_parallel_workers if there are processors for them, else a lower "
        "max_parallel_workers_per_gather",
        confidence=case.confidence(Section.PARALLEL),
        evidence={"wanted": parallel.wanted, "launched": parallel.launched},
    )


_NEEDS = frozenset({Section.STATEMENTS})
CHECKS = (
    Check(
        id="top-statement",
        title="Statement that takes much of all time",
        group=Group.STATEMENTS,
        reads=("pg_stat_statements: total_exec_time, total_plan_time, calls, rows, mean_exec_time, stddev_exec_time",),
        trigger="`share` or more of the time of all statements of this database, while they take `busy` of a "
        "processor or "
        f"more; the {_SHOWN} that take most",
        severity="info",
        why="Making it faster helps most.",
        next_step="`dbtune capture statements`, `dbtune explain`, `dbtune advise`.",
        resolved="it takes less of the time",
        needs=_NEEDS,
        judge=top,
        limits=(
            Limit("share", 0.1, Unit.SHARE, "of all time is much"),
            Limit("busy", 0.05, Unit.SHARE, "of one processor is the least worth telling"),
            Limit("variation", 3, Unit.COUNT, "times the mean is a standard deviation worth telling"),
        ),
        counts=Section.STATEMENTS,
        rates=False,
    ),
    Check(
        id="statements-missing",
        title="Statements are not counted",
        group=Group.STATEMENTS,
        reads=("pg_extension, shared_preload_libraries",),
        trigger="pg_stat_statements is not loaded, not made in this database, or older than 1.8",
        severity="info",
        why="Without it nobody can tell which statement to look at.",
        next_step="Load and create the extension.",
        resolved="it counts",
        needs=_NEEDS,
        judge=missing,
    ),
    Check(
        id="statements-evicted",
        title="Statements fall out of the counting",
        group=Group.STATEMENTS,
        reads=("pg_stat_statements_info.dealloc", "pg_stat_statements.max"),
        trigger="entries were thrown out, and `share` of them or more are in use",
        severity="info",
        why="Counts of rare statements are too low, and throwing out takes a lock on all entries.",
        next_step="A higher pg_stat_statements.max.",
        resolved="nothing is thrown out",
        needs=_NEEDS,
        judge=evicted,
        limits=(Limit("share", 0.9, Unit.SHARE, "of the entries in use is full"),),
        counts=Section.STATEMENTS,
        rates=False,
        since=14,
    ),
    Check(
        id="parallel-starved",
        title="Parallel plans that do not get their workers",
        group=Group.STATEMENTS,
        reads=("pg_stat_database: parallel_workers_to_launch, parallel_workers_launched",),
        trigger="of `workers` or more that plans wanted, less than `share` were launched",
        severity="info",
        why="A plan was chosen because it is fast with workers that then were not there.",
        next_step="More workers, or plans that want fewer.",
        resolved="plans get their workers",
        needs=frozenset({Section.PARALLEL}),
        judge=starved,
        limits=(
            Limit("workers", 100, Unit.COUNT, "are enough to judge"),
            Limit("share", 0.8, Unit.SHARE, "launched is enough"),
        ),
        counts=Section.PARALLEL,
        rates=False,
        since=18,
    ),
)

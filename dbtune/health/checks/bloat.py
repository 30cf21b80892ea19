"""Tables and indexes that are larger than what they hold."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Confidence, Remedy, Severity, Sign, Sql
from dbtune.health.section import Section
from dbtune.health.state import Estimate

SURE = 0.25


def indexes(case: Case, limits: Limits) -> Iterator[Sign]:
    for index in case.now.indexes.values():
        estimate = case.now.sizes.get(index.oid)
        if estimate is None or not index.is_valid:
            continue
        sign = _sign(
            index.full_name,
            index.size_bytes,
            estimate,
            limits,
            "build it anew: it needs as much free disk as it will take, and holds up no write",
            Sql(statement=f"REINDEX INDEX CONCURRENTLY {index.full_name};"),
            index.comment,
        )
        if sign is not None:
            yield sign


def tables(case: Case, limits: Limits) -> Iterator[Sign]:
    for table in case.now.tables.values():
        estimate = case.now.sizes.get(table.oid)
        if estimate is None:
            continue
        sign = _sign(
            table.full_name,
            table.size_bytes,
            estimate,
            limits,
            "first see that VACUUM keeps up, so that it does not come back; then pg_repack or pg_squeeze rewrite the "
            "table while it is used, VACUUM FULL locks it for as long as that takes",
            None,
            table.comment,
        )
        if sign is not None:
            yield sign


def _sign(
    name: str, size: int, estimate: Estimate, limits: Limits, action: str, remedy: Remedy | None, comment: str | None
) -> Sign | None:
    """Return what to tell, None where even the most that it may need explains its size."""
    wasted = size - estimate.needed_bytes
    surely = size - estimate.needed_bytes * (1 + estimate.error)
    if size <= 0 or wasted < limits["bytes"] or surely / size < limits["share"]:
        return None
    how = "measured by pgstattuple" if estimate.measured else "estimated from statistics"
    confidence = Confidence.MEDIUM if estimate.error <= SURE else Confidence.LOW
    return Sign(
        object=name,
        severity=Severity.WARNING if wasted >= limits["large"] else Severity.INFO,
        message=f"{words.size(size)}, of which {words.size(wasted)} ({words.percent(wasted / size)}) hold nothing, "
        f"{how}",
        action=action,
        confidence=Confidence.HIGH if estimate.measured else confidence,
        remedy=remedy,
        doubts=() if estimate.measured else ("an estimate: --measure-bloat has pgstattuple count, which reads it",),
        evidence={
            "size_bytes": size,
            "wasted_bytes": wasted,
            "wasted_share": round(wasted / size, 3),
            "relative_error": round(estimate.error, 2),
            "measured": estimate.measured,
        },
        size_bytes=size,
        weight=float(wasted),
        comment=comment,
    )


_LIMITS = (
    Limit("share", 0.3, Unit.SHARE, "of it must hold nothing, even if the estimate is off by its own error"),
    Limit("bytes", 100 * 1024**2, Unit.BYTES, "must hold nothing; smaller ones are not looked at"),
    Limit("large", 1024**3, Unit.BYTES, "that hold nothing are worth a warning"),
)
CHECKS = (
    Check(
        id="bloated-index",
        title="Index larger than what it holds",
        group=Group.INDEXES,
        reads=("pg_class.relpages, reltuples", "pg_stats", "pgstatindex() with --measure-bloat"),
        trigger="`bytes` and `share` of it hold nothing; the size that it would have is estimated from statistics as "
        "dbtune advise does",
        severity="warning from `large` on, else info",
        why="Pages that deletes and updates emptied are read, cached and backed up all the same.",
        next_step="REINDEX CONCURRENTLY; where it soon comes back, look at what updates the table.",
        resolved="its size is near to what it needs",
        needs=frozenset({Section.SIZES, Section.INDEXES}),
        judge=indexes,
        limits=_LIMITS,
        yields_to=("invalid-index", "duplicate-index", "prefix-index", "unused-index"),
    ),
    Check(
        id="bloated-table",
        title="Table larger than what it holds",
        group=Group.TABLES,
        reads=("pg_class.relpages, reltuples", "pg_stats", "pgstattuple_approx() with --measure-bloat"),
        trigger="`bytes` and `share` of it hold nothing; estimated from the widths of its columns",
        severity="warning from `large` on, else info",
        why="Sequential scans read the empty space, and the cache holds it.",
        next_step="See that VACUUM keeps up, then rewrite the table.",
        resolved="its size is near to what it needs",
        needs=frozenset({Section.SIZES, Section.TABLES}),
        judge=tables,
        limits=_LIMITS,
    ),
)

"""Indexes that mostly hold NULLs."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Confidence, Migration, Severity, Sign
from dbtune.health.section import Section
from dbtune.health.values.index import Index
from dbtune.migration.name import quoted


def judge(case: Case, limits: Limits) -> Iterator[Sign]:
    for index in case.indexes:
        nulls = case.now.nulls.get(index.oid)
        if nulls is None or nulls.null_frac is None or nulls.null_frac < limits["share"]:
            continue
        is_plain = index.is_valid and index.method == "btree" and index.duty in (None, "uniqueness")
        if not is_plain or index.nulls_not_distinct or index.kind == "I" or index.parent_oid is not None:
            continue
        if index.size_bytes < limits["bytes"]:
            continue
        yield _sign(case, index, nulls.column_name, nulls.null_frac)


def _sign(case: Case, index: Index, column: str, null_frac: float) -> Sign:
    whole = index.definition.replace(f"INDEX {quoted(index.name)} ON ", "INDEX ON ", 1)
    return Sign(
        object=index.full_name,
        severity=Severity.INFO,
        message=f"{words.percent(null_frac)} of its rows are NULL in {quoted(column)}; {words.size(index.size_bytes)}",
        action=f"replace it by one WHERE {quoted(column)} IS NOT NULL: smaller, and rows with NULL cost it no write",
        confidence=Confidence.MEDIUM,
        remedy=Migration(
            statement=f"{whole} WHERE {quoted(column)} IS NOT NULL", replaces=index.full_name, asks_server=True
        ),
        doubts=(f"queries that look for NULL, or sort by {quoted(column)}, need the whole index",),
        evidence={"column": column, "null_frac": round(null_frac, 3), "definition": index.definition},
        size_bytes=index.size_bytes,
        weight=index.size_bytes * null_frac,
        comment=index.comment,
    )


CHECKS = (
    Check(
        id="null-heavy-index",
        title="Index that mostly holds NULLs",
        group=Group.INDEXES,
        reads=("pg_stats.null_frac", "pg_index.indpred"),
        trigger="a whole btree of one column has `bytes` or more, and the column is NULL in `share` of the rows",
        severity="info",
        why="Conditions that a value must meet never find a NULL: these entries are written and kept for nothing.",
        next_step="Replace it by a partial index; the revision makes the new one before the old one goes.",
        resolved="the index is partial or gone, or the column has more values",
        needs=frozenset({Section.INDEXES, Section.NULLS}),
        judge=judge,
        limits=(
            Limit("share", 0.5, Unit.SHARE, "of NULLs is much"),
            Limit("bytes", 1024**2, Unit.BYTES, "is the least size worth telling"),
        ),
        yields_to=("invalid-index", "duplicate-index", "prefix-index", "unused-index"),
    ),
)

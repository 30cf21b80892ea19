"""Indexes that another one makes superfluous."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limits
from dbtune.health.finding import Confidence, Migration, Remedy, Severity, Sign, Sql
from dbtune.health.redundancy import Redundant, redundant
from dbtune.health.section import Section
from dbtune.migration.name import quoted

_MUCH_LARGER = 2.0


def duplicates(case: Case, limits: Limits) -> Iterator[Sign]:
    for each in redundant(case):
        if each.is_duplicate:
            reason = f", which is {each.keeper.duty}" if each.keeper.is_primary else ""
            yield _sign(case, each, f"indexes the same as {each.keeper.full_name}{reason}", Confidence.HIGH, ())


def prefixes(case: Case, limits: Limits) -> Iterator[Sign]:
    for each in redundant(case):
        if each.is_duplicate:
            continue
        keeper, index = each.keeper, each.index
        doubts = []
        if index.size_bytes and keeper.size_bytes >= _MUCH_LARGER * index.size_bytes:
            times = words.number(round(keeper.size_bytes / index.size_bytes, 1))
            doubts.append(f"{keeper.name} is {times} times as large: scans that take it instead read more")
        message = f"{keeper.full_name} begins with the same columns and finds all that it finds"
        yield _sign(case, each, message, Confidence.MEDIUM if doubts else Confidence.HIGH, tuple(doubts))


def _sign(case: Case, each: Redundant, message: str, confidence: Confidence, doubts: tuple[str, ...]) -> Sign:
    index, span = each.index, case.span(Section.TABLES)
    entries = case.entries(index)
    costs = f"{words.size(index.size_bytes)}, and it costs {words.rate(span, entries, 'write')}"
    remedy: Remedy = Migration(statement=f"DROP INDEX {index.full_name}", asks_server=True)
    if index.constraint_name is not None:
        table = case.tables[index.table_oid].full_name
        remedy = Sql(statement=f"ALTER TABLE {table} DROP CONSTRAINT {quoted(index.constraint_name)};")
    return Sign(
        object=index.full_name,
        severity=Severity.WARNING,
        message=f"{message}; {costs}",
        action=f"drop it: {each.keeper.full_name} does the same",
        confidence=confidence,
        remedy=remedy,
        doubts=doubts,
        evidence={
            "keep": each.keeper.full_name,
            "idx_scan": index.idx_scan,
            "keep_idx_scan": each.keeper.idx_scan,
            "writes": entries,
            "writes_per_second": round(span.per_second(entries), 3) if span.seconds else None,
            "definition": index.definition,
            "keep_definition": each.keeper.definition,
        },
        size_bytes=index.size_bytes,
        weight=index.size_bytes + 8192 * span.per_second(entries),
        comment=index.comment,
    )


_READS = (
    "pg_index: indkey, indclass, indcollation, indoption, indexprs, indpred, indnullsnotdistinct (15+)",
    "pg_constraint, pg_am",
)
_NEEDS = frozenset({Section.INDEXES, Section.TABLES})

CHECKS = (
    Check(
        id="duplicate-index",
        title="Index that is there twice",
        group=Group.INDEXES,
        reads=_READS,
        trigger="two valid indexes of a table agree in method, keys, operator classes, collations, order, predicate "
        "and INCLUDE; a unique one counts as the same only as another unique one that treats NULLs alike",
        severity="warning",
        why="Each write is done twice, for nothing.",
        next_step="Drop it by a revision. Kept is the one that serves the primary key, a foreign key, a constraint, "
        "the replica identity or uniqueness, else the one that was scanned more.",
        resolved="one of the two is gone",
        needs=_NEEDS,
        judge=duplicates,
        yields_to=("invalid-index",),
    ),
    Check(
        id="prefix-index",
        title="Index that a longer one makes superfluous",
        group=Group.INDEXES,
        reads=_READS,
        trigger="a btree's keys are the first keys of another that has the same predicate, operator classes, "
        "collations and order there, and all of its INCLUDE columns; or the other has the same keys and includes more",
        severity="warning",
        why="The longer index finds the same rows in the same order, and each write is done twice.",
        next_step="Drop it by a revision, and see that the queries that took it now take the longer one.",
        resolved="one of the two is gone, or they differ",
        needs=_NEEDS,
        judge=prefixes,
        yields_to=("invalid-index",),
    ),
)

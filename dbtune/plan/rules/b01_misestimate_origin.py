"""Here the planner's row counts begin to be wrong: what the step takes in was estimated well, what it returned was not.

All that stands above was planned with that number: the order and kind of joins, memory, workers.

Fires when ten times as many rows came as expected, or a tenth, of at least 1,000 rows expected or real, at the lowest
such step: a scan of a table, or another step below a join. It is a remark below a factor of 100, and no more than a
warning below 1,000. Steps that may have been stopped before their end (by LIMIT, EXISTS, an empty or exhausted other
side) count only where too many rows came. Where the cause can be told it has a rule of its own: B4 conditions without
statistics, B5 columns that depend on each other, B6 old statistics, B7 functions and CTEs.

What to do: see that the tables are analyzed; then a larger statistics target for the columns that are compared, or
extended statistics for conditions on several columns and for what is grouped by. Statistics do not tell which rows of
one table meet which of another: where a join is to blame, a temporary table of its rows, analyzed, gives the rest of
the query true numbers.

Source: manual, 14.1, 14.2 and 20.7.2 (default_statistics_target).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.estimate import Misestimate, misestimates
from dbtune.plan.finding import Sign
from dbtune.plan.predicate import terms
from dbtune.plan.rules import MIN_MS, Rule
from dbtune.plan.rules.b04_default_selectivity import guess
from dbtune.plan.rules.b05_correlated_columns import CONDITIONS, correlated_columns
from dbtune.plan.rules.b06_stale_statistics import stale_tables
from dbtune.plan.rules.b07_function_or_cte_guess import is_guess
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

GROUPINGS = frozenset({"Aggregate", "Group", "Unique", "SetOp"})


def check(subject: Subject) -> Iterator[Sign]:
    for found in misestimates(subject, MIN_MS):
        if _is_told_elsewhere(subject, found):
            continue
        yield Sign(
            message=f"{found.node.label} returned {words.unexpected(found.rows, found.expected)}",
            advice=_advice(subject, found.node),
            share=found.share,
            node=found.node.number,
            relation=found.node.relation,
            evidence={
                "rows": round(found.rows.value),
                "rows_expected": round(found.expected),
                "factor": round(found.factor),
                "node_type": found.node.node_type,
            },
            severity=found.severity,
        )


def _is_told_elsewhere(subject: Subject, found: Misestimate) -> bool:
    node = found.node
    return (
        is_guess(node)
        or guess(subject, node) is not None
        or bool(stale_tables(subject, node))
        or bool(correlated_columns(subject, found))
    )


def _advice(subject: Subject, node: Node) -> str:
    table = node.relation
    columns = _columns(subject, node)
    if table is None or columns is None:
        grouped = "CREATE STATISTICS on what is grouped by; else " if node.node_type in GROUPINGS else ""
        return f"{grouped}a temporary table of the rows so far, analyzed, for the rest of the query"
    if len(columns) == 1:
        return f"ALTER TABLE {table} ALTER COLUMN {columns[0]} SET STATISTICS 1000; then ANALYZE {table}"
    if columns:
        statistics = f"CREATE STATISTICS … (mcv) ON {', '.join(columns)} FROM {table}"
        return f"where the same values come together often, {statistics}; then ANALYZE {table}"
    return f"ANALYZE {table}"


def _columns(subject: Subject, node: Node) -> list[str] | None:
    """Return the plain columns that a scan's conditions compare with constants, None where they join another table."""
    conditions = [str(node.raw[key]) for key in CONDITIONS if key in node.raw]
    if any(subject.aliases(condition) - {node.alias} for condition in conditions):
        return None
    return list(dict.fromkeys(t.column for condition in conditions for t in terms(condition) if t.column is not None))


RULE = Rule("B1", "misestimate-origin", "Where row counts go wrong", check)

"""Conditions on several columns of one table, which the planner took for independent of each other.

Three towns of ten and one postcode of a hundred make 0.3 %, unless the postcode says which town it is. Statistics are
of single columns, and their fractions are multiplied.

Fires when a scan with an equality on two or more columns returned ten times the rows expected or more, at least 1,000,
and its table's statistics are not out of date (B6).

What to do: CREATE STATISTICS (dependencies, mcv) on these columns, then ANALYZE. It costs ANALYZE a little, queries
nothing.

Source: manual, 14.2.2 (extended statistics), 68.2 and CREATE STATISTICS.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.estimate import Misestimate, misestimates
from dbtune.plan.finding import Sign
from dbtune.plan.predicate import terms
from dbtune.plan.rules import MIN_MS, Rule
from dbtune.plan.rules.b04_default_selectivity import guess
from dbtune.plan.rules.b06_stale_statistics import stale_tables
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

CONDITIONS = ("Index Cond", "Recheck Cond", "Filter")


def check(subject: Subject) -> Iterator[Sign]:
    for found in misestimates(subject, MIN_MS):
        columns = correlated_columns(subject, found)
        if not columns:
            continue
        table, listed = words.relation(found.node), ", ".join(columns)
        yield Sign(
            message=f"{listed} of {table} depend on each other: {words.unexpected(found.rows, found.expected)}",
            advice=f"CREATE STATISTICS … (dependencies, mcv) ON {listed} FROM {table}; then ANALYZE {table}",
            share=found.share,
            node=found.node.number,
            relation=found.node.relation,
            evidence={
                "columns": columns,
                "rows": round(found.rows.value),
                "rows_expected": round(found.expected),
            },
            severity=found.severity,
        )


def correlated_columns(subject: Subject, found: Misestimate) -> list[str]:
    """Return the columns that a scan fixes to values where their fractions must not be multiplied; none if not so."""
    node = found.node
    if node.relation is None or found.ratio < 1 or guess(subject, node) is not None or stale_tables(subject, node):
        return []
    columns = _fixed_columns(subject, node)
    return columns if len(columns) > 1 else []


def _fixed_columns(subject: Subject, node: Node) -> list[str]:
    """Return the columns that the node's conditions compare for equality with constants, not with other tables."""
    conditions = [str(node.raw[key]) for key in CONDITIONS if key in node.raw]
    fixed = [
        term.column
        for condition in conditions
        for term in terms(condition)
        if term.column is not None
        and (term.is_equality or term.operator in (None, "NOT"))
        and subject.aliases(term.text) <= {node.alias}
    ]
    return list(dict.fromkeys(fixed))


RULE = Rule("B5", "correlated-columns", "Columns that depend on each other", check)

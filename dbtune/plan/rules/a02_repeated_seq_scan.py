"""A whole table is read again and again: once for each row of the other side of a join, or for each run of a subquery.

Fires when a sequential scan that is the inner side of a join or part of a correlated subquery ran 10 times or more,
with no Materialize or Memoize in between that would have kept its rows.

What to do: an index on the column by which the rows are looked up; it turns each scan into a descent of the index.

Source: manual, 14.1 (``loops``) and 11.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.predicate import indexable_columns
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

MIN_LOOPS = 10


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Seq Scan"):
        loops = subject.repeats(node)
        if loops < MIN_LOOPS or not _is_looked_up(subject, node):
            continue
        columns = _columns(subject, node)
        table = words.relation(node)
        by = f" ({', '.join(columns)})" if columns else " on what the rows are looked up by"
        measure = subject.measure(node)
        read = measure.read.value if measure.read is not None else 0.0
        yield Sign(
            message=f"reads all of {table} {words.number(loops)} times, {words.plural(read, 'row')} in total",
            advice=f"an index on {table}{by}",
            share=subject.share(node),
            avoidable=0.9 if columns else None,
            node=node.number,
            relation=node.relation,
            evidence={"loops": loops, "rows_read": round(read), "columns": columns},
        )


def _is_looked_up(subject: Subject, node: Node) -> bool:
    """Whether the scan is repeated by a join or a correlated subquery, with nothing in between that keeps its rows."""
    current = node
    while True:
        if current.parent_relationship in ("Inner", "SubPlan"):
            return True
        above = subject.plan.parent(current)
        if above is None or above.node_type in ("Materialize", "Memoize", "Hash", "Sort"):
            return False
        current = above


def _columns(subject: Subject, node: Node) -> list[str]:
    """Return the columns by which rows are looked up: in the scan's filter, else in the join's."""
    if node.filter is not None and (columns := indexable_columns(node.filter)):
        return columns
    above = subject.plan.parent(node)
    condition = above.raw.get("Join Filter") if above is not None else None
    return subject.own_columns(node, condition) if isinstance(condition, str) else []


RULE = Rule("A2", "repeated-seq-scan", "The same table is scanned over and over", check)

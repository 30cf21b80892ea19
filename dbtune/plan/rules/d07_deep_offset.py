"""LIMIT with a large OFFSET: the server computes all the rows to be skipped, and throws them away.

Fires when a Limit took in 1,000 rows or more, ten times as many as it returned: those that OFFSET skipped.

What to do: keyset pagination: remember the sort key of the last row shown, and ask for the rows after it, ``WHERE
(created, id) > ($1, $2) ORDER BY created, id LIMIT 20``, with an index in that order. Every page then costs the same,
and rows that come or go in between shift nothing. The key has to be unique; a primary key as its last column makes it
so.

Source: manual, LIMIT and OFFSET: "the rows skipped by an OFFSET clause still have to be computed".
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

MIN_ROWS = 1_000
MIN_TIMES = 10

# Nodes that have to take in everything before they return a row: skipping less would save little of them.
_BLOCKING = frozenset({"Sort", "Incremental Sort", "Aggregate", "Hash", "WindowAgg", "SetOp"})


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Limit"):
        source = subject.plan.child(node, "Outer")
        returned = subject.measure(node).rows
        taken = subject.measure(source).rows if source is not None else None
        if source is None or returned is None or taken is None or taken.value - taken.error < MIN_ROWS:
            continue
        if taken.value < MIN_TIMES * (returned.value + returned.error):
            continue
        skipped = taken.value - returned.value
        keys = _sort_key(subject, source)
        by = f" by {', '.join(keys)}" if keys else ""
        streams = not any(n.node_type in _BLOCKING for n in _line(subject, source))
        yield Sign(
            message=f"computes {words.number(taken.value)} rows and skips all but {words.count(returned)} (OFFSET)",
            advice=f"keyset pagination{by}: ask for the rows after the last one shown, in place of OFFSET",
            share=subject.subtree_share(node),
            avoidable=skipped / taken.value if streams else None,
            node=node.number,
            evidence={
                "rows_computed": round(taken.value),
                "rows_returned": round(returned.value),
                "rows_skipped": round(skipped),
                "sort_key": keys,
            },
        )


def _line(subject: Subject, node: Node) -> Iterator[Node]:
    """Yield the node and those that its rows come from, by the outer side of joins."""
    current: Node | None = node
    while current is not None:
        yield current
        current = subject.plan.child(current, "Outer") or subject.plan.child(current, "Subquery")


def _sort_key(subject: Subject, source: Node) -> list[str]:
    """Return the columns in whose order the rows come: of a sort, or of the index that is read."""
    for node in _line(subject, source):
        if "Sort Key" in node.raw:
            return [str(key) for key in node.raw["Sort Key"]]
        if node.node_type in ("Index Scan", "Index Only Scan"):
            index = subject.index(node)
            return list(index.columns) if index is not None else []
    return []


RULE = Rule("D7", "deep-offset", "Rows computed only to be skipped", check)

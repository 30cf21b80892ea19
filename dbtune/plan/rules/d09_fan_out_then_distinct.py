"""A join multiplies rows, and DISTINCT (or GROUP BY) then removes the copies.

Fires when DISTINCT, or GROUP BY without an aggregate, drops nine of ten rows or more of 10,000 or more that come out of
a join, and the result takes no column of one of the joined tables: that table is only asked whether a row exists.

What to do: ask so: ``WHERE EXISTS (SELECT FROM t WHERE ...)`` in place of the join. Each row is then found once, the
search in the other table may end at the first match, and nothing is left to be removed. Where it is an outer join,
leave it out altogether.

Source: manual, Subquery Expressions (EXISTS) and SELECT (DISTINCT); nodes Unique, Group and Aggregate of EXPLAIN.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import GATHERS, JOINS, Node

MIN_ROWS = 10_000
MIN_RATIO = 0.9

_PASSING = GATHERS | {"Sort", "Incremental Sort", "Materialize"}


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Unique", "Group", "Aggregate"):
        join = _joined(subject, node)
        if join is None or not _only_removes(node) or any(a.node_type in JOINS for a in subject.plan.ancestors(node)):
            continue
        came, left = subject.measure(join).rows, subject.measure(node).rows
        if came is None or left is None or came.value - came.error < MIN_ROWS:
            continue
        if 1 - (left.value + left.error) / came.value < MIN_RATIO:
            continue
        unused = _unused(subject, node, join)
        if not unused:
            continue
        yield Sign(
            message=f"joins {words.count(came)} rows, of which DISTINCT leaves {words.count(left)}",
            advice=f"EXISTS in place of the join with {', '.join(unused)}, of which no column is returned",
            share=subject.subtree_share(node),
            node=node.number,
            evidence={"rows_joined": round(came.value), "rows_left": round(left.value), "tables": unused},
        )


def _only_removes(node: Node) -> bool:
    """Whether the node returns its key and nothing else."""
    if node.node_type != "Aggregate":
        return True
    keys = {str(key).strip("()") for key in node.raw.get("Group Key", [])}
    return bool(keys) and all(str(one).strip("()") in keys for one in node.raw.get("Output", [None]))


def _joined(subject: Subject, node: Node) -> Node | None:
    """Return the join whose rows the node takes, if it takes a join's."""
    below = subject.plan.child(node, "Outer")
    while below is not None and (below.node_type in _PASSING or below.raw.get("Partial Mode") == "Partial"):
        below = subject.plan.child(below, "Outer")
    return below if below is not None and below.node_type in JOINS else None


def _unused(subject: Subject, node: Node, join: Node) -> list[str]:
    """Return the joined tables of which the result has no column; semi- and anti-joins ask for existence already."""
    output = node.raw.get("Output")
    if not isinstance(output, list) or any(
        n.raw.get("Join Type") in ("Semi", "Anti") for n in subject.plan.subtree(join)
    ):
        return []
    used = set().union(*(subject.aliases(str(one)) for one in output))
    tables = [n for n in subject.plan.subtree(join) if n.relation is not None and n.alias is not None]
    return list(dict.fromkeys(n.relation for n in tables if n.alias not in used and n.relation is not None))


RULE = Rule("D9", "fan-out-then-distinct", "Rows multiplied by a join, then made distinct", check)

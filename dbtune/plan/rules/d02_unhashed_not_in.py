"""The list of a NOT IN (or IN, or ALL) is walked from its beginning for every row, for it was not hashed.

Fires when the rows of an uncorrelated subquery are kept (Materialize below a SubPlan) and walked ten times or more,
10,000 rows in total. With estimates only, it takes the planner's figures, and half of the list for each row.

The planner hashes such a list if it expects the hash to fit into work_mem times hash_mem_multiplier. A comparison with
ALL, or by an operator that cannot be hashed, is never hashed.

What to do: NOT EXISTS, which becomes an anti-join. It is not quite the same: NOT IN returns no row at all as soon as
the list holds a NULL, which is seldom meant. Else, for NOT IN, work_mem as large as the advice says.

Source: manual, Subquery Expressions (NOT IN) and work_mem; ``subplan_is_hashable`` of subselect.c. Up to 16 the filter
reads ``NOT (SubPlan 1)``, from 17 on ``NOT (ANY (a = (SubPlan 1).col1))``.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import BLOCK_SIZE, Subject
from dbtune.plan.tree import Node

MIN_RUNS = 10
MIN_WALKED = 10_000
_TUPLE_HEADER = 24


def is_unhashed_not_in(subject: Subject, node: Node) -> bool:
    """Whether the node keeps the list of a subquery that is walked for many rows; a correlated one is not kept."""
    if node.parent_relationship != "SubPlan" or node.node_type != "Materialize":
        return False
    runs, walked = _walked(subject, node)
    return runs >= MIN_RUNS and walked >= MIN_WALKED


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Materialize"):
        above = subject.plan.parent(node)
        if above is None or not is_unhashed_not_in(subject, node):
            continue
        runs, walked = _walked(subject, node)
        enough = _hash_blocks(node)
        advice = "NOT EXISTS in its place (or EXISTS), if a NULL in the list need not empty the result"
        if is_not_in := _is_not_in(above, node):
            advice += f"; else work_mem of more than {words.size(enough)}, to hash the list"
        kind = "NOT IN" if is_not_in else "subquery"
        yield Sign(
            message=f"the list of the {kind} is walked {words.number(runs)} times, {words.number(walked)} rows in all",
            advice=advice,
            share=min(1.0, subject.subtree_share(node) + subject.share(above)),
            avoidable=max(0.0, 1 - (runs + node.plan_rows) / walked),
            node=node.number,
            evidence={"runs": round(runs), "rows_walked": round(walked), "hash_kb": round(enough * BLOCK_SIZE / 1024)},
        )


def _walked(subject: Subject, node: Node) -> tuple[float, float]:
    """Return how often the list is walked, and the rows that this takes."""
    rows = subject.measure(node).rows
    if rows is not None and node.loops is not None:
        return node.loops, rows.value
    above = subject.plan.parent(node)
    runs = above.plan_rows if above is not None else 0.0
    return runs, runs * node.plan_rows / 2


def _is_not_in(above: Node, node: Node) -> bool:
    text = " ".join(str(above.raw.get(key, "")) for key in ("Filter", "Join Filter", "Output"))
    return f"NOT ({node.subplan_name})" in text or ("NOT (ANY (" in text and f"({node.subplan_name})" in text)


def _hash_blocks(node: Node) -> float:
    """Return what the planner reckons a hash of the list would need, in 8 kB blocks."""
    width = -(-node.plan_width // 8) * 8 + _TUPLE_HEADER
    return node.plan_rows * width / BLOCK_SIZE


RULE = Rule("D2", "unhashed-not-in", "A list that is searched row by row", check)

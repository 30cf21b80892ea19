"""The statement counts many rows one by one, only to return the number.

Fires when the statement is nothing but a count that takes in 100,000 rows or more, and takes half of its time or more.
PostgreSQL keeps no exact number of rows: which rows there are depends on who asks, so each count looks at all of them.

What to do: mostly nobody needs the exact number. For "1 to 20 of about 40,000", take the planner's estimate
(``pg_class.reltuples``, or ``Plan Rows`` of EXPLAIN for a condition). For "more than 1,000", count with a limit:
``SELECT count(*) FROM (SELECT FROM t WHERE ... LIMIT 1001) AS s``. Where it has to be exact, keep the number in a table
of its own, or count seldom and remember it. A VACUUM before lets an index-only scan read less than the table.

Source: manual, Aggregate Functions (count takes effort in proportion to the size of the table).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import GATHERS, Node

MIN_ROWS = 100_000
MIN_SHARE = 0.5


def check(subject: Subject) -> Iterator[Sign]:
    root = subject.plan.root
    if root.node_type != "Aggregate" or root.raw.get("Strategy") != "Plain" or not _is_count(root):
        return
    source = _source(subject, root)
    rows = subject.measure(source).rows if source is not None else None
    share = subject.subtree_share(root)
    if source is None or rows is None or rows.value - rows.error < MIN_ROWS or share < MIN_SHARE:
        return
    tables = [n.relation for n in subject.plan.subtree(source) if n.relation is not None]
    what = f" of {tables[0]}" if len(set(tables)) == 1 else ""
    yield Sign(
        message=f"counts {words.count(rows)} rows{what} one by one",
        advice="an estimate (pg_class.reltuples, or EXPLAIN's rows), a count up to a LIMIT, or a number kept elsewhere",
        share=share,
        node=root.number,
        relation=tables[0] if what else None,
        evidence={"rows_counted": round(rows.value)},
    )


def _is_count(root: Node) -> bool:
    output = root.raw.get("Output", [])
    return len(output) == 1 and str(output[0]).startswith("count(") and "DISTINCT" not in output[0]


def _source(subject: Subject, root: Node) -> Node | None:
    """Return the node whose rows are counted: in a parallel plan below the workers' own counts."""
    node = subject.plan.child(root, "Outer")
    while node is not None and (node.node_type in GATHERS or node.raw.get("Partial Mode") == "Partial"):
        node = subject.plan.child(node, "Outer")
    return node


RULE = Rule("D8", "slow-count", "Counting many rows", check)

"""The statement returns a whole table: no condition, no limit, every row goes to the client.

Fires when a statement returns 10,000 rows or more, and a table (or the partitions under one Append) of 10,000 rows or
more is read without any condition and reaches the client without LIMIT, grouping or DISTINCT, nine of ten rows at
least; a join that drops most of its rows is not meant. Plans that were not run are judged by the planner's row counts.

What to do: fetch a page at a time (``WHERE id > last ORDER BY id LIMIT 100``), a condition, or an aggregate where only
a sum is wanted. An export that needs every row reads them best through a server-side cursor or COPY. Which of these it
is the plan cannot tell, so this is never more than a warning; nor does EXPLAIN show what sending the rows costs.

Source: manual, 7.6 (LIMIT and OFFSET), 14.1 and DECLARE.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Severity, Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import JOINS, Node

MIN_ROWS = 10_000
MIN_RATIO = 0.9

_SCANS = frozenset({"Seq Scan", "Index Scan", "Index Only Scan"})
_APPENDS = frozenset({"Append", "Merge Append"})
# What hands on every row it gets; a condition of its own is looked at apart.
_PASSING = frozenset(
    {"Sort", "Incremental Sort", "Gather", "Gather Merge", "Hash", "Materialize", "Memoize", "Subquery Scan", "Result"}
    | {"WindowAgg", "LockRows", *JOINS}
)
_CONDITIONS = ("Filter", "Index Cond", "One-Time Filter", "Run Condition")


def check(subject: Subject) -> Iterator[Sign]:
    returned = _rows(subject, subject.plan.root)
    if returned < MIN_ROWS:
        return
    whole = [node for node in _read_whole(subject) if MIN_ROWS <= _rows(subject, node) <= returned / MIN_RATIO]
    whole = [node for node in whole if not _is_stopped(subject, node)]
    if not whole:
        return
    node = max(whole, key=lambda n: _rows(subject, n))
    tables = list(dict.fromkeys(n.relation for n in subject.plan.subtree(node) if n.relation is not None))
    what = f"{words.number(len(tables))} tables ({tables[0]}, …)" if len(tables) > 1 else "".join(tables) or node.label
    yield Sign(
        message=f"returns {words.plural(returned, 'row')}: all of {what}, without condition or limit",
        advice="a condition or LIMIT, page by page along an indexed column; for an export a server-side cursor or COPY",
        share=subject.subtree_share(subject.plan.root),
        node=node.number,
        relation=node.relation,
        evidence={"rows_returned": round(returned), "rows_read": round(_rows(subject, node)), "tables": tables},
        severity=Severity.WARN,
    )


def _rows(subject: Subject, node: Node) -> float:
    measure = subject.measure(node)
    return measure.rows.value if measure.rows is not None else measure.estimated_rows


def _is_stopped(subject: Subject, node: Node) -> bool:
    """Whether a scan ended early, or may have: a merge join stops when its other side has no more rows."""
    facts = subject.facts.table(node.relation)
    if facts is None:
        return any(above.node_type == "Merge Join" for above in subject.plan.ancestors(node))
    return _rows(subject, node) < MIN_RATIO * facts.reltuples


def _read_whole(subject: Subject) -> Iterator[Node]:
    """Yield the scans, and Appends of scans, that read all there is and hand it up to the client."""
    waiting = [subject.plan.root]
    while waiting:
        node = waiting.pop()
        if node.never_executed or any(key in node.raw for key in _CONDITIONS):
            continue
        below = _delivering(subject, node)
        parts = below if node.node_type in _APPENDS else [node]
        if all(_is_plain_scan(part) for part in parts):
            yield node
        elif node.node_type in _PASSING:
            waiting.extend(below)


def _is_plain_scan(node: Node) -> bool:
    return node.node_type in _SCANS and not any(key in node.raw for key in _CONDITIONS)


def _delivering(subject: Subject, node: Node) -> list[Node]:
    """Return the children whose rows become the node's: not subplans, nor what a semi-join only looks into."""
    join = str(node.raw.get("Join Type", ""))
    unseen = None
    if join.endswith(("Semi", "Anti")):
        unseen = "Outer" if join.startswith("Right") else "Inner"
    kinds = {"Outer", "Inner", "Member", "Subquery"} - {unseen}
    return [child for child in subject.plan.children(node) if child.parent_relationship in kinds]


RULE = Rule("A3", "unbounded-read", "A whole table goes to the client", check)

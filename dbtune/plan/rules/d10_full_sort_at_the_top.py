"""All rows of the result are sorted before the first is returned, though an index could give them in that order.

Fires when a sort in memory of 10,000 rows or more feeds the result with no LIMIT above, takes three tenths of the time
or more, its first key is a column of a table, and no index begins with that column. Sorts on disk are C1's.

What to do: LIMIT, if the reader wants the first rows only: PostgreSQL then keeps just those in memory. Else an index on
the sort key: rows come in order, and the first at once. An index on its first column helps too from 13 on (Incremental
Sort). Where all rows are wanted at once, and they lie scattered over a large table, sorting may still be the quickest.

Source: manual, Indexes and ORDER BY; Using EXPLAIN (Incremental Sort).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

MIN_ROWS = 10_000
MIN_SHARE = 0.3

_PASSING = frozenset({"Gather Merge", "Subquery Scan", "Result", "LockRows"})
_COLUMN = re.compile(r"([\w$]+|\"[^\"]+\")\.([\w$]+|\"[^\"]+\")(?: DESC)?(?: NULLS (?:FIRST|LAST))?")


def check(subject: Subject) -> Iterator[Sign]:
    node: Node | None = subject.plan.root
    while node is not None and node.node_type in _PASSING:
        node = subject.plan.child(node, "Outer") or subject.plan.child(node, "Subquery")
    if node is None or node.node_type != "Sort" or node.never_executed or _is_on_disk(node):
        return
    rows = subject.measure(node).rows
    share = subject.share(node)
    keys = [str(key) for key in node.raw.get("Sort Key", [])]
    scan, column = _first_column(subject, node, keys)
    if rows is None or rows.value - rows.error < MIN_ROWS or share < MIN_SHARE or scan is None:
        return
    table = subject.facts.table(scan.relation)
    if table is not None and table.leads(column) is not None:
        return  # there is one, and the planner found sorting cheaper
    yield Sign(
        message=f"sorts all {words.count(rows)} rows by {', '.join(keys)} before it returns the first",
        advice=f"LIMIT if the first rows are enough; else an index on {scan.relation} ({', '.join(_own(scan, keys))})",
        share=share,
        node=node.number,
        relation=scan.relation,
        evidence={"rows_sorted": round(rows.value), "sort_key": keys},
    )


def _is_on_disk(node: Node) -> bool:
    return any(p.get("Sort Space Type") == "Disk" for p in (node.raw, *node.workers))


def _first_column(subject: Subject, node: Node, keys: list[str]) -> tuple[Node | None, str]:
    """Return the scan and the column that the first sort key comes from; no scan where it is something else."""
    match = _COLUMN.fullmatch(keys[0]) if keys else None
    if match is None:
        return None, ""
    alias, column = (part.strip('"') for part in match.groups())
    scans = [n for n in subject.plan.subtree(node) if n.alias == alias and n.relation is not None]
    return (scans[0] if len(scans) == 1 else None), column


def _own(scan: Node, keys: list[str]) -> list[str]:
    """Return the leading sort keys that are columns of the scanned table, as CREATE INDEX takes them."""
    own: list[str] = []
    for key in keys:
        match = _COLUMN.fullmatch(key)
        if match is None or match.group(1).strip('"') != scan.alias:
            break
        own.append(key.removeprefix(f"{match.group(1)}."))
    return own


RULE = Rule("D10", "full-sort-at-the-top", "The whole result is sorted", check)

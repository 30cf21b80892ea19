"""Several indexes are read for the rows that all of them name: one index over all conditions would find just those.

Fires when a BitmapAnd combines two or more Bitmap Index Scans and these take a tenth of the statement or more. Plans
that were not run are judged by the planner's costs. A BitmapOr is not meant: no single index could replace it.

What to do: one index over the columns of all conditions, those fixed to a value first. Its price is one more index to
keep, so it is for conditions that often come together; for ones that users combine freely, single indexes and
BitmapAnd are the better choice.

Source: manual, 11.3 (multicolumn indexes) and 11.5 (combining multiple indexes).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.predicate import index_elements, terms
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

MIN_SHARE = 0.1


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("BitmapAnd"):
        scans = [child for child in subject.plan.children(node) if child.node_type == "Bitmap Index Scan"]
        share = subject.subtree_share(node)
        heap = next((n for n in subject.plan.ancestors(node) if n.node_type == "Bitmap Heap Scan"), None)
        if len(scans) < 2 or share < MIN_SHARE or heap is None:
            continue
        conditions = [str(scan.raw["Index Cond"]) for scan in scans if "Index Cond" in scan.raw]
        together = " AND ".join(f"({condition})" for condition in conditions)
        tested = terms(together) if together else []
        table = words.relation(heap)
        columns = index_elements(together) if together and all(term.indexable for term in tested) else []
        indexes = [scan.index_name or "?" for scan in scans]
        if columns:
            advice = f"one index on {table} ({', '.join(columns)})"
        else:
            advice = "one index over these conditions: btree_gin and btree_gist let GIN and GiST take plain columns"
        listed = f"{', '.join(indexes[:-1])} and {indexes[-1]}"
        yield Sign(
            message=f"combines {listed} for the rows of {table} that all of them name",
            advice=advice,
            share=share,
            avoidable=_avoidable(subject, heap, node, scans) if sum(not t.is_equality for t in tested) <= 1 else None,
            node=node.number,
            relation=heap.relation,
            evidence={"indexes": indexes, "conditions": conditions, "columns": columns},
        )


def _avoidable(subject: Subject, heap: Node, node: Node, scans: list[Node]) -> float | None:
    """Return which part of the entries read one index would not read: it has those of the rows that match alone."""
    matching = subject.measure(heap).read
    found = [rows.value for scan in scans if (rows := subject.measure(scan).rows) is not None]
    if matching is None or heap.number != node.parent or not sum(found):
        return None
    return max(0.0, 1 - matching.value / sum(found))


RULE = Rule("A9", "bitmap-and", "Several indexes where one would do", check)

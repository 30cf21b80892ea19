"""An index answers the condition only roughly: rows that it offers are tested again, and at least half do not match.

Fires when a scan's recheck drops 1,000 rows or more and at least as many as it keeps, and that is not for want of
work_mem (A7). A trigram index offers every row that has the parts of the pattern, wherever they stand; signatures in
GiST and bloom indexes collide, shapes are kept as their bounding boxes; BRIN offers whole ranges of blocks.

What to do depends on the index. BRIN: fewer ``pages_per_range``, the table in the column's order, or a B-tree index.
GiST: GIN instead, or a longer signature (``siglen``). GIN: a longer or rarer pattern, or an index on the very
expression that is tested. Bloom: a longer signature.

Source: manual, 11.2 (index types), BRIN Indexes, pg_trgm; ``Rows Removed by Index Recheck`` is an average over loops
and is multiplied here.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.rules.a07_lossy_bitmap import heap_blocks, notes_whole_blocks
from dbtune.plan.subject import Subject
from dbtune.plan.tree import SCANS_OF_INDEXES, Node

MIN_DROPPED = 1_000

_ADVICE = {
    "brin": "fewer pages_per_range, the table kept in this order, or a B-tree index",
    "gist": "a GIN index in its place, or a longer signature (siglen) where the operator class has one",
    "gin": "a longer or rarer pattern, or an index on the very expression that is tested",
    "bloom": "a longer signature (length and bits of the index)",
}


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Bitmap Heap Scan", "Index Scan", "Index Only Scan"):
        rows = subject.measure(node).rows
        dropped = subject.dropped(node, "Index Recheck")
        least = dropped.value - dropped.error
        if rows is None or least < MIN_DROPPED or least < rows.value + rows.error:
            continue
        if heap_blocks(node)[1] and not notes_whole_blocks(subject, node):
            continue  # A7 tells that
        indexes = list(dict.fromkeys(n.index_name for n in _index_scans(subject, node) if n.index_name))
        methods = [index.method for n in _index_scans(subject, node) if (index := subject.index(n)) is not None]
        method = methods[0] if methods else "brin" if heap_blocks(node)[1] else ""
        kept = rows.value
        yield Sign(
            message=f"{words.count(dropped)} of the {words.plural(kept + dropped.value, 'row')} that "
            f"{' and '.join(indexes) or 'the index'} offers do not match",
            advice=_ADVICE.get(method, "an index whose operator class answers this condition exactly"),
            share=subject.share(node),
            avoidable=dropped.value / (dropped.value + kept) if method != "gin" else None,
            node=node.number,
            relation=node.relation,
            evidence={
                "rows_dropped": round(dropped.value),
                "rows_kept": round(kept),
                "indexes": indexes,
                "method": method,
            },
        )


def _index_scans(subject: Subject, node: Node) -> list[Node]:
    return [n for n in subject.plan.subtree(node) if n.node_type in SCANS_OF_INDEXES]


RULE = Rule("A8", "inexact-recheck", "Index that only roughly answers the condition", check)

"""A whole index is walked for its order, and the table is visited row by row in that order, here and there.

Fires when an index scan without any index condition, which no LIMIT stops, reads 10,000 rows or more and asks for one
block or more for every two of them: its order is not the table's. Walks in the table's own order, and index-only scans,
ask for far fewer blocks and are not told. Never more than a note: as long as the table stays in memory, the walk takes
about as long as a scan and a sort would (60,000 rows: 31 ms either way, but 60,165 blocks instead of 383); from disk it
takes far longer.

What to do: compare with a sort, by ``SET LOCAL enable_indexscan = off``. Where the sort wins, a larger work_mem or a
higher random_page_cost lets the planner choose it. Where the order is needed often: an index that INCLUDEs the columns
wanted, or CLUSTER.

Source: manual, 11.4 (indexes and ORDER BY), 11.9 (index-only scans) and random_page_cost.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Severity, Sign
from dbtune.plan.rules import MIN_SHARE, Rule
from dbtune.plan.rules.a05_index_for_order_only import is_limited
from dbtune.plan.subject import Subject

MIN_ROWS = 10_000
MIN_BLOCKS_PER_ROW = 0.5


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Index Scan"):
        measure = subject.measure(node)
        if measure.read is None or measure.self_blocks is None or not subject.is_unbounded(node):
            continue
        read, blocks = measure.read.value, measure.self_blocks.accessed
        if read < MIN_ROWS or blocks < MIN_BLOCKS_PER_ROW * read or is_limited(subject, node):
            continue
        index = subject.index(node)
        if index is not None and index.predicate is not None:
            continue  # the index has only the rows that are wanted
        if measure.share < MIN_SHARE:
            continue
        table = words.relation(node)
        facts = subject.facts.table(node.relation)
        of = f" of a table of {words.number(facts.relpages)}" if facts is not None else ""
        yield Sign(
            message=f"reads {table} in the order of {node.index_name}: {words.plural(read, 'row')}, "
            f"{words.plural(blocks, 'block')}{of}",
            advice="a sort instead, if it proves faster (SET LOCAL enable_indexscan = off shows it); for this order "
            "again and again, an index that INCLUDEs the columns wanted",
            share=measure.share,
            node=node.number,
            relation=node.relation,
            evidence={"rows_read": round(read), "blocks": blocks, "index": node.index_name or ""},
            severity=Severity.INFO,
        )


RULE = Rule("A6", "whole-index-walk", "Whole index walked for its order", check)

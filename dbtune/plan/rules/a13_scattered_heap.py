"""An index scan waits for the disk: the rows it finds lie scattered over the table, nearly each in a block of its own.

Fires when an index scan read 1,000 blocks or more from outside shared buffers, one or more for every two rows that it
looked at, and that took 30 % of its time or more. It needs I/O times (``track_io_timing``) and says nothing without.

What to do: an index that INCLUDEs the columns wanted, so that the table need not be visited; or the table in the
index's order (CLUSTER, or a primary key that begins with what is looked up); for a range of a column that the table
follows roughly, BRIN. Where the blocks would fit, more memory for shared_buffers.

Source: manual, 11.9 (covering indexes), CLUSTER and track_io_timing; ``pg_stats.correlation``.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

MIN_BLOCKS = 1_000
MIN_BLOCKS_PER_ROW = 0.5
MIN_TIME = 0.3


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Index Scan"):
        measure = subject.measure(node)
        if measure.read is None or measure.self_blocks is None or not measure.self_ms:
            continue
        rows = measure.read.value + measure.read.error
        blocks = measure.self_blocks.shared_read
        part = min(1.0, _read_ms(subject, node) / measure.self_ms)
        if blocks < MIN_BLOCKS or blocks < MIN_BLOCKS_PER_ROW * rows or part < MIN_TIME:
            continue
        table = words.relation(node)
        yield Sign(
            message=f"waits for {words.plural(blocks, 'block')} of {table} to be read, for the "
            f"{words.count(measure.read)} rows that {node.index_name} finds all over it",
            advice=f"an index like {node.index_name} that INCLUDEs the columns wanted, or CLUSTER {table} "
            f"USING {node.index_name}",
            share=measure.share * part,
            node=node.number,
            relation=node.relation,
            evidence={
                "blocks_read": blocks,
                "rows": round(measure.read.value),
                "read_ms": round(part * measure.self_ms, 3),
                "index": node.index_name or "",
            },
        )


def _read_ms(subject: Subject, node: Node) -> float:
    """Return how long the node alone waited for reads; what is printed is a sum over processes and all below."""
    key = "Shared I/O Read Time"
    own = node.number_of(key) - sum(child.number_of(key) for child in subject.plan.children(node))
    processes = (node.loops or 1) / (subject.repeats(node) or 1)
    return max(0.0, own / processes)


RULE = Rule("A13", "scattered-heap", "Index scan that reads all over the table", check)

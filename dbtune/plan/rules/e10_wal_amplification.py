"""A small change wrote much to the write-ahead log (WAL).

Fires when a statement that changes data wrote 1 MB of WAL or more, and there are three page images or more to ten
records, or an UPDATE wrote 4 kB or more for each row; or when the WAL buffers were full 100 times or more (18).

What to do: page images: the first change of a page after a checkpoint logs all of it. A longer checkpoint_timeout and
a larger max_wal_size make that rarer, wal_compression makes it smaller; rows that are changed together should lie
together. Measured right after a checkpoint, it says little: measure again. Many bytes a row: an UPDATE writes all of
the row anew, save values that are kept out of line (TOAST), and an entry to each index unless there is room in the page
(fillfactor) and no indexed column changes (HOT): keep what changes often in a narrow table of its own, and drop indexes
that nobody uses. Full buffers: a larger wal_buffers.

Source: manual, WAL Configuration, Heap-Only Tuples, full_page_writes, wal_compression, wal_buffers; ``WAL FPI`` of
EXPLAIN (WAL) are full page images.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Severity, Sign
from dbtune.plan.rules import MIN_MS, Rule
from dbtune.plan.subject import BLOCK_SIZE, Subject
from dbtune.plan.tree import Node

MIN_BYTES = 1_000_000
MIN_IMAGES_RATIO = 0.3
MIN_BYTES_PER_ROW = 4_096
MIN_BUFFERS_FULL = 100


def check(subject: Subject) -> Iterator[Sign]:
    changing = subject.running("ModifyTable")
    if not changing or (subject.analysis.execution_ms or 0.0) < MIN_MS:
        return
    root = subject.plan.root
    written, records, images, full = (
        root.number_of(f"WAL {what}") for what in ("Bytes", "Records", "FPI", "Buffers Full")
    )
    rows = sum(_changed(subject, node) for node in changing)
    is_update = all(node.raw.get("Operation") == "Update" for node in changing)
    is_wide = is_update and rows > 0 and written / rows >= MIN_BYTES_PER_ROW
    is_images = records > 0 and images / records >= MIN_IMAGES_RATIO
    if (written < MIN_BYTES or not (is_wide or is_images)) and full < MIN_BUFFERS_FULL:
        return
    if is_images:
        advice = "checkpoints further apart (checkpoint_timeout, max_wal_size) or wal_compression; measure again first"
    elif is_wide:
        advice = (
            "what changes often in a narrow table of its own; fewer indexes, or a fillfactor that leaves room for HOT"
        )
    else:
        advice = "a larger wal_buffers"
    yield Sign(
        message=f"wrote {words.size(written / BLOCK_SIZE)} of WAL for {words.plural(rows, 'row')}, "
        f"{words.plural(images, 'page image')} in {words.plural(records, 'record')}"
        + (f", and found its buffers full {words.number(full)} times" if full else ""),
        advice=advice,
        share=min(1.0, sum(map(subject.share, changing))),
        node=changing[0].number,
        relation=changing[0].relation,
        evidence={
            "wal_bytes": round(written),
            "wal_records": round(records),
            "wal_fpi": round(images),
            "wal_buffers_full": round(full),
            "rows": round(rows),
        },
        severity=Severity.INFO,
    )


def _changed(subject: Subject, node: Node) -> float:
    """Return how many rows a ModifyTable was given to insert, update or delete."""
    counts = [
        subject.measure(c).rows for c in subject.plan.children(node) if c.parent_relationship in ("Outer", "Member")
    ]
    return sum(count.value for count in counts if count is not None)


RULE = Rule("E10", "wal-amplification", "Much WAL for a small change", check)

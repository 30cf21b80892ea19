"""A statement that only reads made blocks dirty, or had to write some out to make room.

The first to read rows after they were written finds out whether their transaction committed, and notes it in the rows
(hint bits); it also clears away dead row versions (pruning). Both change the block, which has to be written again
later, and with checksums or wal_log_hints logged as well.

Fires when a statement that changes no data dirtied or wrote 64 blocks or more, a twentieth of those it looked at.

What to do: dirtied blocks: measure again, the second run does not do it any more; VACUUM after a bulk load, before the
readers come; COPY with FREEZE into a new table does without. Written blocks: sessions write them when the background
writer and checkpoints lag behind; see bgwriter_lru_maxpages and shared_buffers.

Source: manual, EXPLAIN (BUFFERS), Background Writer, wal_log_hints; heapam_visibility.c for hint bits.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Severity, Sign
from dbtune.plan.rules import MIN_MS, Rule
from dbtune.plan.subject import Subject

MIN_BLOCKS = 64
MIN_RATIO = 0.05

_CHANGING = frozenset({"ModifyTable", "LockRows"})


def check(subject: Subject) -> Iterator[Sign]:
    blocks = subject.analysis.blocks
    if blocks is None or not blocks.shared or any(n.node_type in _CHANGING for n in subject.plan.nodes):
        return
    changed = max(blocks.shared_dirtied, blocks.shared_written)
    if changed < MIN_BLOCKS or changed / blocks.shared < MIN_RATIO:
        return
    if (subject.analysis.execution_ms or 0.0) < MIN_MS:
        return
    advice = "a second run to measure without; VACUUM after a load, before the readers come"
    if blocks.shared_written > blocks.shared_dirtied:
        advice = "a background writer that keeps up (bgwriter_lru_maxpages), or larger shared_buffers"
    yield Sign(
        message=f"only reads, but dirtied {words.size(blocks.shared_dirtied)} and wrote out "
        f"{words.size(blocks.shared_written)}",
        advice=advice,
        share=min(1.0, changed / blocks.shared),
        evidence={"blocks_dirtied": blocks.shared_dirtied, "blocks_written": blocks.shared_written},
        severity=Severity.INFO,
    )


RULE = Rule("E9", "reads-that-write", "A reading statement that writes", check)

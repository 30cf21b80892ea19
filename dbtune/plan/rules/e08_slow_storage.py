"""The storage is slow: each block that was not in memory took long to come.

Fires when a sequential scan that read 1,000 blocks or more got less than 100 MB a second, or an index or bitmap scan
that read 100 blocks or more waited 1 ms or more for each: a block at a time, even a good disk is far from 100 MB/s.
It needs track_io_timing. Reads that the operating system's cache answers take some microseconds each and do not fire.

What to do: see what the storage is meant to give (a cloud disk has a limit of operations a second, and a burst credit
that runs out), and who else uses it. More memory for shared_buffers and the operating system's cache saves reads; a
higher effective_io_concurrency lets bitmap scans, and from 17 on sequential scans, ask for several blocks at a time.

Source: manual, track_io_timing and effective_io_concurrency; ``Shared I/O Read Time`` of EXPLAIN (BUFFERS).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import BLOCK_SIZE, Subject

MIN_SEQUENTIAL = 1_000
MIN_SCATTERED = 100
SLOW_MB_PER_S = 100.0
SLOW_BLOCK_MS = 1.0

_SEQUENTIAL = frozenset({"Seq Scan", "Sample Scan"})
_SCATTERED = frozenset({"Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan"})


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running(*_SEQUENTIAL, *_SCATTERED):
        own = subject.measure(node).self_blocks
        below = sum(child.number_of("Shared I/O Read Time") for child in subject.plan.children(node))
        waited = node.number_of("Shared I/O Read Time") - below
        read = own.shared_read if own is not None else 0
        if waited <= 0 or read < (MIN_SEQUENTIAL if node.node_type in _SEQUENTIAL else MIN_SCATTERED):
            continue
        rate = read * BLOCK_SIZE / 1e6 / (waited / 1e3)
        if not (rate < SLOW_MB_PER_S if node.node_type in _SEQUENTIAL else waited / read >= SLOW_BLOCK_MS):
            continue
        processes = max(1.0, (node.loops or 1.0) / max(1.0, subject.repeats(node)))
        yield Sign(
            message=f"{words.size(read)} of {words.relation(node)} came at {words.number(rate)} MB/s, "
            f"{words.milliseconds(waited / read)} a block",
            advice="a look at the storage's limits and load, or more memory to keep these blocks in",
            share=subject.part(waited / processes) or 0.0,
            node=node.number,
            relation=node.relation,
            evidence={"blocks_read": read, "reading_ms": round(waited, 3), "mb_per_s": round(rate, 1)},
        )


RULE = Rule("E8", "slow-storage", "Slow reads from storage", check)

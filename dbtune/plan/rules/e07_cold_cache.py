"""The time went into reading blocks that were not in shared buffers: the measurement is one of a cold cache.

Fires when half of the shared blocks or more, 1,000 at least, had to be read, and reading took half of the time or more.
It needs track_io_timing. Parallel processes each wait for their own blocks; EXPLAIN prints the sum, which is divided
here by the number of processes.

What to do: measure again, for the second run finds them in memory. If it reads as much, the statement touches more than
shared_buffers holds (or a table larger than a quarter of it, which a sequential scan reads through a small ring): then
it is the statement that reads too much, or the memory that is too small. Production may run either way; say which one
a number is about.

Source: manual, shared_buffers and track_io_timing; ``Shared I/O Read Time`` of EXPLAIN (BUFFERS).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Severity, Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject

MIN_READ = 1_000
MIN_READ_RATIO = 0.5
MIN_SHARE = 0.5


def check(subject: Subject) -> Iterator[Sign]:
    root = subject.plan.root
    blocks = subject.analysis.blocks
    if blocks is None or blocks.shared_read < MIN_READ or blocks.shared_read < MIN_READ_RATIO * blocks.shared:
        return
    processes = 1 + max((n.workers_launched or 0 for n in subject.plan.nodes), default=0)
    reading_ms = root.number_of("Shared I/O Read Time") / processes
    share = subject.part(reading_ms)
    if share is None or share < MIN_SHARE:
        return
    yield Sign(
        message=f"{words.percent(blocks.shared_read / blocks.shared)} of the blocks, {words.size(blocks.shared_read)}, "
        f"were not in shared buffers; reading them took {words.milliseconds(reading_ms)}",
        advice="a second run to tell a cold cache from too small a one",
        share=share,
        evidence={
            "blocks_read": blocks.shared_read,
            "blocks_hit": blocks.shared_hit,
            "reading_ms": round(reading_ms, 3),
        },
        severity=Severity.INFO,
    )


RULE = Rule("E7", "cold-cache", "Measured with a cold cache", check)

"""A bitmap of row positions did not fit into work_mem: for some blocks only the block was noted, not which rows.

Fires when a tenth or more of the blocks that a Bitmap Heap Scan visits are lossy, and testing every row in them again
dropped 1,000 rows or more. A BRIN index notes whole blocks whatever work_mem is; A8 tells of that.

What to do: a larger work_mem for this statement or role (``SET LOCAL work_mem``). A bitmap takes 64 bytes for each
block of the table that has a row in it, so that the 4 MB of default hold 65,536 blocks; measured on 13 and 18, 2,996
blocks are lossy with 160 kB and exact with 188 kB.

Source: manual, 11.5 (combining indexes) and work_mem; tidbitmap.c, tbm_calculate_entries. Up to 17 the counters of
a parallel scan are the leader's alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

MIN_RATIO = 0.1
MIN_DROPPED = 1_000
BYTES_PER_BLOCK = 64


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Bitmap Heap Scan"):
        exact, lossy = heap_blocks(node)
        dropped = subject.dropped(node, "Index Recheck")
        if not lossy or lossy < MIN_RATIO * (exact + lossy) or dropped.value - dropped.error < MIN_DROPPED:
            continue
        if notes_whole_blocks(subject, node):
            continue
        own = subject.measure(node).self_blocks
        visited = max(exact + lossy, own.accessed if own is not None else 0)
        needed = ceil(visited / subject.repeats(node) * BYTES_PER_BLOCK / 1024)
        part = words.percent(lossy / (exact + lossy))
        yield Sign(
            message=f"the bitmap of {words.relation(node)} did not fit into work_mem: {part} of its blocks are lossy, "
            f"{words.count(dropped)} rows in them did not match",
            advice=f"work_mem of at least {words.size(needed / 8)} for this statement",
            share=subject.share(node),
            node=node.number,
            relation=node.relation,
            evidence={
                "lossy_blocks": lossy,
                "exact_blocks": exact,
                "rows_dropped": round(dropped.value),
                "work_mem_kb": needed,
            },
        )


def heap_blocks(node: Node) -> tuple[int, int]:
    """Return exact and lossy blocks, those of parallel workers included (18 prints them apart)."""
    processes = [node.raw, *node.workers]
    exact = sum(int(p.get("Exact Heap Blocks", 0)) for p in processes)
    return exact, sum(int(p.get("Lossy Heap Blocks", 0)) for p in processes)


def notes_whole_blocks(subject: Subject, node: Node) -> bool:
    """Whether a bitmap is lossy by its index, one of BRIN; where nothing is known of it, no exact block says so."""
    scans = [n for n in subject.plan.subtree(node) if n.node_type == "Bitmap Index Scan"]
    methods = {index.method for n in scans if (index := subject.index(n)) is not None}
    exact, lossy = heap_blocks(node)
    return "brin" in methods if methods else lossy > 0 and exact == 0


RULE = Rule("A7", "lossy-bitmap", "Bitmap too large for work_mem", check)

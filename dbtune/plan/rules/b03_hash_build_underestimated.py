"""The hash table of a join got more rows than expected, and had to be split into batches while it was built.

Fires when a Hash ends with more batches than it was planned with (``Hash Batches`` above ``Original Hash Batches``) and
got at least twice the rows expected: each doubling of the batches writes half of the table to temporary files. Where
rows were as expected, memory alone is short, and C3 says so.

What to do: mend the estimate (B1 and its kin name the place); with the right one the planner takes the smaller side,
another join, or enough batches from the start. As much hash memory as the whole table needs (work_mem times
hash_mem_multiplier, which is 1 in PostgreSQL 13 and 14 and 2 since) keeps it off the disk.

Source: manual, 14.1.2 and 20.4.1; nodeHash.c, ExecHashIncreaseNumBatches.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.estimate import row_ratio
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

MIN_RATIO = 2.0


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Hash"):
        if not is_outgrown(subject, node):
            continue
        rows = table_rows(subject, node)
        expected = subject.measure(node).estimated_rows / tables(node)
        batches = int(node.number_of("Hash Batches"))
        planned = int(node.number_of("Original Hash Batches"))
        yield Sign(
            message=f"the hash table of {built_of(subject, node)} got {words.plural(rows, 'row')} where "
            f"{words.number(expected)} were expected, and was split into {batches} batches, not {planned}",
            advice=f"a better estimate below this join; or {memory_for_one_batch(node)}",
            share=join_share(subject, node),
            node=node.number,
            evidence={
                "batches": batches,
                "batches_planned": planned,
                "rows": round(rows),
                "rows_expected": round(expected),
            },
        )


def is_outgrown(subject: Subject, node: Node) -> bool:
    """Whether a Hash was split into more batches than planned because it got more rows than expected."""
    ratio = row_ratio(subject, node)
    grew = node.number_of("Hash Batches") > node.number_of("Original Hash Batches") > 0
    return grew and ratio is not None and ratio >= MIN_RATIO


def built_of(subject: Subject, node: Node) -> str:
    """Return what a Hash is built of, for people."""
    below = subject.plan.children(node)
    return words.relation(below[0]) if below else node.label


def tables(node: Node) -> float:
    """Return how many tables were built: one each loop and process, but one in all where processes share it."""
    return 1.0 if node.parallel_aware else max(1.0, node.loops or 1.0)


def table_rows(subject: Subject, node: Node) -> float:
    """Return the rows of one hash table."""
    rows = subject.measure(node).rows
    return rows.value / tables(node) if rows is not None else 0.0


def memory_for_one_batch(node: Node) -> str:
    """Return the hash memory with which the whole table would have been one batch: the largest batch times batches.

    Processes that share a table put their memory together.
    """
    sharing = max(1.0, node.loops or 1.0) if node.parallel_aware else 1.0
    kilobytes = node.number_of("Peak Memory Usage") * node.number_of("Hash Batches") / sharing
    return f"hash memory (work_mem × hash_mem_multiplier) of {words.size(kilobytes / 8)}"


def join_share(subject: Subject, node: Node) -> float:
    """Return the share of a Hash and its join: both write and read the batches."""
    join = subject.plan.parent(node)
    return subject.share(node) + (subject.share(join) if join is not None else 0.0)


RULE = Rule("B3", "hash-build-underestimated", "Hash table larger than expected", check)

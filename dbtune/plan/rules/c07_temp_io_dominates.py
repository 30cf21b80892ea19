"""Much of what a statement reads and writes are temporary files, and no step of the plan owns up to them.

Sorts, hash tables, groups and stored rows that spill are told by C1 to C5. What is left are mostly aggregates that
sort inside: count(DISTINCT …), array_agg(… ORDER BY …), percentile_cont(…) WITHIN GROUP (ORDER BY …). EXPLAIN does not
say how they sort, but their temporary blocks are counted. Functions that run statements of their own are another
source.

Fires when steps that none of those rules tells asked for 64 blocks of temporary files or more, and for at least a fifth
of all blocks that the statement asked for.

What to do: a larger work_mem for this statement or role; what was written is a guide to how much. For
count(DISTINCT …) a subquery that removes the duplicates first can use a hash table or an index.

Source: manual, 4.2.7 (aggregate expressions) and 20.4.1 (work_mem); nodeAgg.c, process_ordered_aggregate_single.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import (
    Rule,
    b03_hash_build_underestimated,
    c01_sort_on_disk,
    c02_incremental_sort_on_disk,
    c03_hash_on_disk,
    c04_hash_aggregate_on_disk,
    c05_tuplestore_on_disk,
)
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Buffers, Node

MIN_BLOCKS = 64
MIN_RATIO = 0.2

_TELLERS = (
    b03_hash_build_underestimated,
    c01_sort_on_disk,
    c02_incremental_sort_on_disk,
    c03_hash_on_disk,
    c04_hash_aggregate_on_disk,
    c05_tuplestore_on_disk,
)
_READS_OF_OTHERS = frozenset({"Hash Join", "CTE Scan", "WorkTable Scan"})
"""They read what a Hash, another scan of the CTE or a Recursive Union wrote."""


def check(subject: Subject) -> Iterator[Sign]:
    blocks = subject.analysis.blocks
    if not subject.plan.is_analyzed or blocks is None:
        return
    told = {sign.node for teller in _TELLERS for sign in teller.check(subject)}
    rest = {
        node: own
        for node in subject.plan.nodes
        if (own := subject.measure(node).self_blocks) is not None
        and own.temp > 0
        and node.number not in told
        and node.node_type not in _READS_OF_OTHERS
    }
    temp = sum(own.temp for own in rest.values())
    if temp < MIN_BLOCKS or temp < MIN_RATIO * blocks.accessed:
        return
    worst = max(rest, key=lambda node: rest[node].temp)
    yield Sign(
        message=f"{words.percent(temp / blocks.accessed)} of all blocks asked for are of temporary files, most of them "
        f"inside {worst.label}",
        advice=_advice(worst, rest[worst]),
        share=sum(subject.share(node) for node in rest),
        node=worst.number,
        evidence={"temp_blocks": temp, "blocks": blocks.accessed, "node_type": worst.node_type},
    )


def _advice(node: Node, own: Buffers) -> str:
    memory = f"work_mem of about {words.size(own.temp_written)} for this statement"
    if node.node_type == "Aggregate":
        return f"{memory}, or rows made distinct or sorted before they are aggregated"
    return f"{memory}, or a look at the functions called there"


RULE = Rule("C7", "temp-io-dominates", "Temporary files that no step tells of", check)

"""A hash join put the larger of its two sides into the hash table, which then did not fit into memory.

Fires when the hashed side (below Hash) has ten times as many rows as the other, 10,000 or more, and the hash table
was split into batches, which are written to temporary files. While it fits into memory, the order matters little.

What to do: mostly the planner expected the sides to be the other way round: mend its estimates (ANALYZE, extended
statistics; see B1). A semi-join (EXISTS, IN) hashes its inner side whatever its size before 18, an anti-join (NOT
EXISTS) before 16, a left join where the planner does not turn it round: there more work_mem, or a newer server, helps.

Source: manual, Using EXPLAIN (``Batches``), work_mem and hash_mem_multiplier; release notes of 16 and 18 (right anti
and right semi joins).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject

MIN_ROWS = 10_000
MIN_TIMES = 10


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Hash Join"):
        outer, hashed = subject.plan.child(node, "Outer"), subject.plan.child(node, "Inner")
        if outer is None or hashed is None or hashed.number_of("Hash Batches") <= 1:
            continue
        built, probing = subject.measure(hashed).rows, subject.measure(outer).rows
        if built is None or probing is None or built.value < MIN_ROWS:
            continue
        if built.value - built.error < MIN_TIMES * (probing.value + probing.error):
            continue
        join_type = str(node.raw.get("Join Type", "Inner"))
        expected = subject.measure(outer).estimated_rows
        yield Sign(
            message=f"hashes {words.count(built)} rows in {words.number(hashed.number_of('Hash Batches'))} batches to "
            f"join them with {words.count(probing)}",
            advice=_advice(join_type, wrong=expected > subject.measure(hashed).estimated_rows),
            share=subject.share(node) + subject.share(hashed),
            node=node.number,
            evidence={
                "rows_hashed": round(built.value),
                "rows_probing": round(probing.value),
                "batches": round(hashed.number_of("Hash Batches")),
                "join_type": join_type,
            },
        )


def _advice(join_type: str, *, wrong: bool) -> str:
    if wrong:
        return "better estimates (ANALYZE, extended statistics): the planner took the hashed side for the smaller one"
    if join_type in ("Semi", "Anti", "Left"):
        return f"a larger work_mem, or a join that may hash its smaller side, which a {join_type.lower()} join may not"
    return "a larger work_mem for this statement"


RULE = Rule("D5", "hash-built-on-larger-side", "Hash table of the larger side", check)

"""The hash table of a join did not fit into its memory, so that both sides of the join went through temporary files.

Fires when a Hash has more than one batch. Where it was split because more rows came than expected, B3 tells it.

What to do: hash memory for the whole table, which is work_mem times hash_mem_multiplier (1 in PostgreSQL 13 and 14, 2
since). The largest batch times the number of batches is what was enough when tried. Or hash fewer or narrower rows: a
condition that can be applied before the join, a shorter select list.

Source: manual, 20.4.1 (work_mem, hash_mem_multiplier); ``Peak Memory Usage`` is in kB and that of one batch
(explain.c, show_hash_info).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.rules.b03_hash_build_underestimated import (
    built_of,
    is_outgrown,
    join_share,
    memory_for_one_batch,
    table_rows,
)
from dbtune.plan.subject import Subject


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Hash"):
        batches = int(node.number_of("Hash Batches"))
        if batches <= 1 or is_outgrown(subject, node):
            continue
        rows = table_rows(subject, node)
        peak = node.number_of("Peak Memory Usage")
        yield Sign(
            message=f"the hash table of {built_of(subject, node)}, {words.plural(rows, 'row')}, went through disk in "
            f"{batches} batches of up to {words.size(peak / 8)}",
            advice=f"{memory_for_one_batch(node)} for this statement",
            share=join_share(subject, node),
            node=node.number,
            evidence={"batches": batches, "peak_memory_kb": round(peak), "rows": round(rows)},
        )


RULE = Rule("C3", "hash-on-disk", "Hash join on disk", check)

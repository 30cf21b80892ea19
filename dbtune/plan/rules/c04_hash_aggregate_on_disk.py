"""Grouping by a hash table did not fit into its memory, so that rows of further groups went through temporary files.

Fires when a hashed aggregate, or one of its parallel workers, reports ``Disk Usage`` or more than one batch
(``HashAgg Batches``).

What to do: hash memory for all groups, which is work_mem times hash_mem_multiplier (1 in PostgreSQL 13 and 14, 2
since). What was used in memory and on disk is a guide only: groups take up to twice the room in memory, but where a
group has many rows, each of them was on disk. Run the statement again with it to be sure. Fewer groups, or columns
that are looked up after grouping rather than grouped by, help as well; an index in the order of the key lets the server
group without a hash table.

Source: manual, 20.4.1 (work_mem, hash_mem_multiplier); ``Peak Memory Usage`` and ``Disk Usage`` are in kB for each
process (explain.c, show_hashagg_info).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Aggregate"):
        spilled = [process for process in (node.raw, *node.workers) if _is_spilled(process)]
        if not spilled:
            continue
        keys = [str(key) for key in node.raw.get("Group Key", [])]
        disk = sum(_kilobytes(process, "Disk Usage") for process in spilled)
        needed = max(_kilobytes(p, "Disk Usage") + _kilobytes(p, "Peak Memory Usage") for p in spilled)
        yield Sign(
            message=f"grouping by {', '.join(keys) or 'its key'} used {words.size(disk / 8)} on disk",
            advice=f"hash memory (work_mem × hash_mem_multiplier) of about {words.size(needed / 8)} for this statement",
            share=subject.share(node),
            node=node.number,
            evidence={
                "disk_kb": round(disk),
                "batches": max(int(p.get("HashAgg Batches", 0)) for p in spilled),
                "processes": len(spilled),
                "group_key": keys,
            },
        )


def _is_spilled(process: Mapping[str, Any]) -> bool:
    return _kilobytes(process, "Disk Usage") > 0 or int(process.get("HashAgg Batches", 0)) > 1


def _kilobytes(process: Mapping[str, Any], key: str) -> float:
    return float(process.get(key, 0))


RULE = Rule("C4", "hash-aggregate-on-disk", "Hash aggregate on disk", check)

"""A sort that was half done by its input sorts group by group, and some groups did not fit into work_mem.

Fires when an Incremental Sort, or one of its parallel workers, reports ``Sort Space Disk`` for its full-sort or
pre-sorted groups.

What to do: a larger work_mem for this statement or role, narrower rows, or an index on all the sort keys, so that
nothing is left to sort. The largest group counts: on disk it takes less room than in memory, so that its size there is
a lower bound for work_mem.

Source: manual, 20.4.1 (work_mem) and 20.7.1 (enable_incremental_sort); ``Peak Sort Space Used`` is in kB for each
process and kind of group (explain.c, show_incremental_sort_info).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

KINDS = ("Full-sort Groups", "Pre-sorted Groups")


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Incremental Sort"):
        spilled = [kind for kind in _groups(node) if "Sort Space Disk" in kind]
        if not spilled:
            continue
        keys = [str(key) for key in node.raw.get("Sort Key", [])]
        groups = sum(int(kind.get("Group Count", 0)) for kind in spilled)
        peak = max(float(kind["Sort Space Disk"].get("Peak Sort Space Used", 0)) for kind in spilled)
        size = words.size(peak / 8)
        number = words.plural(groups, "group")
        yield Sign(
            message=f"the sort by {', '.join(keys)} used up to {size} on disk for a group, in {number}",
            advice=f"work_mem of more than {size} for this statement, or an index on ({', '.join(keys)})",
            share=subject.share(node),
            node=node.number,
            evidence={"peak_disk_kb": round(peak), "groups": groups, "sort_key": keys},
        )


def _groups(node: Node) -> list[Mapping[str, Any]]:
    """Return what each process tells of each kind of group."""
    return [process[kind] for process in (node.raw, *node.workers) for kind in KINDS if kind in process]


RULE = Rule("C2", "incremental-sort-on-disk", "Incremental sort on disk", check)

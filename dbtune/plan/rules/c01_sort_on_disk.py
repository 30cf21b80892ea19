"""A sort did not fit into work_mem and went through temporary files.

Fires when a Sort, or one of its parallel workers, reports ``Sort Space Type: Disk``.

What to do: a larger work_mem for this statement or role (``SET LOCAL work_mem``), fewer or narrower rows to sort, or an
index that delivers the order. In memory rows take more room than on disk, so the size on disk is a lower bound for
work_mem; run the statement again with it to be sure.

Source: manual, 20.4.1 (work_mem); ``Sort Space Used`` is in kB for each process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Sort"):
        processes: list[Mapping[str, Any]] = [node.raw, *node.workers]
        spilled = [float(p.get("Sort Space Used", 0)) for p in processes if p.get("Sort Space Type") == "Disk"]
        if not spilled:
            continue
        keys = [str(key) for key in node.raw.get("Sort Key", [])]
        enough = words.size(max(spilled) / 8)
        yield Sign(
            message=f"the sort by {', '.join(keys) or 'its key'} used {words.size(sum(spilled) / 8)} on disk",
            advice=f"work_mem of more than {enough} for this statement, or an index in that order",
            share=subject.share(node),
            node=node.number,
            evidence={"disk_kb": round(sum(spilled)), "processes": len(spilled), "sort_key": keys},
        )


RULE = Rule("C1", "sort-on-disk", "Sort on disk", check)

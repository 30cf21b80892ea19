"""Rows that a step keeps to read again did not fit into work_mem and went to a temporary file.

Such steps are CTE Scan, Materialize, WindowAgg (which keeps a partition), Recursive Union and functions in FROM.

Fires when the step says ``Storage: Disk`` (from PostgreSQL 18 on) or, where it does not tell, when it alone wrote
blocks of temporary files. A CTE that is read in several places is told once, where its rows were first needed.

What to do: a larger work_mem for this statement or role; rows take more room in memory than on disk, so the size told
is a lower bound. Or keep less: fewer columns and rows in the CTE, no CTE that is read but once (``NOT MATERIALIZED``),
smaller partitions or frames of the window.

Source: manual, 7.8 (WITH queries) and 20.4.1 (work_mem); ``Maximum Storage`` is in kB (explain.c, show_storage_info).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

_LESS = {
    "CTE Scan": "fewer rows and columns in the CTE",
    "Materialize": "fewer rows and columns on the inner side of the join",
    "WindowAgg": "fewer rows in each partition of the window",
    "Recursive Union": "fewer rows and columns in the recursive CTE",
    "Function Scan": "a function that returns fewer rows",
    "Table Function Scan": "fewer rows and columns of the table function",
}


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running(*_LESS):
        kilobytes = stored_kb(subject, node)
        if not kilobytes or not _wrote_most(subject, node):
            continue
        size = words.size(kilobytes / 8)
        yield Sign(
            message=f"{node.label} kept its rows on disk, {size}",
            advice=f"work_mem of more than {size} for this statement, or {_LESS[node.node_type]}",
            share=subject.share(node),
            node=node.number,
            evidence={"disk_kb": round(kilobytes), "node_type": node.node_type},
        )


def stored_kb(subject: Subject, node: Node) -> float:
    """Return how much of the node's rows is on disk, 0 where nothing is or nobody can tell."""
    if node.node_type not in _LESS or node.raw.get("Storage") == "Memory":
        return 0.0
    own = subject.measure(node).self_blocks
    return node.number_of("Maximum Storage") or (own.temp_written * 8.0 if own is not None else 0.0)


def _wrote_most(subject: Subject, node: Node) -> bool:
    """Whether no other scan of the same CTE wrote more: one writes its rows, the others a block or none."""
    name = node.raw.get("CTE Name")
    if name is None:
        return True
    scans = [n for n in subject.running("CTE Scan") if n.raw.get("CTE Name") == name]
    written = [own.temp_written if (own := subject.measure(n).self_blocks) is not None else 0 for n in scans]
    return scans[written.index(max(written))] is node


RULE = Rule("C5", "tuplestore-on-disk", "Intermediate rows on disk", check)

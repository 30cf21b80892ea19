"""All partitions are read, although nearly none of them has a row that is wanted.

Fires when an Append reads four partitions or more, at least eight of ten of them for no row, and none was pruned when
it started. Partitions that were never executed do not count: they were pruned while it ran, or LIMIT was met before.
Empty partitions cost next to nothing, and less than is worth telling.

What to do: a condition on the partition key itself, which the planner can compare with the partitions' bounds: no
function over it, no cast of it to another type, a value that is known when the statement is planned or started. Where
the statement has a condition on another column that goes along with the key, say both.

Source: manual, Partition Pruning; ``Subplans Removed`` counts what was pruned at the start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

MIN_PARTITIONS = 4
MIN_RATIO = 0.8


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Append", "Merge Append"):
        partitions = [child for child in subject.plan.children(node) if not child.never_executed]
        table = _partitioned(partitions)
        if table is None or len(partitions) < MIN_PARTITIONS or node.number_of("Subplans Removed"):
            continue
        idle = [partition for partition in partitions if _gave_nothing(subject, partition)]
        if len(idle) < MIN_RATIO * len(partitions):
            continue
        conditions = {str(p.raw[key]) for p in idle for key in ("Index Cond", "Recheck Cond", "Filter") if key in p.raw}
        yield Sign(
            message=f"reads {len(partitions)} partitions of {table}, {len(idle)} of them for no row",
            advice="a condition on the partition key as it is, without function or cast, so that partitions are pruned",
            share=min(1.0, sum(subject.subtree_share(partition) for partition in idle)),
            avoidable=1.0,
            node=node.number,
            relation=partitions[0].relation,
            evidence={
                "partitions": len(partitions),
                "without_rows": len(idle),
                "conditions": sorted(conditions)[:1],
            },
        )


def _partitioned(partitions: Sequence[Node]) -> str | None:
    """Return the table of which these are partitions: the planner names them by its alias and a number of their own."""
    names = [re.fullmatch(r"(.+)_\d+", partition.alias or "") for partition in partitions]
    stems = {name.group(1) if name is not None else None for name in names}
    tables = {partition.relation for partition in partitions}
    return stems.pop() if len(stems) == 1 and len(tables) == len(partitions) else None


def _gave_nothing(subject: Subject, partition: Node) -> bool:
    rows = subject.measure(partition).rows
    return rows is not None and rows.value + rows.error < 1


RULE = Rule("A15", "no-partition-pruning", "Partitions read for nothing", check)

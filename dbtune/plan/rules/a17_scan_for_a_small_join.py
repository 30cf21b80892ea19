"""A whole table is read for a join that needs only a few of its rows.

Nothing filters the table, so the scan itself looks blameless: it keeps every row. The join throws them away, because
the other side is small. This is what a missing index on a foreign key column looks like.

Fires when one side of a hash or merge join is a sequential scan of 64 blocks and 1,000 rows or more, and both the other
side and the join's result are at most a tenth of its rows.

What to do: an index on the joined column. The planner then looks up the few rows in a nested loop. Where an index is
there already nothing is said: then row estimates are what to look at (B1).

Source: manual, 5.5.5 (an index on the referencing columns is often a good idea) and 14.1; ``costsize.c`` for the choice
between a hash join and a nested loop over an index.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

MIN_ROWS = 1_000
MIN_BLOCKS = 64
MAX_RATIO = 0.1

_PASSING = frozenset({"Hash", "Sort", "Materialize", "Gather", "Gather Merge"})


def check(subject: Subject) -> Iterator[Sign]:
    for join in subject.running("Hash Join", "Merge Join"):
        sides = subject.plan.children(join)[:2]
        for side, other in zip(sides, reversed(sides), strict=True):
            scan = _scanned(subject, side)
            if scan is None:
                continue
            columns = subject.joined_columns(join, scan)
            read, needed, kept = (subject.rows(node) for node in (scan, other, join))
            blocks = subject.blocks(scan)
            if not columns or blocks is None or blocks < MIN_BLOCKS or read < MIN_ROWS:
                continue
            if subject.has_index(scan, columns):
                continue  # the planner knows of it, and thought the scan cheaper
            if needed > MAX_RATIO * read or kept > MAX_RATIO * read:
                continue
            table = words.relation(scan)
            yield Sign(
                message=f"reads all {words.plural(read, 'row')} of {table} to join {words.plural(needed, 'row')}: "
                f"{words.number(kept)} of them match",
                advice=f"an index on {table} ({', '.join(columns)})",
                share=subject.share(scan) + subject.share(side) * (side is not scan) + subject.share(join),
                avoidable=1 - max(needed, kept) / read,
                node=scan.number,
                relation=scan.relation,
                evidence={
                    "rows_read": round(read),
                    "rows_joined": round(needed),
                    "rows_kept": round(kept),
                    "blocks": blocks,
                    "columns": columns,
                },
            )


def _scanned(subject: Subject, side: Node) -> Node | None:
    """Return the sequential scan that is all there is on this side of a join."""
    while side.node_type in _PASSING and len(side.children) == 1:
        (side,) = subject.plan.children(side)
    return side if side.node_type == "Seq Scan" else None


RULE = Rule("A17", "scan-for-a-small-join", "A whole table read for a join that needs few rows", check)

"""A WITH query is computed as a whole and stored, and then only a few of its rows are wanted.

Fires when all scans of a stored CTE have a filter, and together they drop 1,000 of its rows or more, at least nine of
ten looked at. With estimates only, it takes the planner's figures. CTEs that are recursive or change data must be
computed as a whole and are not told.

What to do: since 12 a CTE that is used once is folded into the query by itself, unless it says MATERIALIZED; one that
is used more often is folded in with NOT MATERIALIZED. Then the conditions reach its tables and their indexes. A CTE
that calls a volatile function (random, nextval) is never folded in: put the condition into it by hand.

Source: manual, Common Table Expression Materialization.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

MIN_REMOVED = 1_000
MIN_RATIO = 0.9


def check(subject: Subject) -> Iterator[Sign]:
    for cte in subject.plan.walk():
        if cte.cte is None or cte.never_executed or not _could_be_folded(subject, cte):
            continue
        scans = [n for n in subject.running("CTE Scan") if n.raw.get("CTE Name") == cte.cte]
        if not scans or any(scan.filter is None for scan in scans):
            continue
        seen = [_seen(subject, cte, scan) for scan in scans]
        read, kept = sum(r for r, _ in seen), sum(k for _, k in seen)
        if read - kept < MIN_REMOVED or (read - kept) / read < MIN_RATIO:
            continue
        once = len(scans) == 1
        yield Sign(
            message=f"CTE {cte.cte} is computed as a whole to keep {words.number(kept)} of {words.number(read)} rows",
            advice=f"CTE {cte.cte} {'without' if once else 'AS NOT'} MATERIALIZED, so that conditions reach its tables",
            share=min(1.0, subject.subtree_share(cte) + sum(map(subject.share, scans))),
            node=cte.number,
            evidence={"cte": cte.cte, "scans": len(scans), "rows_read": round(read), "rows_kept": round(kept)},
        )


def _could_be_folded(subject: Subject, cte: Node) -> bool:
    below = {n.node_type for n in subject.plan.subtree(cte)}
    alone = sum(n.cte == cte.cte for n in subject.plan.nodes) == 1  # two of one name: whose scans are they?
    return alone and not below & {"Recursive Union", "ModifyTable", "LockRows"}


def _seen(subject: Subject, cte: Node, scan: Node) -> tuple[float, float]:
    """Return rows of the CTE that a scan looks at, and those that it keeps: measured, else estimated."""
    measure = subject.measure(scan)
    if measure.rows is not None and measure.read is not None:
        return measure.read.value, measure.rows.value
    return cte.plan_rows, scan.plan_rows


RULE = Rule("D6", "cte-fence", "CTE stored as a whole for a few of its rows", check)

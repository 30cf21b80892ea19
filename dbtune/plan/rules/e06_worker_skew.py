"""One process of a parallel plan does most of the work while the others have nothing left to do.

Fires when the busiest process below a Gather was at work for 20 ms or more, and all processes together did less than
one process alone would do in 1 + (n - 1) / 4 times that time, n being their number: so much for the workers that less
than a quarter of what they could add was had. Counted by time, for rows say little about who worked.

What to do: find what cannot be shared: a large partition or UNION ALL branch that one process has to read alone (a
table with parallel_workers = 0, or a plan below Append that is not parallel), or rows that cost much more than others
and lie close together. Smaller branches, or a partial scan of the large one, spread the work.

Source: manual, Parallel Append; ``Workers`` of EXPLAIN (VERBOSE).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import GATHERS, Node

MIN_BUSIEST_MS = 20.0
MIN_GAIN = 0.25


def check(subject: Subject) -> Iterator[Sign]:
    for gather in subject.running(*GATHERS):
        shared = subject.plan.child(gather, "Outer")
        busy = _busy_ms(shared) if shared is not None else []
        if len(busy) < 2 or max(busy) < MIN_BUSIEST_MS:
            continue
        worth = sum(busy) / max(busy)  # processes' worth of work that was done side by side
        if worth >= 1 + MIN_GAIN * (len(busy) - 1):
            continue
        share = subject.subtree_share(gather)
        yield Sign(
            message=f"one of {len(busy)} parallel processes did {words.percent(max(busy) / sum(busy))} of the work, "
            f"{words.milliseconds(max(busy))}",
            advice="smaller partitions or UNION ALL branches, or a parallel scan of the largest one",
            share=share,
            avoidable=1 - worth / len(busy),
            node=gather.number,
            evidence={"processes": len(busy), "busiest_ms": round(max(busy), 1), "worth": round(worth, 2)},
        )


def _busy_ms(node: Node) -> list[float]:
    """Return for how long each process was in this node: the workers and, if it took part, the leader."""
    if node.total_ms_per_loop is None or not node.loops or not node.workers:
        return []
    workers = [float(w.get("Actual Total Time", 0)) * float(w.get("Actual Loops", 0)) for w in node.workers]
    loops = sum(float(w.get("Actual Loops", 0)) for w in node.workers)
    if node.loops <= loops:
        return workers
    return [*workers, max(0.0, node.total_ms_per_loop * node.loops - sum(workers))]


RULE = Rule("E6", "worker-skew", "One parallel process does most of the work", check)

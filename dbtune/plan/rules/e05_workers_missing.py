"""A parallel plan got fewer workers than it was made for.

Fires when a Gather launched fewer workers than were planned.

What to do: workers are shared by all sessions: max_parallel_workers, and max_worker_processes above it, limit their
number. Raise them if the machine has idle cores; else lower max_parallel_workers_per_gather, so that plans are made for
the number that is there. A plan for more workers than it gets may be worse than one without any.

Source: manual, When Can Parallel Query Be Used?, max_parallel_workers; ``Workers Planned``, ``Workers Launched``.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import GATHERS


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running(*GATHERS):
        planned, launched = round(node.number_of("Workers Planned")), node.workers_launched
        if launched is None or launched >= planned:
            continue
        yield Sign(
            message=f"got {launched} of the {planned} parallel workers it was planned for",
            advice="a higher max_parallel_workers if cores are idle, else a lower max_parallel_workers_per_gather",
            share=subject.subtree_share(node),
            node=node.number,
            evidence={"planned": planned, "launched": launched},
        )


RULE = Rule("E5", "workers-missing", "Fewer parallel workers than planned", check)

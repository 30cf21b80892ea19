"""A sort or hash needs more work_mem, and giving it to every session could ask for more memory than there is.

work_mem is not a limit of a session: each sort and hash of each process may take that much, hashes even
hash_mem_multiplier times it.

Fires when a node went to disk, and the memory that it needs, times the nodes that do so, times their processes, times
max_connections, is more than effective_cache_size (the planner's notion of memory beyond what sessions use).

What to do: raise work_mem for the statement (SET LOCAL) or its role (ALTER ROLE … SET work_mem), not in
postgresql.conf; or allow fewer connections.

Source: manual, 20.4.1 (work_mem, hash_mem_multiplier) and 20.7.2 (effective_cache_size).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Severity, Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node


def check(subject: Subject) -> Iterator[Sign]:
    settings = subject.facts.settings
    try:
        connections = int(settings["max_connections"])
        memory_kb = 8 * int(settings["effective_cache_size"])
    except (KeyError, ValueError):
        return
    spilling = {n: kb for n in subject.running("Sort", "Hash", "Aggregate") if (kb := _disk_kb(n)) > 0}
    if not spilling:
        return
    processes = max((n.workers_launched or 0 for n in subject.plan.nodes), default=0) + 1
    needed_kb = max(spilling.values())
    together_kb = needed_kb * len(spilling) * processes * connections
    if together_kb <= memory_kb:
        return
    worst = max(spilling, key=lambda n: spilling[n])
    yield Sign(
        message=f"work_mem of {words.size(needed_kb / 8)} for all of {words.plural(connections, 'connection')} could "
        f"take {words.size(together_kb / 8)}, and the server counts on {words.size(memory_kb / 8)}",
        advice="raise work_mem for this statement or its role only, not for the server",
        share=subject.share(worst),
        node=worst.number,
        evidence={"needed_kb": round(needed_kb), "together_kb": round(together_kb), "memory_kb": memory_kb},
        severity=Severity.INFO,
    )


def _disk_kb(node: Node) -> float:
    """Return what a node's one process would have needed beyond memory, in kB; 0 where it stayed in memory."""
    if node.raw.get("Sort Space Type") == "Disk":
        return node.number_of("Sort Space Used")
    if node.number_of("Hash Batches") > 1:
        return node.number_of("Peak Memory Usage") * node.number_of("Hash Batches")
    return node.number_of("Disk Usage")


RULE = Rule("C8", "work-mem-cap", "More work_mem for everybody would be too much", check)

"""Making the plan takes longer than carrying it out, or takes much memory.

Fires when planning takes 5 ms or more and at least as long as the execution, or 10 MB of memory or more (17+).

What to do: planning grows with the number of join orders, partitions and indexes to be weighed. Partitions: a condition
on the partition key that the planner can see (a constant or parameter, not a subquery or a volatile function), or fewer
partitions. Joins: fewer of them, or explicit JOINs with a smaller join_collapse_limit. For a statement that is sent
often: prepare it once; after five runs the server may keep one plan for all values (plan_cache_mode). Where planning
read many blocks, the connection was new and its catalog caches were empty: measure again, and pool connections.

Source: manual, Controlling the Planner with Explicit JOIN Clauses, Best Practices for Declarative Partitioning, PREPARE
(plan_cache_mode); ``Planning Time`` and ``Planning`` of EXPLAIN (SUMMARY, MEMORY).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Severity, Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import JOINS, Buffers

MIN_MS = 5.0
MIN_MEMORY_KB = 10 * 1024
MIN_PARTITIONS = 16
MIN_JOINS = 6


def check(subject: Subject) -> Iterator[Sign]:
    plan = subject.plan
    planning, execution = plan.planning_ms, subject.analysis.execution_ms
    details = plan.raw.get("Planning", {})
    memory = float(details.get("Memory Used", 0))
    is_slow = planning is not None and execution is not None and planning >= max(MIN_MS, execution)
    if not is_slow and memory < MIN_MEMORY_KB:
        return
    costs = [words.milliseconds(planning)] if planning is not None else []
    if memory >= MIN_MEMORY_KB:
        costs.append(f"{words.size(memory / 8)} of memory")
    ran = f", execution {words.milliseconds(execution)}" if execution is not None else ""
    joins = sum(n.node_type in JOINS for n in plan.nodes)
    partitions = _partitions(subject)
    read = Buffers.of(details)
    yield Sign(
        message=f"planning takes {' and '.join(costs)}{ran}",
        advice=_advice(joins, partitions),
        share=planning / (planning + execution) if planning and execution is not None else 0.0,
        evidence={
            "planning_ms": planning or 0.0,
            "execution_ms": execution or 0.0,
            "memory_kb": memory,
            "joins": joins,
            "partitions": partitions,
            "blocks_read": read.shared_read if read is not None else 0,
        },
        severity=Severity.WARN if is_slow else Severity.INFO,
    )


def _partitions(subject: Subject) -> int:
    appends = [n for n in subject.plan.nodes if n.node_type in ("Append", "Merge Append")]
    return sum(len(n.children) + round(n.number_of("Subplans Removed")) for n in appends)


def _advice(joins: int, partitions: int) -> str:
    if partitions >= MIN_PARTITIONS:
        return "a condition on the partition key that is known when planning, fewer partitions, or a plan that is kept"
    if joins >= MIN_JOINS:
        return "fewer joins, a smaller join_collapse_limit, or a prepared statement whose plan is kept"
    return "a prepared statement whose plan is kept (plan_cache_mode), on a connection that is kept"


RULE = Rule("E1", "planning-heavy", "Planning takes longer than execution", check)

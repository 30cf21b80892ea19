"""Measuring took a good part of what was measured: EXPLAIN ANALYZE reads the clock twice for every row of every node.

Fires when the nodes passed on rows 1,000,000 times or more, and reading the clock, taken as 50 ns each time a node is
asked for a row, makes up a fifth of the time or more. Nodes that return many rows one by one, such as the inner side
of a nested loop, look dearer than they are.

What to do: EXPLAIN (ANALYZE, TIMING OFF) for the true execution time; the row counts stay exact. pg_test_timing tells
what the clock costs: some 25 ns on most machines, ten times that and more where the system's clock source is slow.

Source: manual, Using EXPLAIN (Caveats) and pg_test_timing; 50 ns a step as measured on x86-64, clock source TSC.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Severity, Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject

MIN_STEPS = 1_000_000
MIN_SHARE = 0.2
STEP_MS = 50e-6


def check(subject: Subject) -> Iterator[Sign]:
    if not subject.plan.is_timed:
        return
    steps = 0.0
    for node in subject.plan.nodes:
        rows = subject.measure(node).rows
        steps += (rows.value if rows is not None else 0.0) + (node.loops or 0.0)
    processes = 1 + max((n.workers_launched or 0 for n in subject.plan.nodes), default=0)
    clock_ms = steps * STEP_MS / processes
    share = subject.part(clock_ms)
    if steps < MIN_STEPS or share is None or share < MIN_SHARE:
        return
    yield Sign(
        message=f"times {words.number(steps)} steps one by one: some {words.milliseconds(clock_ms)} for the clock",
        advice="EXPLAIN (ANALYZE, TIMING OFF) for the true execution time",
        share=share,
        evidence={"steps": round(steps), "clock_ms": round(clock_ms, 1)},
        severity=Severity.INFO,
    )


RULE = Rule("E12", "instrumentation-cost", "Measuring slowed it down", check)

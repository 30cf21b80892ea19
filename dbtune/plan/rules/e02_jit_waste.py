"""The server spends much of the time on compiling expressions (JIT) rather than on evaluating them.

Fires when JIT compilation takes a fifth of the execution or more. In return the rest runs faster: measured on 15, an
aggregate over a column gained a tenth, one over long expressions ran nearly twice as fast. So up to a half, compiling
may have paid, and only a run with jit = off tells; what is saved is reckoned as if the rest would take twice as long.
Each parallel worker compiles for itself; EXPLAIN prints the sum, which is divided here by the number of processes.

What to do: jit_above_cost above the cost of this plan, so that only dearer ones are compiled; or jit = off for the role
or the database. Costs that are far too high, often those of a bad estimate, also set off JIT.

Source: manual, Just-in-Time Compilation, jit_above_cost (100,000 by default); ``JIT`` of EXPLAIN.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject

MIN_SHARE = 0.2
MAX_GAIN = 2.0
"""How many times as long the statement would run without compiled code, at the most that was measured."""


def check(subject: Subject) -> Iterator[Sign]:
    plan = subject.plan
    share = subject.part(plan.jit_ms)
    if share is None or share < MIN_SHARE:
        return
    details = plan.raw.get("JIT", {})
    functions = round(float(details.get("Functions", 0)))
    yield Sign(
        message=f"JIT compilation takes {words.milliseconds(plan.jit_ms)} of "
        f"{words.milliseconds(subject.analysis.execution_ms or 0.0)}, for {words.plural(functions, 'function')}",
        advice=f"jit_above_cost over {words.number(plan.root.total_cost)}, the cost of this plan; or jit = off",
        share=share,
        avoidable=(1 - (1 - share) * MAX_GAIN) / share if (1 - share) * MAX_GAIN < 1 else None,
        evidence={"jit_ms": plan.jit_ms, "functions": functions, "cost": plan.root.total_cost},
    )


RULE = Rule("E2", "jit-waste", "JIT compilation that does not pay", check)

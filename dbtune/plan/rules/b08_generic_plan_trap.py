"""The plan that is best for one value is bad for another, and a prepared statement may be stuck with one.

PostgreSQL plans a prepared statement for its actual values five times; then it may settle on a generic plan, made for
no value in particular. Where values differ much in how many rows they match, that plan is wrong for some of them.

Fires when the plans of the statement's parameter sets and its generic plan scan a table in different ways, or when the
cost of the cheapest and the dearest of them differ tenfold or more and their shapes differ too.

What to do: ``plan_cache_mode = force_custom_plan`` for the role or session; with psycopg 3
``prepare_threshold = None``; or a partial index for the rare values, which both plans can use.

Source: manual, PREPARE (notes on generic and custom plans) and 20.7.4 (plan_cache_mode).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.access import access_paths, shape
from dbtune.plan.finding import Severity, Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Plan
from dbtune.workload.query import GENERIC

MIN_RATIO = 10.0
MIN_COST = 100.0
"""Plans that are all cheaper than this many page reads are left in peace."""


def check(subject: Subject) -> Iterator[Sign]:
    generic = subject.alternatives.get(GENERIC)
    custom = {name: plan for name, plan in subject.alternatives.items() if name != GENERIC}
    if generic is None or not custom:
        return
    for name, plan in custom.items():
        dear = max(plan.root.total_cost, generic.root.total_cost)
        if dear < MIN_COST or shape(plan) == shape(generic):
            continue
        ratio = dear / max(1.0, min(plan.root.total_cost, generic.root.total_cost))
        scans = _scans(plan) != _scans(generic)
        if ratio < MIN_RATIO and not scans:
            continue
        costs = {n: round(p.root.total_cost) for n, p in subject.alternatives.items()}
        told = ", ".join(f"{n} {words.number(cost)}" for n, cost in sorted(costs.items(), key=lambda c: c[1]))
        yield Sign(
            message=f"the generic plan differs from that of {name}: {_difference(plan, generic)}; costs: {told}",
            advice="plan_cache_mode = force_custom_plan for this role, if the statement is prepared",
            share=1.0,
            severity=Severity.WARN if ratio >= MIN_RATIO else Severity.INFO,
            evidence={"costs": [f"{n}={cost}" for n, cost in costs.items()], "set": name, "ratio": round(ratio, 1)},
        )
        return


def _scans(plan: Plan) -> list[tuple[str, str, tuple[str, ...]]]:
    return sorted((p.relation, p.scan, p.indexes) for p in access_paths(plan))


def _difference(custom: Plan, generic: Plan) -> str:
    mine, theirs = access_paths(custom), access_paths(generic)
    for one, other in zip(mine, theirs, strict=False):
        if (one.relation, one.scan, one.indexes) != (other.relation, other.scan, other.indexes):
            return f"{one.text} of {one.relation} against {other.text} of {other.relation}"
    return "other joins"


RULE = Rule("B8", "generic-plan-trap", "The generic plan is another one", check)

"""One root cause, one finding: a wrong estimate leads to a bad join or a spill, and those are not three problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dbtune.plan.finding import Finding
from dbtune.plan.tree import Plan

ROOTS = ("B6", "B4", "B5", "B7", "B1")
"""Rules about where row counts go wrong, the most basic cause first."""

CONSEQUENCES = frozenset({"B2", "B3", "C1", "C2", "C3", "C4", "C5", "C7", "C8", "D5"})
"""Rules about what wrong row counts lead to."""

SPILLS = frozenset({"C1", "C2", "C3", "C4", "C5"})


def linked(findings: Sequence[Finding], plan: Plan) -> tuple[Finding, ...]:
    """Return the findings with each consequence pointing at its root, and each root at its consequences.

    A wrong estimate explains what goes wrong at its node or above it, where its rows arrive.
    """
    roots = sorted((f for f in findings if f.rule in ROOTS and f.node is not None), key=lambda f: ROOTS.index(f.rule))
    spill = next((f for f in findings if f.rule in SPILLS), None)
    causes: dict[int, Finding] = {}
    for number, finding in enumerate(findings):
        if finding.rule == "C8" and spill is not None:
            causes[number] = spill
        elif finding.rule in CONSEQUENCES and finding.node is not None:
            below = {n.number for n in plan.subtree(plan.nodes[finding.node])}
            if (root := next((r for r in roots if r.node in below), None)) is not None:
                causes[number] = root
    leads: dict[int, list[str]] = {}
    for number, cause in causes.items():
        leads.setdefault(id(cause), []).append(findings[number].rule)
    return tuple(
        replace(
            finding,
            because_of=causes[number].rule if number in causes else None,
            leads_to=tuple(leads.get(id(finding), ())),
        )
        for number, finding in enumerate(findings)
    )

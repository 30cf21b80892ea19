"""The planner was not free: methods are switched off, or the join order is laid down, in this session.

Such settings belong to a session, role, database or server. A plan made under them tells little about one made without,
and the other findings about this statement hold only where the same is set.

Fires when EXPLAIN (SETTINGS) shows a method switched off (``enable_... = off``), a collapse limit of 1, or parallel
plans that are forced. From 18 on it names the nodes that were switched off and had to be used all the same. Costs,
memory and the like, which are there to be adapted, do not fire.

What to do: measure where nothing is switched off (RESET ALL). If production sets it, find out why: a method switched
off for one statement's sake makes others slow.

Source: manual, Planner Method Configuration, from_collapse_limit; ``Settings`` and ``Disabled`` of EXPLAIN.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan.finding import Severity, Sign
from dbtune.plan.rules import MIN_MS, Rule
from dbtune.plan.subject import Subject

_FORCING = {
    "from_collapse_limit": "1",
    "join_collapse_limit": "1",
    "debug_parallel_query": "on",
    "force_parallel_mode": "on",
}


def check(subject: Subject) -> Iterator[Sign]:
    execution = subject.analysis.execution_ms
    settings = [f"{name} = {value}" for name, value in sorted(subject.plan.settings.items()) if _overrides(name, value)]
    if not settings or (execution is not None and execution < MIN_MS):
        return
    disabled = [n.label for n in subject.plan.nodes if n.raw.get("Disabled") is True and not n.never_executed]
    used = f", and yet used {', '.join(disabled)}" if disabled else ""
    yield Sign(
        message=f"planned with {', '.join(settings)}{used}",
        advice="a measurement without, unless production sets it too: other findings hold only where it is set",
        share=1.0,
        evidence={"settings": settings, "disabled": disabled},
        severity=Severity.INFO,
    )


def _overrides(name: str, value: str) -> bool:
    return (name.startswith("enable_") and value == "off") or _FORCING.get(name) == value


RULE = Rule("E11", "plan-under-overrides", "Planned with methods switched off", check)

"""The plain greedy baseline: the best single index is added again and again, by cost, until none fits or helps.

It looks at whole candidates only, and asks the same what-if server. A plan is remembered by the indexes that could be
in it, as any tool would do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from dbtune.index.whatif.protocol import Question, WhatIf


@dataclass(frozen=True, slots=True, kw_only=True)
class Greedy:
    """What was chosen, what the workload costs with it, and how often the planner was asked."""

    chosen: frozenset[int]
    cost: float
    calls: int


def greedy(
    whatif: WhatIf,
    questions: Sequence[Question],
    relevant: Mapping[str, Set[int]],
    sizes: Mapping[int, int],
    budget: int,
    base: Set[int],
) -> Greedy:
    """Return the set that it ends with; ``base`` are indexes that are there anyway."""
    memo: dict[tuple[str, frozenset[int]], float] = {}
    before = whatif.calls

    def cost(question: Question, live: frozenset[int]) -> float:
        key = (question.name, live & relevant[question.name])
        if key not in memo:
            memo[key] = whatif.plan(question, base | key[1]).cost
        return memo[key]

    def total(live: frozenset[int]) -> float:
        return sum(question.weight * cost(question, live) for question in questions)

    chosen: frozenset[int] = frozenset()
    least = total(chosen)
    while True:
        room = budget - sum(sizes[each] for each in chosen)
        fitting = [each for each in sorted(sizes) if each not in chosen and sizes[each] <= room]
        tried = [(total(chosen | {each}), each) for each in fitting]
        if not tried or min(tried)[0] >= least * (1 - 1e-9):
            return Greedy(chosen=chosen, cost=least, calls=whatif.calls - before)
        least, best = min(tried)
        chosen |= {best}

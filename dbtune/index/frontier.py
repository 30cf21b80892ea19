"""The whole curve of cost over size: what the best set costs for each size that indexes may take.

All points come from the graphs of one search. Where the curve is steep a little more disk buys much; where it is flat,
none does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dbtune.index.programme import Status
from dbtune.index.search import Search
from dbtune.snapshot.value import BLOCK

_SPAN = 200.0
"""The curve begins at this part of the size of all that is of use, or at the smallest index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One point: with new indexes of ``bytes`` in all, ``create`` by their ids, the workload costs ``cost``.

    ``cost`` has the writes in it. ``gap`` is as :attr:`dbtune.index.selection.Selection.gap`.
    """

    bytes: int
    cost: float
    create: frozenset[int]
    gap: float = 0.0


def budgets(search: Search, points: int) -> list[int]:
    """Return sizes in bytes, evenly spaced in ratio, up to what all indexes that are of use take together.

    :raises ValueError: fewer than two points are asked for.
    """
    if points < 2:
        raise ValueError("a curve has at least two points")
    programme = search.programme(None)
    solution = programme.solve(search.effort.seconds)
    most = programme.bytes(solution.chosen) if solution.status is not Status.INFEASIBLE else 0
    if most <= 0:
        return []
    smallest = min(item.bytes for item in search.items.values() if not item.exists)
    least = max(float(BLOCK), min(float(most), max(smallest, most / _SPAN)))
    ratio = (most / least) ** (1 / (points - 1))
    grid = [round(least * ratio**number / BLOCK) * BLOCK for number in range(points - 1)]
    return sorted({size for size in grid if size < most} | {most})


def curve(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return the points worth having, by rising size: each costs less than all smaller ones."""
    kept: list[Step] = []
    for step in sorted(steps, key=lambda step: (step.bytes, step.cost, sorted(step.create))):
        if not kept or step.cost < kept[-1].cost:
            kept.append(step)
    return tuple(kept)

"""What the planner said of one question, so that it need not be asked again: the benefit graph.

A plan made with the indexes ``live`` that uses only ``used`` is also the plan for every set in between: taking away an
index that a plan does not use changes nothing (Schnaitter, Polyzotis and Getoor, Index Interactions in Physical Design
Tuning, PVLDB 2009). So a few plans tell the cost of very many sets of indexes. The planner keeps to this but for the
1 % by which it takes two paths for equally cheap.

Sets of indexes are numbers here, index ``i`` being bit ``i``: graphs hold many sets, and compare them often.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

EMPTY = 0


def bits(ids: Iterable[int]) -> int:
    """Return the set of ``ids`` as a number."""
    number = 0
    for each in ids:
        number |= 1 << each
    return number


def members(number: int) -> Iterator[int]:
    """Yield the ids in a set, in ascending order."""
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def contains(outer: int, inner: int) -> bool:
    """Return whether every member of ``inner`` is in ``outer``."""
    return not inner & ~outer


@dataclass(frozen=True, slots=True)
class Node:
    """One plan: with the indexes ``live`` its cost is ``cost``, and of them it has ``used`` in it."""

    live: int
    used: int
    cost: float


@dataclass(slots=True)
class Graph:
    """The plans of one question. ``relevant`` are the indexes that may be switched for it.

    ``calls`` counts questions to the planner. ``reason`` says why the question cannot be planned: then it has no node.
    ``relations`` are the schemas and names of what its first plan reads or changes.
    """

    question: str
    relevant: int
    nodes: list[Node] = field(default_factory=list)
    calls: int = 0
    reason: str | None = None
    relations: frozenset[tuple[str, str]] = frozenset()

    def find(self, live: int) -> Node | None:
        """Return the plan for exactly these indexes if it follows from what is known."""
        live &= self.relevant
        for node in reversed(self.nodes):
            if contains(live, node.used) and contains(node.live, live):
                return node
        return None

    def add(self, node: Node) -> None:
        """Remember a plan."""
        self.nodes.append(node)

    def best(self, live: int) -> Node:
        """Return the cheapest known plan that these indexes allow: of several equally cheap ones the first.

        :raises ValueError: none is known, for the planner was never asked without any index.
        """
        allowed = [node for node in self.nodes if contains(live, node.used)]
        if not allowed:
            raise ValueError(f"{self.question}: no plan is known for this set of indexes")
        return min(allowed, key=lambda node: node.cost)

    def combinations(self) -> list[Node]:
        """Return the plans worth choosing from, cheapest first: none uses more indexes than another and costs as much.

        The order, and what is left out, depends on the plans alone, not on the order in which they were found.
        """
        kept: list[Node] = []
        for node in sorted(self.nodes, key=lambda node: (node.cost, node.used.bit_count(), node.used)):
            if not any(contains(node.used, other.used) for other in kept):
                kept.append(node)
        return kept

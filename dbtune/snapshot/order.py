"""An order in which objects can be made: each after those that it needs."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

Node: TypeAlias = tuple[int, int]
"""An object: the OIDs of its catalog and of its row, as pg_depend names it."""

Rank: TypeAlias = tuple[int, str, str, str]


def ordered(ranks: Mapping[Node, Rank], needs: Iterable[tuple[Node, Node]]) -> list[Node]:
    """Return the keys of ``ranks``, each after all that it needs, and apart from that by rank.

    ``needs`` are pairs (what needs, what is needed), also over nodes that have no rank: they link others, and are not
    returned. A circle is broken where the rank is lowest.
    """
    wanted: dict[Node, set[Node]] = {node: set() for node in ranks}
    wanting: dict[Node, set[Node]] = {}
    for node, needed in needs:
        if node != needed:
            wanted.setdefault(node, set()).add(needed)
            wanted.setdefault(needed, set())
            wanting.setdefault(needed, set()).add(node)
    numbers = {node: at for at, node in enumerate(sorted(ranks, key=lambda node: (ranks[node], node)))}

    def place(node: Node) -> tuple[int, Node]:
        return numbers.get(node, -1), node

    ready = [place(node) for node, left in wanted.items() if not left]
    heapq.heapify(ready)
    waiting = sorted((node for node, left in wanted.items() if left), key=place, reverse=True)
    done: set[Node] = set()
    found: list[Node] = []
    while ready or waiting:
        if ready:
            _, node = heapq.heappop(ready)
        elif waiting[-1] in done:
            waiting.pop()
            continue
        else:
            node = min(_circle(waiting[-1], wanted), key=lambda n: (n not in numbers, place(n)))
        if node in done:
            continue
        done.add(node)
        if node in numbers:
            found.append(node)
        for other in wanting.get(node, ()):
            wanted[other].discard(node)
            if not wanted[other]:
                heapq.heappush(ready, place(other))
    return found


def _circle(start: Node, wanted: Mapping[Node, Collection[Node]]) -> list[Node]:
    """Return nodes that need each other in a circle, found from one that waits."""
    path: list[Node] = []
    node = start
    while node not in path:
        path.append(node)
        node = min(wanted[node])
    return path[path.index(node) :]


def needing(nodes: Iterable[Node], needs: Iterable[tuple[Node, Node]]) -> set[Node]:
    """Return all that needs one of the nodes, over any number of links; without the nodes themselves."""
    wanting: dict[Node, list[Node]] = {}
    for node, needed in needs:
        wanting.setdefault(needed, []).append(node)
    start = set(nodes)
    found: set[Node] = set()
    waiting = list(start)
    while waiting:
        for node in wanting.get(waiting.pop(), ()):
            if node not in found:
                found.add(node)
                waiting.append(node)
    return found - start

"""From EXPLAIN's JSON to a :class:`~dbtune.plan.tree.Plan`, whatever the server's version (13 and newer)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dbtune.plan.tree import Node, Plan

# 17 renamed the counters of I/O time when it split off those of temporary tables.
_RENAMED = {"I/O Read Time": "Shared I/O Read Time", "I/O Write Time": "Shared I/O Write Time"}


class NotAPlan(ValueError):
    """The document is JSON, but not what EXPLAIN prints."""


def parse(document: object) -> list[Plan]:
    """Return the plans in a document: EXPLAIN's list, auto_explain's object, or the JSON text of either.

    :raises NotAPlan: the document has another shape.
    """
    if isinstance(document, str | bytes):
        try:
            document = json.loads(document)
        except ValueError as error:
            raise NotAPlan(f"not JSON: {error}") from None
    statements = document if isinstance(document, list) else [document]
    return [_plan(statement) for statement in statements]


def _plan(statement: object) -> Plan:
    if not isinstance(statement, Mapping) or not isinstance(statement.get("Plan"), Mapping):
        raise NotAPlan('not a plan: no object with a "Plan" in it, as EXPLAIN (FORMAT JSON) prints')
    beside = {key: value for key, value in statement.items() if key != "Plan"}
    return Plan(nodes=_nodes(statement["Plan"]), raw=beside)


def _nodes(root: Mapping[str, Any]) -> tuple[Node, ...]:
    """Flatten the tree in its printed order; a loop, for plans may nest deeper than Python's stack."""
    raws: list[Mapping[str, Any]] = []
    parents: list[int | None] = []
    depths: list[int] = []
    waiting: list[tuple[Mapping[str, Any], int | None, int]] = [(root, None, 0)]
    while waiting:
        raw, parent, depth = waiting.pop()
        if not isinstance(raw, Mapping):
            raise NotAPlan(f"not a plan: a node is {type(raw).__name__}, not an object")
        number = len(raws)
        raws.append(raw)
        parents.append(parent)
        depths.append(depth)
        below = raw.get("Plans") or ()
        if not isinstance(below, list | tuple):
            raise NotAPlan('not a plan: "Plans" is not a list')
        waiting.extend((child, number, depth + 1) for child in reversed(below))
    children: list[list[int]] = [[] for _ in raws]
    ends = list(range(1, len(raws) + 1))
    for number in range(len(raws) - 1, 0, -1):
        parent = parents[number]
        assert parent is not None
        children[parent].append(number)
        ends[parent] = max(ends[parent], ends[number])
    return tuple(
        Node(number, parents[number], depths[number], ends[number], tuple(reversed(children[number])), _node(raw))
        for number, raw in enumerate(raws)
    )


def _node(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {_RENAMED.get(key, key): value for key, value in raw.items() if key != "Plans"}

"""How a plan reaches each table: by which scan, by which index, with a condition that the index looks up or not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from dbtune.plan.tree import JOINS, Node, Plan

_SCANS = frozenset({"Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan", "Tid Range Scan"})
_SORTS = frozenset({"Sort", "Incremental Sort"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPath:
    """One scan of a table. ``looks_up``: an index condition (or TID) finds the rows; else all of it is read."""

    relation: str
    alias: str
    scan: str
    indexes: tuple[str, ...]
    looks_up: bool

    @property
    def text(self) -> str:
        """The path for people, such as ``Index Scan using item_owner``."""
        return f"{self.scan} using {', '.join(self.indexes)}" if self.indexes else self.scan


def access_paths(plan: Plan) -> list[AccessPath]:
    """Return every scan of a table, in the plan's order."""
    return [_path(plan, node) for node in plan.nodes if node.node_type in _SCANS and node.relation is not None]


def _path(plan: Plan, node: Node) -> AccessPath:
    below = [n for n in plan.subtree(node) if n.node_type == "Bitmap Index Scan"] or [node]
    return AccessPath(
        relation=node.relation or "",
        alias=node.alias or "",
        scan=node.node_type,
        indexes=tuple(n.index_name for n in below if n.index_name is not None),
        looks_up="TID Cond" in node.raw or all("Index Cond" in n.raw for n in below),
    )


def joins(plan: Plan) -> tuple[str, ...]:
    """Return the plan's joins in its order, such as ``Hash Right Join``."""
    return tuple(n.label for n in plan.nodes if n.node_type in JOINS)


def sorts(plan: Plan) -> tuple[str, ...]:
    """Return the keys of the plan's sorts."""
    return tuple(", ".join(map(str, n.raw.get("Sort Key", []))) for n in plan.nodes if n.node_type in _SORTS)


def shape(plan: Plan) -> str:
    """Return a digest of the plan without its numbers and values: types of nodes, relations, indexes, joins."""
    lines = (f"{n.depth} {n.label} {n.parent_relationship or ''}" for n in plan.nodes)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

"""A plan as EXPLAIN (FORMAT JSON) gives it (manual, 14.1 and EXPLAIN): nodes in the order in which they are printed.

Nothing is computed here: names are PostgreSQL's, and numbers are as printed, per-loop averages included
(:mod:`dbtune.plan.arithmetic` makes totals of them). A plan is a flat sequence, so that depth costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

SCANS_OF_INDEXES = frozenset({"Index Scan", "Index Only Scan", "Bitmap Index Scan"})
GATHERS = frozenset({"Gather", "Gather Merge"})
JOINS = frozenset({"Nested Loop", "Hash Join", "Merge Join"})


@dataclass(frozen=True, slots=True)
class Buffers:
    """Counts of 8 kB blocks. Unlike rows and times they are totals over loops and workers."""

    shared_hit: int = 0
    shared_read: int = 0
    shared_dirtied: int = 0
    shared_written: int = 0
    local_hit: int = 0
    local_read: int = 0
    local_dirtied: int = 0
    local_written: int = 0
    temp_read: int = 0
    temp_written: int = 0

    @property
    def shared(self) -> int:
        """Blocks asked of shared buffers, found there or not."""
        return self.shared_hit + self.shared_read

    @property
    def accessed(self) -> int:
        """Blocks asked for, of tables, temporary tables and temporary files."""
        return self.shared + self.local_hit + self.local_read + self.temp

    @property
    def temp(self) -> int:
        """Blocks of temporary files read and written."""
        return self.temp_read + self.temp_written

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Buffers | None:
        """Return the counters in a node or in ``Planning``, None where BUFFERS was off."""
        if not any(key in raw for key in _BUFFER_KEYS.values()):
            return None
        return cls(**{name: int(raw.get(key, 0)) for name, key in _BUFFER_KEYS.items()})


_BUFFER_KEYS = {f.name: f.name.replace("_", " ").title() + " Blocks" for f in fields(Buffers)}


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One step of a plan. ``number`` is its place in the plan, ``end`` the place after its last descendant.

    ``raw`` is the node as the server printed it, without its children; kinds of node that are not known here are kept.
    """

    number: int
    parent: int | None
    depth: int
    end: int
    children: tuple[int, ...]
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def node_type(self) -> str:
        return str(self.raw.get("Node Type", "?"))

    @property
    def relation(self) -> str | None:
        """The relation scanned or changed, with its schema where VERBOSE told it."""
        name = self.raw.get("Relation Name")
        schema = self.raw.get("Schema")
        return None if name is None else f"{schema}.{name}" if schema else str(name)

    @property
    def alias(self) -> str | None:
        return self.raw.get("Alias")

    @property
    def index_name(self) -> str | None:
        return self.raw.get("Index Name")

    @property
    def parent_relationship(self) -> str | None:
        """Outer, Inner, Member, Subquery, InitPlan or SubPlan; None at the root."""
        return self.raw.get("Parent Relationship")

    @property
    def subplan_name(self) -> str | None:
        return self.raw.get("Subplan Name")

    @property
    def cte(self) -> str | None:
        """The name of the CTE that this subtree computes, None for any other node."""
        name = self.subplan_name or ""
        return name.removeprefix("CTE ") if name.startswith("CTE ") else None

    @property
    def filter(self) -> str | None:
        return self.raw.get("Filter")

    @property
    def plan_rows(self) -> float:
        """Rows the planner expects of one loop."""
        return float(self.raw.get("Plan Rows", 0))

    @property
    def plan_width(self) -> int:
        """Bytes the planner expects of a row."""
        return int(self.raw.get("Plan Width", 0))

    @property
    def total_cost(self) -> float:
        return float(self.raw.get("Total Cost", 0))

    @property
    def loops(self) -> float | None:
        """How often it was started; 0 for never executed, None without ANALYZE."""
        loops = self.raw.get("Actual Loops")
        return None if loops is None else float(loops)

    @property
    def never_executed(self) -> bool:
        return self.loops == 0

    @property
    def rows_per_loop(self) -> float | None:
        """Actual Rows: an average over loops, rounded to an integer before PostgreSQL 18."""
        rows = self.raw.get("Actual Rows")
        return None if rows is None else float(rows)

    @property
    def total_ms_per_loop(self) -> float | None:
        """Actual Total Time: an average over loops, None without TIMING."""
        time = self.raw.get("Actual Total Time")
        return None if time is None else float(time)

    @property
    def buffers(self) -> Buffers | None:
        """Blocks of this node and all below it."""
        return Buffers.of(self.raw)

    @property
    def workers_launched(self) -> int | None:
        launched = self.raw.get("Workers Launched")
        return None if launched is None else int(launched)

    @property
    def workers(self) -> list[Mapping[str, Any]]:
        """What each parallel worker did, where VERBOSE told it."""
        found = self.raw.get("Workers", [])
        return list(found) if isinstance(found, list) else []

    @property
    def parallel_aware(self) -> bool:
        return bool(self.raw.get("Parallel Aware"))

    def number_of(self, key: str) -> float:
        """Return a number of the node, 0 where it is not given."""
        value = self.raw.get(key, 0)
        return float(value) if isinstance(value, int | float) else 0.0

    @property
    def label(self) -> str:
        """The node as EXPLAIN's text format leads it, such as ``Parallel Seq Scan on s.t a``."""
        words = [self._kind()]
        if self.parallel_aware:
            words.insert(0, "Parallel")
        if self.raw.get("Scan Direction") == "Backward":
            words.append("Backward")
        if self.index_name:
            words.append(("on " if self.node_type == "Bitmap Index Scan" else "using ") + self.index_name)
        target = self.relation or self.raw.get("Function Name") or self.raw.get("CTE Name")
        if target:
            words.append(f"on {target}")
            if self.alias and self.alias != self.raw.get("Relation Name", target):
                words.append(self.alias)
        elif self.alias and "Scan" in self.node_type:
            words.append(f"on {self.alias}")
        return " ".join(words)

    def _kind(self) -> str:
        kind = self.node_type
        if kind in JOINS:
            join = self.raw.get("Join Type", "Inner")
            if join != "Inner":
                return f"{kind.removesuffix(' Join')} {join} Join"
            return kind
        if kind == "Aggregate":
            strategy = {"Hashed": "HashAggregate", "Sorted": "GroupAggregate", "Mixed": "MixedAggregate"}
            mode = self.raw.get("Partial Mode", "Simple")
            name = strategy.get(str(self.raw.get("Strategy")), "Aggregate")
            return name if mode == "Simple" else f"{mode} {name}"
        if kind == "ModifyTable":
            return str(self.raw.get("Operation", kind))
        if kind == "SetOp":
            return (
                f"{'HashSetOp' if self.raw.get('Strategy') == 'Hashed' else kind} {self.raw.get('Command', '')}".strip()
            )
        return kind


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A statement's plan. ``raw`` holds what stands beside the tree: times, triggers, JIT, settings."""

    nodes: tuple[Node, ...]
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def root(self) -> Node:
        return self.nodes[0]

    def walk(self) -> Iterator[Node]:
        """Yield every node, each before its children."""
        return iter(self.nodes)

    def parent(self, node: Node) -> Node | None:
        return None if node.parent is None else self.nodes[node.parent]

    def children(self, node: Node) -> tuple[Node, ...]:
        return tuple(self.nodes[number] for number in node.children)

    def child(self, node: Node, relationship: str) -> Node | None:
        """Return the node's first child of that Parent Relationship, such as ``Inner``."""
        return next((c for c in self.children(node) if c.parent_relationship == relationship), None)

    def ancestors(self, node: Node) -> Iterator[Node]:
        """Yield the node's parent, its parent, and so on to the root."""
        above = self.parent(node)
        while above is not None:
            yield above
            above = self.parent(above)

    def subtree(self, node: Node) -> tuple[Node, ...]:
        """Return the node and all below it."""
        return self.nodes[node.number : node.end]

    @property
    def is_analyzed(self) -> bool:
        """Whether the statement ran, so that there are actual rows."""
        return self.root.loops is not None

    @property
    def is_timed(self) -> bool:
        """Whether there are actual times (TIMING was on)."""
        return self.root.total_ms_per_loop is not None

    @property
    def execution_ms(self) -> float | None:
        """Execution Time; the logged duration where auto_explain gave that; else the root's time."""
        for key in ("Execution Time", "Duration"):
            if key in self.raw:
                return float(self.raw[key])
        root = self.root
        if root.total_ms_per_loop is None or root.loops is None:
            return None
        return root.total_ms_per_loop * root.loops

    @property
    def planning_ms(self) -> float | None:
        time = self.raw.get("Planning Time")
        return None if time is None else float(time)

    @property
    def triggers(self) -> list[Mapping[str, Any]]:
        found = self.raw.get("Triggers", [])
        return list(found) if isinstance(found, list) else []

    @property
    def settings(self) -> Mapping[str, str]:
        """Planner settings that differ from their defaults (SETTINGS)."""
        found = self.raw.get("Settings", {})
        return found if isinstance(found, Mapping) else {}

    @property
    def serialization_ms(self) -> float:
        """Time to turn the result into the client's format (SERIALIZE, 17+); 0 where it was not measured."""
        found = self.raw.get("Serialization")
        return float(found.get("Time", 0)) if isinstance(found, Mapping) else 0.0

    @property
    def jit_ms(self) -> float:
        """Time of JIT compilation in one process: the server prints the sum over the leader and its workers."""
        found = self.raw.get("JIT")
        timing = found.get("Timing", {}) if isinstance(found, Mapping) else {}
        total = float(timing.get("Total", 0)) if isinstance(timing, Mapping) else 0.0
        launched = max((n.workers_launched or 0 for n in self.nodes), default=0)
        return total / (launched + 1)

    def document(self) -> dict[str, Any]:
        """Return the plan as EXPLAIN (FORMAT JSON) prints it."""
        raws: list[dict[str, Any]] = [dict(node.raw) for node in self.nodes]
        for node in self.nodes:
            if node.children:
                raws[node.number]["Plans"] = [raws[child] for child in node.children]
        return {"Plan": raws[0], **self.raw}

    def sequential_scans(self) -> list[Node]:
        """Return the nodes that read a table from its first block to its last."""
        return [n for n in self.nodes if n.node_type == "Seq Scan"]

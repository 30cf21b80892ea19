"""What a rule looks at: a plan with its sums and the catalog's facts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dbtune.plan.arithmetic import Analysis, Count, Measure, analyse
from dbtune.plan.predicate import terms
from dbtune.plan.tree import GATHERS, Node, Plan
from dbtune.server.facts import Facts, IndexFacts

_NAME = r"""([\w$]+|"(?:[^"]|"")+")"""
_EQUAL_COLUMNS = re.compile(rf"{_NAME}\.{_NAME} = {_NAME}\.{_NAME}")

BLOCK_SIZE = 8192
"""Bytes of a block; PostgreSQL's default, which next to nobody changes."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A plan to be judged."""

    analysis: Analysis
    facts: Facts = field(default_factory=Facts)
    alternatives: Mapping[str, Plan] = field(default_factory=dict)
    """Plans of the same statement with its other parameter sets and without any, by the set's name; not run."""
    before: Plan | None = None
    """The statement's plan in a baseline."""
    _by_type: Mapping[str, list[Node]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Sort the nodes by type once: every rule asks for some."""
        by_type: dict[str, list[Node]] = {}
        for node in self.analysis.plan.nodes:
            if not node.never_executed:
                by_type.setdefault(node.node_type, []).append(node)
        object.__setattr__(self, "_by_type", by_type)

    @classmethod
    def of(cls, plan: Plan, facts: Facts | None = None) -> Subject:
        """Return the plan with its sums, ready for the rules."""
        return cls(analyse(plan), facts or Facts())

    @property
    def plan(self) -> Plan:
        return self.analysis.plan

    def measure(self, node: Node) -> Measure:
        return self.analysis.of(node)

    def share(self, node: Node) -> float:
        """Part of the statement that the node alone takes, 0 to 1."""
        return self.analysis.of(node).share

    def subtree_share(self, node: Node) -> float:
        """Part of the statement that the node and all below it take, 0 to 1."""
        return min(1.0, sum(self.analysis.measures[n.number].share for n in self.plan.subtree(node)))

    def part(self, ms: float) -> float | None:
        """Part of the execution time that ``ms`` milliseconds are, 0 to 1; None where the time was not measured."""
        execution = self.analysis.execution_ms
        return min(1.0, ms / execution) if execution and self.plan.is_analyzed else None

    def running(self, *node_types: str) -> list[Node]:
        """Return the nodes of these types, those that never ran left out."""
        found = [n for kind in node_types for n in self._by_type.get(kind, ())]
        return sorted(found, key=lambda n: n.number) if len(node_types) > 1 else found

    def blocks(self, node: Node) -> int | None:
        """Blocks that the node alone asked for; the table's size where that was not measured; None where unknown."""
        own = self.analysis.of(node).self_blocks
        if self.plan.is_analyzed and own is not None:
            return own.accessed
        table = self.facts.table(node.relation)
        return table.relpages if table else None

    def repeats(self, node: Node) -> float:
        """How often each process started the node (its loops, without those of one start in several processes)."""
        loops = node.loops or 0.0
        gather = next((a for a in self.plan.ancestors(node) if a.node_type in GATHERS), None)
        return loops / ((gather.workers_launched or 0) + 1) if gather is not None else loops

    def dropped(self, node: Node, by: str) -> Count:
        """Rows that one kind of condition dropped, over all loops: ``Filter``, ``Join Filter`` or ``Index Recheck``."""
        loops = node.loops or 0.0
        return Count(node.number_of(f"Rows Removed by {by}") * loops, 0.0 if loops <= 1 else loops / 2)

    def index(self, node: Node) -> IndexFacts | None:
        """Return what is known of the index that a node scans; a Bitmap Index Scan's table stands further up."""
        heap = next((n for n in (node, *self.plan.ancestors(node)) if n.relation is not None), None)
        table = self.facts.table(heap.relation) if heap is not None else None
        return next((i for i in table.indexes if i.name == node.index_name), None) if table is not None else None

    def is_unbounded(self, node: Node) -> bool:
        """Whether an index scan starts at one end and goes to the other: no condition says where (nor IS NOT NULL)."""
        condition = node.raw.get("Index Cond")
        return condition is None or all(term.operator == "IS NOT NULL" for term in terms(condition))

    def own_columns(self, node: Node, condition: str) -> list[str]:
        """Return the columns of ``node`` that a join condition compares with something else."""
        mentioned = re.findall(r"([\w\"]+)\.([\w\"]+)", condition)
        return list(dict.fromkeys(column.strip('"') for alias, column in mentioned if alias.strip('"') == node.alias))

    def aliases(self, expression: str) -> set[str]:
        """Return the aliases of the plan's relations whose columns an expression mentions."""
        known = {n.alias for n in self.plan.nodes}
        return {
            alias for name in re.findall(r"([\w$]+|\"[^\"]+\")\.", expression) if (alias := name.strip('"')) in known
        }

    def has_index(self, node: Node, columns: Sequence[str]) -> str | None:
        """Return the name of an index that begins with one of the columns, None where there is none or nobody knows."""
        table = self.facts.table(node.relation)
        found = (table.leads(column) for column in columns) if table is not None else ()
        return next((index.name for index in found if index is not None), None)

    def joined_columns(self, join: Node, node: Node) -> list[str]:
        """Return the plain columns of ``node`` that the join compares with plain columns of its other side."""
        condition = join.raw.get("Hash Cond") or join.raw.get("Merge Cond") or join.raw.get("Join Filter")
        if not isinstance(condition, str):
            return []
        found = []
        for term in terms(condition):
            pair = _EQUAL_COLUMNS.fullmatch(term.text)
            if pair is None:
                continue
            for alias, column in (pair.group(1, 2), pair.group(3, 4)):
                if alias.strip('"') == node.alias:
                    found.append(column.strip('"'))
        return list(dict.fromkeys(found))

    def rows(self, node: Node) -> float:
        """Rows that the node returned over all loops, or is expected to."""
        measure = self.analysis.of(node)
        return measure.rows.value if measure.rows is not None else measure.estimated_rows

    def scanned(self, node: Node) -> tuple[float, float] | None:
        """Return rows that a scan looks at and rows that it keeps: measured, else estimated, None where unknown."""
        measure = self.analysis.of(node)
        if measure.rows is not None and measure.read is not None:
            return measure.read.value, measure.rows.value
        table = self.facts.table(node.relation)
        if table is None or table.reltuples < 0:
            return None
        return max(table.reltuples, node.plan_rows), node.plan_rows

"""What a rule looks at: a plan with its sums and the catalog's facts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from dbtune.plan.arithmetic import Analysis, Measure, analyse
from dbtune.plan.tree import GATHERS, Node, Plan
from dbtune.server.facts import Facts

BLOCK_SIZE = 8192
"""Bytes of a block; PostgreSQL's default, which next to nobody changes."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A plan to be judged."""

    analysis: Analysis
    facts: Facts = field(default_factory=Facts)

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

    def running(self, *node_types: str) -> list[Node]:
        """Return the nodes of these types, those that never ran left out."""
        return [n for n in self.plan.nodes if n.node_type in node_types and not n.never_executed]

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

    def own_columns(self, node: Node, condition: str) -> list[str]:
        """Return the columns of ``node`` that a join condition compares with something else."""
        mentioned = re.findall(r"([\w\"]+)\.([\w\"]+)", condition)
        return list(dict.fromkeys(column.strip('"') for alias, column in mentioned if alias.strip('"') == node.alias))

    def scanned(self, node: Node) -> tuple[float, float] | None:
        """Return rows that a scan looks at and rows that it keeps: measured, else estimated, None where unknown."""
        measure = self.analysis.of(node)
        if measure.rows is not None and measure.read is not None:
            return measure.read.value, measure.rows.value
        table = self.facts.table(node.relation)
        if table is None or table.reltuples < 0:
            return None
        return max(table.reltuples, node.plan_rows), node.plan_rows

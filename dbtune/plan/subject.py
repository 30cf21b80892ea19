"""What a rule looks at: a plan with its sums and the catalog's facts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from dbtune.plan.arithmetic import Analysis, Count, Measure, analyse
from dbtune.plan.finding import Severity
from dbtune.plan.predicate import terms
from dbtune.plan.tree import GATHERS, JOINS, Node, Plan
from dbtune.server.facts import Facts, IndexFacts

_NAME = r"""([\w$]+|"(?:[^"]|"")+")"""
_EQUAL_COLUMNS = re.compile(rf"{_NAME}\.{_NAME} = {_NAME}\.{_NAME}")

BLOCK_SIZE = 8192
"""Bytes of a block; PostgreSQL's default, which next to nobody changes."""

MISESTIMATE_FACTOR = 10.0
"""Estimates off by less than this factor seldom make the planner choose another plan."""

MISESTIMATE_ROWS = 1_000
"""Whether 3 or 300 rows were expected matters little; where neither figure reaches this, a factor says nothing."""

_TAKES_ALL = frozenset({"Sort", "Hash", "Bitmap Heap Scan", "ModifyTable"})
_INPUTS = frozenset({"Outer", "Inner", "Member", "Subquery"})
_COUNTED = frozenset({"Aggregate", "Group", "Unique", "SetOp", "ProjectSet", "Recursive Union"}) | JOINS
_NOT_COUNTED = frozenset({"Bitmap Index Scan", "WorkTable Scan", "Named Tuplestore Scan"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Misestimate:
    """A node at which the planner's row counts go wrong, though those of its inputs were right.

    Only scans of tables, whose rows decide how the table is read, and nodes below a join, which was chosen by them.

    ``ratio`` is rows that came by rows expected, at least one a loop, and as near to 1 as rounding allows: above 1
    where too few were expected. ``share`` is the part of the statement that was planned with it: the joins above
    with all below them; the node itself where no join is above it.
    """

    node: Node
    rows: Count
    expected: float
    ratio: float
    share: float

    @property
    def factor(self) -> float:
        """How many times too many or too few, 1 or more."""
        return max(self.ratio, 1 / self.ratio)

    @property
    def severity(self) -> Severity | None:
        """The most that such a factor is worth; None where the share makes it no more than that."""
        if self.factor < 100 and self.share >= 0.1:
            return Severity.INFO
        return Severity.WARN if self.factor < 1000 and self.share >= 0.5 else None


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

    def row_ratio(self, node: Node) -> float | None:
        """Return rows that came by rows expected (see :class:`Misestimate`), None where they cannot be compared.

        A node that was stopped before its end returned fewer rows than there are. The inner side of a merge join is
        read again for equal keys, and each time its rows are counted.
        """
        measure = self.analysis.of(node)
        if measure.rows is None or node.never_executed:
            return None
        least = max(1.0, self.repeats(node))
        expected = max(least, measure.estimated_rows)
        fewest = max(least, measure.rows.value - measure.rows.error)
        most = max(least, measure.rows.value + measure.rows.error)
        ratio = fewest / expected if fewest > expected else min(1.0, most / expected)
        stopped, repeated = self._interrupted(node)
        return None if (ratio < 1 and stopped) or (ratio > 1 and repeated) else ratio

    def _interrupted(self, node: Node) -> tuple[bool, bool]:
        """Return whether the node may have been stopped early, and whether it may have been read twice."""
        below = node
        for above in self.plan.ancestors(node):
            side, kind = below.parent_relationship, above.node_type
            if below.cte is not None:
                return all(self._interrupted(scan)[0] for scan in self._scans_of(below)), False
            if side not in _INPUTS:
                return True, False
            if kind in _TAKES_ALL or above.raw.get("Strategy") in ("Plain", "Hashed"):
                return False, False
            if kind == "Merge Join":
                return True, side == "Inner"
            if kind == "Limit":
                return True, False
            if kind == "Nested Loop" and side == "Inner":
                if above.raw.get("Inner Unique") or above.raw.get("Join Type") in ("Semi", "Anti"):
                    return True, False
            elif kind == "Hash Join" and (hashed := self.plan.child(above, "Inner")) is not None:
                built = self.analysis.of(hashed).rows
                if built is not None and built.value < 1:
                    return True, False  # nothing to join with, so that the other side is not read
            below = above
        return False, False

    def is_misestimated(self, node: Node) -> bool:
        """Whether rows came ten times as many, or a tenth, of those expected."""
        ratio = self.row_ratio(node)
        return ratio is not None and max(ratio, 1 / ratio) >= MISESTIMATE_FACTOR

    def misestimates(self, min_ms: float) -> list[Misestimate]:
        """Return where row counts go wrong, the lowest nodes only; none for a statement quicker than ``min_ms``."""
        execution = self.analysis.execution_ms
        if execution is not None and execution < min_ms:
            return []
        return [self._misestimate(node) for node in self.plan.nodes if self._is_origin(node)]

    def _is_origin(self, node: Node) -> bool:
        kind = node.node_type
        if kind in _NOT_COUNTED or not (kind in _COUNTED or kind.endswith("Scan")):
            return False  # it hands on what it is given, or nobody counts its rows
        if node.raw.get("Partial Mode") == "Partial" or self._is_recursive_term(node):
            return False
        measure = self.analysis.of(node)
        if measure.rows is None or max(measure.rows.value, measure.estimated_rows) < MISESTIMATE_ROWS:
            return False
        if node.relation is None and self._join_above(node) is None:
            return False  # nothing was chosen by it
        return self.is_misestimated(node) and not any(map(self.is_misestimated, self._inputs(node)))

    def _is_recursive_term(self, node: Node) -> bool:
        pairs = pairwise([node, *self.plan.ancestors(node)])
        return any(b.parent_relationship == "Inner" and a.node_type == "Recursive Union" for b, a in pairs)

    def _inputs(self, node: Node) -> list[Node]:
        """Return the nodes whose rows this one takes and that were estimated before it was."""
        if node.node_type == "CTE Scan" and (cte := self._cte_of(node)) is not None:
            return [cte]
        sides = {"Bitmap Heap Scan": (), "Recursive Union": ("Outer",)}.get(node.node_type, _INPUTS)
        return [n for n in self.plan.children(node) if n.parent_relationship in sides]

    def _join_above(self, node: Node) -> Node | None:
        """Return the topmost join that took the node's rows; those of a CTE count where it is scanned."""
        below, found = node, None
        for above in self.plan.ancestors(node):
            if below.cte is not None:
                joins = [self._join_above(scan) for scan in self._scans_of(below)]
                return found or next((join for join in joins if join is not None), None)
            if below.parent_relationship not in _INPUTS:
                break
            found = above if above.node_type in JOINS else found
            below = above
        return found

    def _scans_of(self, cte: Node) -> list[Node]:
        return [scan for scan in self.running("CTE Scan") if self._cte_of(scan) is cte]

    def _cte_of(self, scan: Node) -> Node | None:
        """Return the CTE that a CTE Scan reads: the nearest of that name, but not one that it helps to compute."""
        for above in (scan, *self.plan.ancestors(scan)):
            for cte in self.plan.children(above):
                is_within = cte.number <= scan.number < cte.end
                if not is_within and cte.cte is not None and cte.cte == scan.raw.get("CTE Name"):
                    return cte
        return None

    def _misestimate(self, node: Node) -> Misestimate:
        measure = self.analysis.of(node)
        return Misestimate(
            node=node,
            rows=measure.rows or Count(0.0),
            expected=measure.estimated_rows,
            ratio=self.row_ratio(node) or 1.0,
            share=self.subtree_share(self._join_above(node) or node),
        )

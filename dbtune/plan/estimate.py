"""Where the planner's row counts go wrong first: the lowest nodes that gave far more or fewer rows than expected."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from dbtune.plan.arithmetic import Count
from dbtune.plan.finding import Severity
from dbtune.plan.subject import Subject
from dbtune.plan.tree import JOINS, Node

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


def row_ratio(subject: Subject, node: Node) -> float | None:
    """Return rows that came by rows expected (see :class:`Misestimate`), None where they cannot be compared.

    A node that was stopped before its end returned fewer rows than there are. The inner side of a merge join is
    read again for equal keys, and each time its rows are counted.
    """
    measure = subject.analysis.of(node)
    if measure.rows is None or node.never_executed:
        return None
    least = max(1.0, subject.repeats(node))
    expected = max(least, measure.estimated_rows)
    fewest = max(least, measure.rows.value - measure.rows.error)
    most = max(least, measure.rows.value + measure.rows.error)
    ratio = fewest / expected if fewest > expected else min(1.0, most / expected)
    stopped, repeated = _interrupted(subject, node)
    return None if (ratio < 1 and stopped) or (ratio > 1 and repeated) else ratio


def _interrupted(subject: Subject, node: Node) -> tuple[bool, bool]:
    """Return whether the node may have been stopped early, and whether it may have been read twice."""
    below = node
    for above in subject.plan.ancestors(node):
        side, kind = below.parent_relationship, above.node_type
        if below.cte is not None:
            return all(_interrupted(subject, scan)[0] for scan in _scans_of(subject, below)), False
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
        elif kind == "Hash Join" and (hashed := subject.plan.child(above, "Inner")) is not None:
            built = subject.analysis.of(hashed).rows
            if built is not None and built.value < 1:
                return True, False  # nothing to join with, so that the other side is not read
        below = above
    return False, False


def is_misestimated(subject: Subject, node: Node) -> bool:
    """Whether rows came ten times as many, or a tenth, of those expected."""
    ratio = row_ratio(subject, node)
    return ratio is not None and max(ratio, 1 / ratio) >= MISESTIMATE_FACTOR


def misestimates(subject: Subject, min_ms: float) -> list[Misestimate]:
    """Return where row counts go wrong, the lowest nodes only; none for a statement quicker than ``min_ms``."""
    execution = subject.analysis.execution_ms
    if execution is not None and execution < min_ms:
        return []
    return [_misestimate(subject, node) for node in subject.plan.nodes if _is_origin(subject, node)]


def _is_origin(subject: Subject, node: Node) -> bool:
    kind = node.node_type
    if kind in _NOT_COUNTED or not (kind in _COUNTED or kind.endswith("Scan")):
        return False  # it hands on what it is given, or nobody counts its rows
    if node.raw.get("Partial Mode") == "Partial" or _is_recursive_term(subject, node):
        return False
    measure = subject.analysis.of(node)
    if measure.rows is None or max(measure.rows.value, measure.estimated_rows) < MISESTIMATE_ROWS:
        return False
    if node.relation is None and _join_above(subject, node) is None:
        return False  # nothing was chosen by it
    return is_misestimated(subject, node) and not any(is_misestimated(subject, n) for n in _inputs(subject, node))


def _is_recursive_term(subject: Subject, node: Node) -> bool:
    pairs = pairwise([node, *subject.plan.ancestors(node)])
    return any(b.parent_relationship == "Inner" and a.node_type == "Recursive Union" for b, a in pairs)


def _inputs(subject: Subject, node: Node) -> list[Node]:
    """Return the nodes whose rows this one takes and that were estimated before it was."""
    if node.node_type == "CTE Scan" and (cte := _cte_of(subject, node)) is not None:
        return [cte]
    sides = {"Bitmap Heap Scan": (), "Recursive Union": ("Outer",)}.get(node.node_type, _INPUTS)
    return [n for n in subject.plan.children(node) if n.parent_relationship in sides]


def _join_above(subject: Subject, node: Node) -> Node | None:
    """Return the topmost join that took the node's rows; those of a CTE count where it is scanned."""
    below, found = node, None
    for above in subject.plan.ancestors(node):
        if below.cte is not None:
            joins = [_join_above(subject, scan) for scan in _scans_of(subject, below)]
            return found or next((join for join in joins if join is not None), None)
        if below.parent_relationship not in _INPUTS:
            break
        found = above if above.node_type in JOINS else found
        below = above
    return found


def _scans_of(subject: Subject, cte: Node) -> list[Node]:
    return [scan for scan in subject.running("CTE Scan") if _cte_of(subject, scan) is cte]


def _cte_of(subject: Subject, scan: Node) -> Node | None:
    """Return the CTE that a CTE Scan reads: the nearest of that name, but not one that it helps to compute."""
    for above in (scan, *subject.plan.ancestors(scan)):
        for cte in subject.plan.children(above):
            is_within = cte.number <= scan.number < cte.end
            if not is_within and cte.cte is not None and cte.cte == scan.raw.get("CTE Name"):
                return cte
    return None


def _misestimate(subject: Subject, node: Node) -> Misestimate:
    measure = subject.analysis.of(node)
    return Misestimate(
        node=node,
        rows=measure.rows or Count(0.0),
        expected=measure.estimated_rows,
        ratio=row_ratio(subject, node) or 1.0,
        share=subject.subtree_share(_join_above(subject, node) or node),
    )

"""What a plan's numbers add up to: totals with their rounding error, time and blocks of each node alone.

PostgreSQL prints rows and times as averages over loops and processes, block counts as totals, and the time of an
InitPlan or CTE inside the node that first needed it rather than inside its parent. Here every node's inclusive figure
is *charged* to the node that waited for it, so that what remains (self) is never negative, and all of it together is
the execution time and the root's blocks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from dbtune.plan.tree import GATHERS, Buffers, Node, Plan

_RETURNS = re.compile(r"\(returns ([^)]*)\)")  # before 17: InitPlan 1 (returns $0)


@dataclass(frozen=True, slots=True)
class Count:
    """A total that was printed as a rounded average: it lies within ``value`` ± ``error``."""

    value: float
    error: float = 0.0

    @property
    def is_exact(self) -> bool:
        return self.error < 0.5

    def __add__(self, other: Count) -> Count:
        return Count(self.value + other.value, self.error + other.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What one node did, over all its loops and processes.

    ``rows`` it returned and ``removed`` rows that its filters dropped; ``estimated_rows`` the planner's figure for the
    same. ``inclusive_ms`` is elapsed time with everything below, ``self_ms`` without; ``self_blocks`` likewise.
    ``share`` of the whole, 0 to 1: of time where it was measured, else of blocks, else of cost. None: not measured.
    """

    rows: Count | None
    removed: Count | None
    estimated_rows: float
    inclusive_ms: float | None
    self_ms: float | None
    self_blocks: Buffers | None
    share: float

    @property
    def read(self) -> Count | None:
        """Rows it looked at: those it returned and those it dropped."""
        if self.rows is None or self.removed is None:
            return None
        return self.rows + self.removed

    @property
    def kept_ratio(self) -> float | None:
        """Rows returned of rows looked at; None where it looked at none."""
        read = self.read
        return self.rows.value / read.value if self.rows is not None and read is not None and read.value > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The sums of a plan. All times in milliseconds of elapsed time, None where the plan has no times.

    ``execution_ms`` = the nodes' ``self_ms`` + ``trigger_ms`` (those outside of nodes) + ``serialization_ms`` +
    ``other_ms`` (starting and ending the executor). ``blocks`` is the sum of ``self_blocks``: the root's, and those of
    CTEs that change data without being read.
    """

    plan: Plan
    measures: tuple[Measure, ...]
    execution_ms: float | None
    trigger_ms: float
    serialization_ms: float
    other_ms: float
    blocks: Buffers | None

    def of(self, node: Node) -> Measure:
        """Return what that node did."""
        return self.measures[node.number]

    def subtree_ms(self, node: Node) -> float | None:
        """Time of the node and all below it, the CTEs it waited for left out."""
        times = [self.measures[n.number].self_ms for n in self.plan.subtree(node)]
        return None if any(t is None for t in times) else sum(t for t in times if t is not None)


def analyse(plan: Plan) -> Analysis:
    """Return the plan's sums."""
    processes = _processes(plan)
    inclusive = [_inclusive_ms(node, processes[node.number]) for node in plan.nodes]
    payers = _payers(plan, inclusive)
    _lift(plan, inclusive, payers, processes)
    timed = plan.is_timed
    self_ms: Sequence[float | None] = (
        _settle(plan, [t or 0.0 for t in inclusive], payers) if timed else [None] * len(inclusive)
    )
    blocks = _self_blocks(plan, payers)
    execution = plan.execution_ms
    known = [b for b in blocks if b is not None]
    total = Buffers(**{f.name: sum(getattr(b, f.name) for b in known) for f in fields(Buffers)}) if known else None
    trigger_ms, inside = _triggers(plan, inclusive, self_ms)
    if inside:
        self_ms = [t - inside.get(i, 0.0) if t is not None else None for i, t in enumerate(self_ms)]
    own = sum(t for t in self_ms if t is not None)
    serialization = plan.serialization_ms
    other = max(0.0, execution - own - trigger_ms - serialization) if execution is not None and timed else 0.0
    shares = _shares(plan, self_ms, blocks, execution)
    measures = tuple(
        Measure(
            rows=_rows(plan, node),
            removed=_removed(node),
            estimated_rows=_estimated(plan, node, processes),
            inclusive_ms=inclusive[node.number],
            self_ms=self_ms[node.number],
            self_blocks=blocks[node.number],
            share=shares[node.number],
        )
        for node in plan.nodes
    )
    return Analysis(
        plan=plan,
        measures=measures,
        execution_ms=execution,
        trigger_ms=trigger_ms,
        serialization_ms=serialization,
        other_ms=other,
        blocks=total,
    )


def _processes(plan: Plan) -> list[int]:
    """Return for each node how many processes shared its loops: the leader and the workers launched above it.

    An InitPlan runs in the leader alone, wherever it hangs.
    """
    processes: list[int] = []
    for node in plan.nodes:
        above = plan.parent(node)
        if above is None or node.parent_relationship == "InitPlan":
            processes.append(1)
        elif above.node_type in GATHERS:
            # A single-copy Gather leaves the work to its one worker.
            leader = 0 if above.raw.get("Single Copy") and above.workers_launched else 1
            processes.append((above.workers_launched or 0) + leader)
        else:
            processes.append(processes[above.number])
    return processes


def _inclusive_ms(node: Node, processes: int) -> float | None:
    if node.total_ms_per_loop is None or node.loops is None:
        return 0.0 if node.never_executed else None
    return node.total_ms_per_loop * node.loops / processes


def _lift(
    plan: Plan, inclusive: list[float | None], payers: Sequence[tuple[int, ...]], processes: Sequence[int]
) -> None:
    """Raise times to what their children took, as far as rounding explains the gap.

    Times are averages to a thousandth of a millisecond: a Memoize of 20,000 loops that prints 0.000 took up to 10 ms.
    """
    for node in reversed(plan.nodes):
        own = inclusive[node.number]
        if own is None or not node.loops or node.loops <= 1:
            continue
        below = sum(inclusive[c] or 0.0 for c in node.children if payers[c] == (node.number,))
        if below > own:
            inclusive[node.number] = min(below, own + 0.0005 * node.loops / processes[node.number])


def _payers(plan: Plan, inclusive: Sequence[float | None]) -> list[tuple[int, ...]]:
    """Return for each node the nodes whose time holds its time: its parent, but for InitPlans and CTEs.

    A CTE is computed inside its CTE Scans; one that nothing scans (it changes data) runs after the root, inside
    nobody's time. An InitPlan runs inside the first node that uses its value.
    """
    scans: dict[str, list[Node]] = {}
    for node in plan.nodes:
        if node.node_type == "CTE Scan" and "CTE Name" in node.raw:
            scans.setdefault(str(node.raw["CTE Name"]), []).append(node)
    payers: list[tuple[int, ...]] = []
    for node in plan.nodes:
        if node.parent is None:
            payers.append(())
        elif node.parent_relationship != "InitPlan":
            payers.append((node.parent,))
        elif node.cte is not None:
            payers.append(tuple(s.number for s in _scans_of(plan, node, scans.get(node.cte, []))))
        else:
            payers.append((_first_user(plan, node, inclusive),))
    return payers


def _scans_of(plan: Plan, cte: Node, scans: Sequence[Node]) -> list[Node]:
    """Return the scans of this very CTE: the innermost one of that name whose owner encloses the scan.

    Scans inside the CTE itself belong to an outer one of the same name.
    """
    assert cte.parent is not None
    owner = plan.nodes[cte.parent]
    found = []
    for scan in scans:
        if cte.number <= scan.number < cte.end or not owner.number <= scan.number < owner.end:
            continue
        if not any(
            n.cte == cte.cte
            and n.parent is not None
            and n.parent > owner.number
            and n.parent <= scan.number < plan.nodes[n.parent].end
            and not n.number <= scan.number < n.end
            for n in plan.subtree(owner)
        ):
            found.append(scan)
    return found


def _first_user(plan: Plan, init: Node, inclusive: Sequence[float | None]) -> int:
    """Return the node that waited for an InitPlan: one that mentions its value and took at least as long."""
    assert init.parent is not None
    name = init.subplan_name or ""
    if returns := _RETURNS.search(name):
        words = [re.escape(word) for word in returns.group(1).replace(",", " ").split()]
    else:
        words = [re.escape(name)]
    if not words or not name:
        return init.parent
    mention = re.compile(rf"(?<![\w$])(?:{'|'.join(words)})(?![\w])")
    owner = plan.nodes[init.parent]
    needed = inclusive[init.number] or 0.0
    users = [
        n
        for n in plan.subtree(owner)
        if not init.number <= n.number < init.end and not n.never_executed and _mentions(n.raw, mention)
    ]
    able = [n for n in users if (inclusive[n.number] or 0.0) >= needed and _covers(n, init)]
    return able[0].number if able else owner.number


def _covers(node: Node, init: Node) -> bool:
    own, below = node.buffers, init.buffers
    return own is None or below is None or own.accessed >= below.accessed


def _mentions(raw: Mapping[str, object], pattern: re.Pattern[str]) -> bool:
    for key, value in raw.items():
        if key in ("Output", "Subplan Name"):
            continue
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and pattern.search(text) for text in texts):
            return True
    # The select list is computed last: it counts only where no condition needs the value.
    output = raw.get("Output", [])
    return isinstance(output, list) and any(isinstance(text, str) and pattern.search(text) for text in output)


def _settle(plan: Plan, inclusive: Sequence[float], payers: Sequence[tuple[int, ...]]) -> list[float]:
    """Return every node's own part of ``inclusive``: what is left after paying for those it waited for.

    Averages are rounded and clocks differ between processes, so that those below may ask for more than there is; then
    they get their proportion of what there is. So no part is negative and the parts of all add up to the tops.
    """
    charged: list[list[tuple[int, float]]] = [[] for _ in plan.nodes]
    open_payers = [len(who) for who in payers]
    granted = [0.0] * len(plan.nodes)
    for number, who in enumerate(payers):
        weights = [inclusive[p] for p in who]
        total = sum(weights)
        for payer, weight in zip(who, weights, strict=True):
            part = weight / total if total > 0 else 1 / len(who)
            charged[payer].append((number, inclusive[number] * part))
    ready = [number for number, waits in enumerate(open_payers) if waits == 0]
    for number in ready:
        granted[number] = inclusive[number]
    own = [0.0] * len(plan.nodes)
    while ready:
        number = ready.pop()
        asked = sum(amount for _, amount in charged[number])
        scale = 1.0 if asked <= granted[number] else granted[number] / asked
        own[number] = max(0.0, granted[number] - asked)
        for below, amount in charged[number]:
            granted[below] += amount * scale
            open_payers[below] -= 1
            if open_payers[below] == 0:
                ready.append(below)
    return own


def _self_blocks(plan: Plan, payers: Sequence[tuple[int, ...]]) -> list[Buffers | None]:
    """Return the blocks of each node alone: :func:`_settle` for each counter, kept whole."""
    inclusive = [node.buffers for node in plan.nodes]
    if inclusive[0] is None:
        return [None] * len(plan.nodes)
    own: list[dict[str, int]] = [{} for _ in plan.nodes]
    for counter in fields(Buffers):
        counts = [float(getattr(b, counter.name)) if b is not None else 0.0 for b in inclusive]
        if not any(counts):
            continue
        for number, amount in enumerate(_whole(_settle(plan, counts, payers))):
            own[number][counter.name] = amount
    return [Buffers(**counts) for counts in own]


def _whole(parts: Sequence[float]) -> list[int]:
    """Round the parts so that their sum stays what it is: those with the largest remainder go up."""
    floors = [int(part + 1e-6) for part in parts]
    missing = round(sum(parts)) - sum(floors)
    if missing > 0:
        by_remainder = sorted(range(len(parts)), key=lambda i: floors[i] - parts[i])
        for number in by_remainder[:missing]:
            floors[number] += 1
    return floors


def _triggers(
    plan: Plan, inclusive: Sequence[float | None], self_ms: Sequence[float | None]
) -> tuple[float, dict[int, float]]:
    """Return the triggers' time outside of nodes, and by node what BEFORE triggers took inside.

    AFTER triggers run once the root is done, BEFORE triggers inside ModifyTable; the server prints both alike. Those of
    constraints are always AFTER; of the others, what does not fit into the time after the root was inside.
    """
    if not plan.triggers or not plan.is_timed:
        return 0.0, {}
    times = [(("Constraint Name" in t), float(t.get("Time", 0)), str(t.get("Relation", ""))) for t in plan.triggers]
    tops = (inclusive[0] or 0.0) + sum(
        inclusive[n.number] or 0.0
        for n in plan.nodes
        if n.cte is not None
        and n.node_type == "ModifyTable"
        and not any(s.raw.get("CTE Name") == n.cte for s in plan.nodes)
    )
    room = max(0.0, (plan.execution_ms or 0.0) - tops)
    outside = 0.0
    inside: dict[int, float] = {}
    modifying = [n for n in plan.nodes if n.node_type == "ModifyTable"]
    for constraint, time, relation in sorted(times, key=lambda t: not t[0]):
        if constraint or outside + time <= room or not modifying:
            outside += time
            continue
        named = [n for n in modifying if not relation or n.raw.get("Relation Name") == relation] or modifying
        node = named[0].number
        inside[node] = min(inside.get(node, 0.0) + time, self_ms[node] or 0.0)
    return outside + sum(inside.values()), inside


def _shares(
    plan: Plan, self_ms: Sequence[float | None], blocks: Sequence[Buffers | None], execution: float | None
) -> list[float]:
    if plan.is_timed and execution:
        whole = max(execution, sum(t for t in self_ms if t is not None))
        return [(t or 0.0) / whole for t in self_ms]
    if plan.is_analyzed and blocks[0] is not None:
        total = sum(b.accessed for b in blocks if b is not None)
        return [b.accessed / total if b is not None and total else 0.0 for b in blocks]
    # Costs of the inner side of a loop are per loop, so this is only a guide.
    total_cost = plan.root.total_cost
    own = [
        max(0.0, n.total_cost - sum(c.total_cost for c in plan.children(n) if c.parent_relationship != "InitPlan"))
        for n in plan.nodes
    ]
    whole = max(total_cost, sum(own))
    return [cost / whole if whole else 0.0 for cost in own]


def _rows(plan: Plan, node: Node) -> Count | None:
    """Return all rows that the node returned, with the error that rounding left."""
    if node.loops is None or node.rows_per_loop is None:
        return None
    printed = _total(node.rows_per_loop, node.loops, _grain(node.raw["Actual Rows"]))
    above = plan.parent(node)
    if printed.is_exact or above is None or above.node_type != "Nested Loop" or node.parent_relationship != "Inner":
        return printed
    # Each inner row that meets no further condition is one row of an inner join: the parent counted them.
    if above.raw.get("Join Type") != "Inner" or "Join Filter" in above.raw or above.filter is not None:
        return printed
    if above.loops is None or above.rows_per_loop is None:
        return printed
    joined = _total(above.rows_per_loop, above.loops, _grain(above.raw["Actual Rows"]))
    agrees = abs(joined.value - printed.value) <= printed.error + joined.error
    return joined if agrees and joined.error < printed.error else printed


def _removed(node: Node) -> Count | None:
    """Return all rows that the node's conditions dropped; printed as whole averages by every version."""
    if node.loops is None:
        return None
    total = Count(0.0)
    for key in ("Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck"):
        if key in node.raw:
            total += _total(node.number_of(key), node.loops, _grain(node.raw[key]))
    return total


def _grain(printed: object) -> float:
    """Return the step to which an average was rounded: hundredths from 18 on, whole numbers before."""
    return 0.01 if isinstance(printed, float) else 1.0


def _total(average: float, loops: float, grain: float) -> Count:
    return Count(average * loops, 0.0 if loops <= 1 else grain / 2 * loops)


def _estimated(plan: Plan, node: Node, processes: Sequence[int]) -> float:
    """Return the planner's figure for all loops, comparable to the rows that were returned.

    In a partial plan the planner divides rows by its expected number of processes, in which the leader counts for
    less the more workers there are (costsize.c, get_parallel_divisor).
    """
    loops = node.loops if node.loops is not None else 1.0
    if processes[node.number] <= 1:
        return node.plan_rows * loops
    gather = next((a for a in plan.ancestors(node) if a.node_type in GATHERS), None)
    if gather is None or not _is_partial(plan, node):
        return node.plan_rows * loops
    planned = int(gather.number_of("Workers Planned"))
    divisor = planned + max(0.0, 1 - 0.3 * planned)
    return node.plan_rows * divisor * (gather.loops or 0.0)


def _is_partial(plan: Plan, node: Node) -> bool:
    """Return whether each process sees only its part of the rows: a parallel-aware scan feeds the node."""
    current: Node | None = node
    while current is not None:
        if current.parallel_aware:
            return True
        current = plan.child(current, "Outer") or plan.child(current, "Member") or plan.child(current, "Subquery")
    return False

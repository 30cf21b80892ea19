"""The choice of indexes as an integer programme, solved by HiGHS with a proof of how good the answer is.

Variables: x_i, whether index i is there, and z_qk, whether question q is answered by its combination k of indexes.

    minimise    sum of weight_q · cost_qk · z_qk  +  sum of maintenance_i · x_i
    such that   sum over k of z_qk = 1                    for each question
                sum of z_qk over the k that use i <= x_i  for each question and index
                sum of bytes_i · x_i <= budget            over new indexes
                sum of x_i <= a number                    over new indexes, and over those of each table

For given x the best z is whole by itself, so only x is declared integer (Papadomanolakis and Ailamaki, An Integer
Linear Programming Approach to Database Design, 2007; CoPhy, PVLDB 2011, has the same form).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from dbtune.index.graph import EMPTY, Node, bits, contains, members

if TYPE_CHECKING:
    from dbtune.index.solver import Matrix

SECONDS = 60.0
"""How long one programme may take before its best answer so far is taken."""

_SCALE = 1e6
_TIE = 1e-6
_SLACK = 1e-6


class Status(StrEnum):
    """How a programme ended."""

    OPTIMAL = "optimal"
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"
    INFEASIBLE = "infeasible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An index to choose or leave. ``maintenance`` is what keeping it up to date costs the workload.

    ``text`` tells it from others whatever its id: equally good sets are told apart by it.
    """

    id: int
    bytes: int
    table: tuple[str, str]
    text: str
    maintenance: float = 0.0
    exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a chosen set must keep to. ``bytes`` and ``indexes`` count new indexes, and so does ``per_table``.

    With ``net`` the bytes of dropped indexes are credited. ``protected`` indexes stay or are made, ``forbidden`` ones
    are not made, or dropped. No question may cost more than ``slowdown`` times what it costs now.
    """

    bytes: int | None = None
    indexes: int | None = None
    per_table: int | None = None
    net: bool = False
    protected: frozenset[int] = frozenset()
    forbidden: frozenset[int] = frozenset()
    slowdown: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A question: its combinations, the first being what it costs with no index at all or better.

    ``now`` is what one execution costs as the server is. ``denied`` are pairs of sets: a combination that the planner
    did not take, though it could, where the other indexes were live too.
    """

    name: str
    weight: float
    now: float
    combinations: Sequence[Node]
    denied: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The chosen set of indexes, what it costs, and the proof: no set of these combinations is below ``bound``."""

    status: Status
    chosen: int = EMPTY
    objective: float = 0.0
    bound: float = 0.0

    @property
    def gap(self) -> float:
        """The part of the objective that could at most be saved."""
        return max(0.0, (self.objective - self.bound) / self.objective) if self.objective > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """The programme without the demand for whole numbers, and what its limits are worth.

    ``ceilings`` are by question, for one execution: a combination is of use only if its cost and the prices of its
    indexes (``paid``, by question and index) are below. ``spare`` is by index the part of its whole price that no
    question pays. ``byte_price`` is what a byte more of budget would save.
    """

    objective: float
    ceilings: Mapping[str, float]
    paid: Mapping[str, Mapping[int, float]]
    spare: Mapping[int, float]
    byte_price: float


class Programme:
    """The programme of some questions and indexes within limits."""

    def __init__(self, parts: Sequence[Part], items: Sequence[Item], limits: Limits) -> None:
        self.limits = limits
        self.items = {
            item.id: item
            for item in sorted(items, key=lambda item: (item.exists, item.text, item.id))
            if self._may_be_there(item)
        }
        self._there = bits(self.items)
        self.parts = sorted(parts, key=lambda part: part.name)
        self._x: dict[int, int] = {}
        self._uses: dict[tuple[str, int], int] = {}
        self._ones: dict[str, int] = {}
        self._bytes_row: int | None = None
        total = sum(part.weight * max(n.cost for n in part.combinations) for part in self.parts)
        self._unit = (total or 1.0) / _SCALE
        self._ties = self._weigh_ties()
        self._byte_unit = 1.0
        self._matrix = self._build()

    def allowed(self, part: Part) -> list[Node]:
        """Return the combinations that a question may be given."""
        most = float("inf") if self.limits.slowdown is None else max(1.0, self.limits.slowdown) * part.now
        return [n for n in part.combinations if contains(self._there, n.used) and n.cost <= most * (1 + _SLACK)]

    def objective(self, chosen: int) -> float:
        """Return what the workload costs with exactly these indexes, writes included."""
        return sum(part.weight * self.answer(part, chosen).cost for part in self.parts) + sum(
            self.items[each].maintenance for each in members(chosen)
        )

    def answer(self, part: Part, chosen: int) -> Node:
        """Return the combination that a question gets where exactly these indexes are chosen."""
        denied = {combination for combination, others in part.denied if contains(chosen, others)}
        possible = [n for n in part.combinations if contains(chosen, n.used) and n.used not in denied]
        return min(possible or part.combinations[-1:], key=lambda node: (node.cost, node.used))

    def bytes(self, chosen: int) -> int:
        """Return what counts against the budget."""
        new = sum(self.items[each].bytes for each in members(chosen) if not self.items[each].exists)
        if not self.limits.net:
            return new
        return new - sum(item.bytes for item in self.items.values() if item.exists and not chosen >> item.id & 1)

    def relax(self) -> Relaxation | None:
        """Solve it with parts of indexes allowed; None where even so nothing keeps to the limits."""
        from dbtune.index.solver import solve_relaxed

        answer = solve_relaxed(self._matrix)
        if not answer.optimal:
            return None
        unit = self._unit
        weights = {part.name: part.weight for part in self.parts}
        paid: dict[str, dict[int, float]] = {part.name: {} for part in self.parts}
        for (name, each), row in self._uses.items():
            paid[name][each] = max(0.0, -answer.row_dual[row]) * unit / weights[name]
        per_byte = 0.0 if self._bytes_row is None else max(0.0, -answer.row_dual[self._bytes_row])
        return Relaxation(
            objective=answer.objective * unit,
            ceilings={name: answer.row_dual[row] * unit / weights[name] for name, row in self._ones.items()},
            paid=paid,
            spare={each: max(0.0, answer.reduced[column]) * unit for each, column in self._x.items()},
            byte_price=per_byte * unit / self._byte_unit,
        )

    def solve(self, seconds: float = SECONDS, gap: float = 0.0) -> Solution:
        """Solve it. Where two sets cost the same, the one of fewer indexes is taken, then of fewer bytes.

        A relative ``gap`` is left where that will do: the last bit of the proof takes longer than all before it.
        """
        from dbtune.index.solver import solve

        limits = self.limits
        answer = solve(self._matrix, seconds, gap)
        if not answer.values:
            return Solution(status=Status.INTERRUPTED if answer.interrupted else Status.INFEASIBLE)
        chosen = self._tidied(bits(each for each, column in self._x.items() if answer.values[column] > 0.5))
        if limits.bytes is not None and (excess := self.bytes(chosen) - limits.bytes) > 0:
            # HiGHS takes a sum that is over by a billionth for one that is not
            smaller = Programme(self.parts, list(self.items.values()), replace(limits, bytes=limits.bytes - excess))
            return smaller.solve(seconds, gap)
        objective = self.objective(chosen)
        # what decides between equals is part of what was solved, and not of what was asked
        bound = objective if answer.optimal and gap == 0 else (answer.bound - sum(self._ties.values())) * self._unit
        status = Status.OPTIMAL if answer.optimal else Status.INTERRUPTED if answer.interrupted else Status.TIME_LIMIT
        return Solution(status=status, chosen=chosen, objective=objective, bound=max(0.0, min(objective, bound)))

    def _tidied(self, chosen: int) -> int:
        """Return the set without new indexes that no question uses."""
        used = bits(self.limits.protected) | bits(item.id for item in self.items.values() if item.exists)
        for part in self.parts:
            used |= self.answer(part, chosen).used
        return chosen & used

    def _may_be_there(self, item: Item) -> bool:
        limits = self.limits
        if item.id in limits.protected:
            return True
        if item.exists:
            return item.id not in limits.forbidden
        too_big = limits.bytes is not None and not limits.net and item.bytes > limits.bytes
        return item.id not in limits.forbidden and not too_big

    def _weigh_ties(self) -> dict[int, float]:
        """Return what decides between equals: a new index costs a little, a large one more; an old one is kept."""
        count = max(1, len(self.items))
        largest = max((item.bytes for item in self.items.values()), default=0) or 1
        each = _TIE * _SCALE / count
        return {
            item.id: -0.01 * each if item.exists else each * (1 + 0.1 * item.bytes / largest + 0.001 * rank / count)
            for rank, item in enumerate(self.items.values())
        }

    def _build(self) -> Matrix:
        from dbtune.index.solver import Matrix

        matrix = Matrix(whole=len(self.items))
        limits = self.limits
        for item in self.items.values():
            stays = item.exists and not item.maintenance and not limits.net
            least = 1.0 if stays or item.id in limits.protected else 0.0
            self._x[item.id] = matrix.column(item.maintenance / self._unit + self._ties[item.id], lower=least)
        for part in self.parts:
            self._build_part(matrix, part)
        new = [item for item in self.items.values() if not item.exists]
        if limits.bytes is not None:
            counted = list(self.items.values()) if limits.net else new
            room = limits.bytes + sum(item.bytes for item in counted if item.exists)
            self._byte_unit = max(1.0, float(room))
            entries = [(self._x[item.id], item.bytes / self._byte_unit) for item in counted if item.bytes]
            self._bytes_row = matrix.row(entries, room / self._byte_unit)
        if limits.indexes is not None:
            matrix.row([(self._x[item.id], 1.0) for item in new], float(limits.indexes))
        if limits.per_table is not None:
            for table in sorted({item.table for item in new}):
                of_table = [(self._x[item.id], 1.0) for item in new if item.table == table]
                matrix.row(of_table, float(limits.per_table))
        return matrix

    def _build_part(self, matrix: Matrix, part: Part) -> None:
        uses: dict[int, list[tuple[int, float]]] = {}
        ones: list[tuple[int, float]] = []
        for node in self.allowed(part):
            column = matrix.column(part.weight * node.cost / self._unit, upper=float("inf"))
            ones.append((column, 1.0))
            for each in members(node.used):
                uses.setdefault(each, []).append((column, 1.0))
            for combination, others in part.denied:
                if combination == node.used and contains(self._there, others):
                    extra = [(self._x[each], 1.0) for each in members(others & ~combination)]
                    matrix.row([(column, 1.0), *extra], float(len(extra)))
        self._ones[part.name] = matrix.row(ones, 1.0, 1.0)
        for each, entries in sorted(uses.items()):
            self._uses[part.name, each] = matrix.row([*entries, (self._x[each], -1.0)], 0.0)

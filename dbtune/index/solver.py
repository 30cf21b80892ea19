"""Linear and integer programmes, handed to HiGHS (Huangfu and Hall, 2018): silent, single-threaded, always the same.

Import it where it is used: HiGHS and NumPy take a quarter of a second to load.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Thread

import highspy
import numpy as np

_FEASIBLE = 2  # HiGHS' kSolutionStatusFeasible
_LARGE = 3000  # variables; below, presolving again and again takes longer than it saves


@dataclass(slots=True)
class Matrix:
    """A programme to minimise, by rows. The first ``whole`` columns take whole numbers."""

    cost: list[float] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    row_lower: list[float] = field(default_factory=list)
    row_upper: list[float] = field(default_factory=list)
    start: list[int] = field(default_factory=lambda: [0])
    index: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    whole: int = 0

    def column(self, cost: float, *, lower: float = 0.0, upper: float = 1.0) -> int:
        """Add a variable; return its number."""
        self.cost.append(cost)
        self.lower.append(lower)
        self.upper.append(upper)
        return len(self.cost) - 1

    def row(self, entries: list[tuple[int, float]], upper: float, lower: float = float("-inf")) -> int:
        """Add a constraint on the sum of (variable, factor); return its number."""
        self.index.extend(column for column, _ in entries)
        self.value.extend(value for _, value in entries)
        self.start.append(len(self.index))
        self.row_lower.append(lower)
        self.row_upper.append(upper)
        return len(self.row_upper) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What HiGHS found: ``values`` of variables, none where there is no solution yet, ``bound`` of all solutions.

    ``row_dual`` and ``reduced`` (by variable) are those of a linear programme.
    """

    optimal: bool
    interrupted: bool = False
    objective: float = 0.0
    bound: float = 0.0
    values: tuple[float, ...] = ()
    row_dual: tuple[float, ...] = ()
    reduced: tuple[float, ...] = ()


def solve_relaxed(matrix: Matrix) -> Answer:
    """Solve it with all variables real."""
    solver = _solver(matrix, whole=False)
    solver.run()
    if not _is_optimal(solver):
        return Answer(optimal=False)
    solution = solver.getSolution()
    objective = float(solver.getInfo().objective_function_value)
    return Answer(
        optimal=True,
        objective=objective,
        bound=objective,
        values=tuple(solution.col_value),
        row_dual=tuple(solution.row_dual),
        reduced=tuple(solution.col_dual),
    )


def solve(matrix: Matrix, seconds: float, gap: float = 0.0) -> Answer:
    """Solve it within so many seconds, to within a relative ``gap``. Ctrl-C ends it with the best solution so far."""
    solver = _solver(matrix, whole=True)
    solver.setOptionValue("mip_rel_gap", gap)
    if len(matrix.cost) < _LARGE:
        solver.setOptionValue("presolve", "off")
    solver.setOptionValue("time_limit", seconds)
    solver.HandleUserInterrupt = True
    # a thread of our own: highspy's holds a lock of all solvers, which Ctrl-C at the wrong moment leaves taken
    thread = Thread(target=_run, args=(solver,), daemon=True)
    interrupted = False
    try:
        thread.start()
    except KeyboardInterrupt:
        interrupted = True
        solver.cancelSolve()  # type: ignore[no-untyped-call]
    while thread.is_alive():
        try:
            thread.join(0.1)
        except KeyboardInterrupt:
            interrupted = True
            solver.cancelSolve()  # type: ignore[no-untyped-call]
    info = solver.getInfo()
    found = info.primal_solution_status == _FEASIBLE
    return Answer(
        optimal=_is_optimal(solver),
        interrupted=interrupted,
        objective=float(info.objective_function_value) if found else 0.0,
        bound=float(info.mip_dual_bound),
        values=tuple(solver.getSolution().col_value) if found else (),
    )


def _run(solver: _Silent) -> None:
    solver.run()
    solver.resetThreadScheduler(False)  # the scheduler is the thread's, and the thread ends


class _Silent(highspy.Highs):
    """Newer versions greet on standard output as soon as one is made, before they can be told not to."""

    def enableCallbacks(self) -> None:  # noqa: N802
        self.silent()
        super().enableCallbacks()  # type: ignore[no-untyped-call]


def _solver(matrix: Matrix, *, whole: bool) -> _Silent:
    model = highspy.HighsLp()
    model.num_col_ = len(matrix.cost)
    model.num_row_ = len(matrix.row_upper)
    model.col_cost_ = np.array(matrix.cost, dtype=np.double)
    model.col_lower_ = np.array(matrix.lower, dtype=np.double)
    model.col_upper_ = np.array(matrix.upper, dtype=np.double)
    model.row_lower_ = np.array(matrix.row_lower, dtype=np.double)
    model.row_upper_ = np.array(matrix.row_upper, dtype=np.double)
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_ = np.array(matrix.start, dtype=np.int32)
    model.a_matrix_.index_ = np.array(matrix.index, dtype=np.int32)
    model.a_matrix_.value_ = np.array(matrix.value, dtype=np.double)
    if whole:
        kinds = highspy.HighsVarType
        rest = len(matrix.cost) - matrix.whole
        model.integrality_ = [kinds.kInteger] * matrix.whole + [kinds.kContinuous] * rest
    solver = _Silent()  # type: ignore[no-untyped-call]
    solver.silent()
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("random_seed", 0)
    solver.setOptionValue("mip_rel_gap", 0.0)
    solver.setOptionValue("mip_abs_gap", 1e-6)
    solver.setOptionValue("primal_feasibility_tolerance", 1e-9)
    solver.setOptionValue("mip_feasibility_tolerance", 1e-9)
    solver.passModel(model)
    return solver


def _is_optimal(solver: _Silent) -> bool:
    return bool(solver.getModelStatus() == highspy.HighsModelStatus.kOptimal)

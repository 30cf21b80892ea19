"""The best set of indexes for a workload, for several budgets at once, from few questions to the planner.

1. Each question is planned without any index and with all, and roughly explored (:mod:`dbtune.index.exploration`).
2. The programme (:mod:`dbtune.index.programme`) is solved with parts of indexes allowed. That tells what a byte of
   budget is worth and which part of an index each question would pay. At these prices each question's graph is searched
   for a cheaper plan; what is found enters the programme, until nothing is found or the planner was asked enough.
   (Column generation; where it ends by itself, the programme's value bounds every subset of the candidates.)
3. The programme is solved in whole numbers, the workload planned with the chosen set, and each chosen index left out
   once, with all that may stand in for it; what that shows enters the programme, until what it predicts is planned.

All budgets share the graphs (:mod:`dbtune.index.search`). Nothing here depends on chance, on the order of candidates,
or on how many workers ask.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from dbtune.index import frontier as frontiers
from dbtune.index.exploration import MakeWhatIf
from dbtune.index.frontier import Step
from dbtune.index.graph import Graph, members
from dbtune.index.programme import Limits, Programme, Solution, Status
from dbtune.index.search import Effort, Search, Workers
from dbtune.index.whatif.protocol import Question, WhatIf

_ROUGHLY = 1e-4  # the gap to which programmes are solved while indexes that earn nothing are still left out
_NO_LIMITS = Limits()
_EFFORT = Effort()

Least = Callable[[int, frozenset[int]], float]
"""By an index and all that are chosen: which part of what the workload costs now the index must save."""


def _nothing(index: int, chosen: frozenset[int]) -> float:
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A question as the chosen set leaves it: one execution's cost now, as predicted, and as planned.

    ``used`` are the ids of chosen indexes in its plan. ``planned`` is None where the planner was not asked any more.
    """

    question: Question
    before: float
    predicted: float
    planned: float | None
    used: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The best set within one budget. ``create`` and ``drop`` are ids of indexes; costs are of the whole workload.

    ``objective`` is ``predicted`` and ``maintenance`` together, ``before`` and ``maintenance_before`` the same as the
    server is. ``bound`` is proven over the combinations that were explored: no set of them costs less, and ``gap`` is
    the part of the objective in between. ``floor`` is proven over all subsets of the candidates as far as more indexes
    never make a plan dearer; it is lower, and by how much tells what exploring longer could still find.

    ``saves`` is by created index what the objective would rise without it alone. ``noise`` are indexes that were left
    out because none would save a question as much as :attr:`Effort.noise`. ``byte_price`` is what one more byte of
    budget would save at the most.
    """

    budget: int | None
    status: Status
    create: frozenset[int] = frozenset()
    drop: frozenset[int] = frozenset()
    bytes: int = 0
    before: float = 0.0
    predicted: float = 0.0
    planned: float | None = None
    maintenance_before: float = 0.0
    maintenance: float = 0.0
    bound: float = 0.0
    floor: float = 0.0
    byte_price: float = 0.0
    chosen: tuple[Chosen, ...] = ()
    saves: Mapping[int, float] = field(default_factory=dict)
    noise: frozenset[int] = frozenset()

    @property
    def objective(self) -> float:
        """What was minimised: the workload's cost and that of keeping indexes up to date."""
        return self.predicted + self.maintenance

    @property
    def gap(self) -> float:
        """The part of the objective that no set of the explored combinations could save more."""
        return max(0.0, (self.objective - self.bound) / self.objective) if self.objective > 0 else 0.0

    @property
    def complete(self) -> bool:
        """Whether the search ended by itself."""
        return self.status in (Status.OPTIMAL, Status.INFEASIBLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What :func:`select` found: a selection for each budget, in their order, and what it knows of each question.

    ``calls`` counts questions to the planner. ``unplanned`` are the questions that it refused, with the reason.
    ``frontier`` is the curve of cost over size where one was asked for. ``nearby`` are the indexes to create within
    budgets for which the planner was asked nothing more.
    """

    selections: tuple[Selection, ...]
    graphs: Mapping[str, Graph]
    calls: int
    unplanned: Mapping[str, str]
    frontier: tuple[Step, ...] = ()
    nearby: tuple[frozenset[int], ...] = ()
    interrupted: bool = False


def select(
    whatif: WhatIf,
    questions: Sequence[Question],
    relevant: Mapping[str, Collection[int]],
    budgets: Sequence[int | None],
    *,
    limits: Limits = _NO_LIMITS,
    maintenance: Mapping[int, float] | None = None,
    droppable: Collection[int] = (),
    effort: Effort = _EFFORT,
    frontier: int = 0,
    nearby: Sequence[int] = (),
    least: Least = _nothing,
    executor: Executor | None = None,
    make_whatif: MakeWhatIf | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Selected:
    """Return the best set of indexes for each budget (bytes of new indexes, None for any).

    ``relevant`` has by question the ids of candidates that could help it; existing indexes stay unless they are
    ``droppable``. ``maintenance`` is by id what an index costs the workload's writes. ``frontier`` is how many points
    the curve of cost over size has at most, beside the budgets. ``nearby`` are budgets for which the planner is asked
    nothing more: what would be chosen if sizes, and so budgets, were a little others. ``least`` says which part of the
    workload's cost an index must save to be worth having beside the others that are chosen. With ``executor`` and
    ``make_whatif`` the planner is asked by workers.

    KeyboardInterrupt ends the search, not the answer: that comes back as far as it is.
    """
    workers = Workers(whatif=whatif, executor=executor, make_whatif=make_whatif)
    search = Search(workers, questions, relevant, limits, dict(maintenance or {}), droppable, effort, progress)
    order = sorted(set(budgets), key=lambda budget: float("inf") if budget is None else budget)
    sizes: list[int] = []
    selections: dict[int | None, Selection] = {}
    interrupted = False
    solved: list[frozenset[int]] = []
    try:
        progress("planning the workload without and with all indexes")
        search.survey()
        search.generate(order)
        for budget in order:
            progress(f"choosing within {'any size' if budget is None else f'{budget:,} bytes'}")
            search.settle(budget)
            search.close(budget)
        if frontier:
            progress("drawing the curve of cost over size")
            sizes = [size for size in frontiers.budgets(search, frontier) if size not in order]
            search.generate(sizes)
        for budget in [*order, *sizes]:
            selections[budget] = conclude(search, budget, least)
        solved = [_created(search, budget, selections[order[0]].noise) for budget in nearby]
    except KeyboardInterrupt:
        interrupted = True
        for budget in order:
            if budget not in selections:
                selections[budget] = conclude(search, budget, least, interrupted=True)
    return Selected(
        selections=tuple(selections[budget] for budget in budgets),
        graphs=dict(search.graphs),
        calls=search.calls,
        unplanned={name: graph.reason for name, graph in search.graphs.items() if graph.reason is not None},
        frontier=_curve(list(selections.values())) if frontier else (),
        nearby=tuple(solved),
        interrupted=interrupted,
    )


def _curve(selections: Sequence[Selection]) -> tuple[Step, ...]:
    feasible = [each for each in selections if each.status is not Status.INFEASIBLE]
    nothing = [Step(bytes=0, cost=each.before + each.maintenance_before, create=frozenset()) for each in feasible[:1]]
    steps = [Step(bytes=each.bytes, cost=each.objective, create=each.create, gap=each.gap) for each in feasible]
    return frontiers.curve([*nothing, *steps])


def _created(search: Search, budget: int, noise: frozenset[int]) -> frozenset[int]:
    """Return what would be created within a budget, as far as combinations are known."""
    chosen = search.programme(budget, noise).solve(search.effort.seconds).chosen
    return frozenset(each for each in members(chosen) if not search.items[each].exists)


def conclude(search: Search, budget: int | None, least: Least = _nothing, *, interrupted: bool = False) -> Selection:
    """Choose from what is known, leaving out what earns next to nothing, and plan the workload with what is chosen."""
    noise: frozenset[int] = frozenset()
    floor = search.floors.get(budget, 0.0)
    gap = _ROUGHLY
    while True:
        programme = search.programme(budget, noise)
        solution = programme.solve(search.effort.seconds, gap)
        if solution.status is Status.INFEASIBLE:
            return Selection(budget=budget, status=solution.status, floor=floor)
        if (worthless := _worthless(search, programme, solution.chosen, least)) is not None:
            noise |= {worthless}
            continue
        if gap > 0:
            gap = 0.0
            continue
        if interrupted or not search.may_ask:
            break
        search.widen(solution.chosen)
        if not search.confirm(programme, solution.chosen):
            break
    relaxation = programme.relax()
    byte_price = 0.0 if relaxation is None else relaxation.byte_price
    return _selection(search, budget, programme, solution, floor, noise, byte_price, interrupted=interrupted)


def _worthless(search: Search, programme: Programme, chosen: int, least: Least) -> int | None:
    """Return the created index that is least worth having: it is noise for every question, or saves too little."""
    now = sum(part.weight * part.now for part in programme.parts)
    objective = programme.objective(chosen)
    others = frozenset(members(chosen))
    worst: tuple[float, str, int] | None = None
    for each in members(chosen):
        item = programme.items[each]
        if item.exists or each in search.limits.protected:
            continue
        earned = 0.0
        for part in programme.parts:
            cost = programme.answer(part, chosen).cost
            without = programme.answer(part, chosen & ~(1 << each)).cost
            if without > cost:
                earned = max(earned, (without - cost) / without)
        worth = earned / search.effort.noise if search.effort.noise > 0 else 1.0
        if (wanted := least(each, others) * now) > 0:
            worth = min(worth, (programme.objective(chosen & ~(1 << each)) - objective) / wanted)
        if worth < 1 and (worst is None or (worth, item.text, each) < worst):
            worst = worth, item.text, each
    return None if worst is None else worst[2]


def _selection(
    search: Search,
    budget: int | None,
    programme: Programme,
    solution: Solution,
    floor: float,
    noise: frozenset[int],
    byte_price: float,
    *,
    interrupted: bool,
) -> Selection:
    chosen = solution.chosen
    items = search.items
    outcomes = []
    for part in programme.parts:
        predicted = programme.answer(part, chosen)
        planned = search.graphs[part.name].find(chosen)
        outcomes.append(
            Chosen(
                question=search.questions[part.name],
                before=part.now,
                predicted=predicted.cost,
                planned=None if planned is None else planned.cost,
                used=frozenset(members((planned or predicted).used)),
            )
        )
    created = sorted(each for each in members(chosen) if not items[each].exists)
    plans = [each.planned for each in outcomes]
    return Selection(
        budget=budget,
        status=Status.INTERRUPTED if interrupted else solution.status,
        create=frozenset(created),
        drop=search.droppable - frozenset(members(chosen)),
        bytes=sum(items[each].bytes for each in created),
        before=sum(each.question.weight * each.before for each in outcomes),
        predicted=sum(each.question.weight * each.predicted for each in outcomes),
        planned=None if None in plans else sum(each.question.weight * (each.planned or 0.0) for each in outcomes),
        maintenance_before=search.fixed_maintenance + sum(items[each].maintenance for each in sorted(search.droppable)),
        maintenance=search.fixed_maintenance + sum(items[each].maintenance for each in members(chosen)),
        bound=search.fixed_maintenance + solution.bound,
        floor=search.fixed_maintenance + min(floor, solution.bound),
        byte_price=byte_price,
        chosen=tuple(outcomes),
        saves={each: programme.objective(chosen & ~(1 << each)) - solution.objective for each in created},
        noise=noise,
    )

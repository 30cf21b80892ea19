"""What a search for indexes knows, and how it gets to know more: see :mod:`dbtune.index.selection` for the whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from dbtune.index.exploration import TOLERANCE, MakeWhatIf, Prices, Task, explore_all
from dbtune.index.graph import Graph, bits, contains, members
from dbtune.index.programme import SECONDS, Item, Limits, Part, Programme, Relaxation, Solution, Status
from dbtune.index.whatif.protocol import Known, Question, WhatIf
from dbtune.snapshot.value import BLOCK

NOISE = 0.01
"""An index earns its place where some question would cost this part more without it."""

AGREEMENT = 0.001
"""How far, relatively, what is predicted of a question may be from what is planned."""

_FIRST_NODES = 10
_ROUND_NODES = 16
_ROUNDS = 40
_SETTLING_ROUNDS = 20
_CLOSING_ROUNDS = 4
_CLOSE_ENOUGH = 0.005
_SMALL = 10
_SMALL_NODES = 200
_EXACT = 1e-9
_ROUGHLY = 1e-4
"""Relative gap to which programmes are solved on the way: their answers are asked about, and then solved anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How hard to look. ``calls`` bounds the questions to the planner, ``seconds`` each programme.

    ``closing`` is how often the planner may be asked about one question to prove that nothing better is left; where
    few indexes could help each question, it is asked as often as that takes.
    ``noise`` is which part of some question's cost an index must earn: :data:`NOISE`.
    """

    calls: int = 20_000
    closing: int = 24
    seconds: float = SECONDS
    noise: float = NOISE


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Who asks the planner: ``whatif`` here, or an executor whose processes each raise a server of their own."""

    whatif: WhatIf
    executor: Executor | None = None
    make_whatif: MakeWhatIf | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Relaxed:
    """A programme with its relaxation; ``gains`` are by question, ``excess`` by how much a plan may be too dear."""

    programme: Programme
    relaxation: Relaxation
    gains: Mapping[str, float]
    excess: float = 0.0

    @property
    def budget(self) -> int | None:
        return self.programme.limits.bytes


class Search:
    """The graphs of a workload's questions, and the programmes that follow from them."""

    def __init__(
        self,
        workers: Workers,
        questions: Sequence[Question],
        relevant: Mapping[str, Collection[int]],
        limits: Limits,
        maintenance: Mapping[int, float],
        droppable: Collection[int],
        effort: Effort,
        progress: Callable[[str], None],
    ) -> None:
        known = {each.id: each for each in workers.whatif.known if each.reason is None}
        existing = frozenset(each.id for each in known.values() if each.exists)
        candidates = frozenset(known) - existing
        self.workers = workers
        self.effort = effort
        self.progress = progress
        self.limits = replace(limits, protected=limits.protected & frozenset(known))
        self.droppable = existing & frozenset(droppable) - limits.protected
        self.always = existing - self.droppable
        self.wanted = candidates & frozenset(each for ids in relevant.values() for each in ids) - limits.forbidden
        self.wanted |= candidates & self.limits.protected
        self.items = {each: _item(known[each], maintenance) for each in sorted(self.wanted | self.droppable)}
        self.fixed_maintenance = sum(maintenance.get(each, 0.0) for each in sorted(self.always))
        self.questions = {each.name: each for each in sorted(questions, key=lambda each: each.name) if each.weight > 0}
        self.graphs = {
            name: Graph(name, bits(self.wanted & frozenset(relevant.get(name, ())) | self.droppable))
            for name in self.questions
        }
        self.floors: dict[int | None, float] = {}
        self.denied: dict[str, dict[tuple[int, int], None]] = {name: {} for name in self.questions}

    @property
    def calls(self) -> int:
        """How often the planner was asked."""
        return sum(graph.calls for graph in self.graphs.values())

    @property
    def now(self) -> int:
        """The indexes of choice that the server has."""
        return bits(self.droppable)

    @property
    def may_ask(self) -> bool:
        """Whether there are questions left to the planner."""
        return self.calls < self.effort.calls

    def parts(self) -> list[Part]:
        """Return the questions that can be planned, as a programme takes them."""
        return [
            Part(
                name=name,
                weight=self.questions[name].weight,
                now=(graph.find(self.now) or graph.best(self.now)).cost,
                combinations=graph.combinations(),
                denied=tuple(self.denied[name]),
            )
            for name, graph in self.graphs.items()
            if graph.nodes
        ]

    def programme(self, budget: int | None, forbidden: frozenset[int] = frozenset()) -> Programme:
        """Return the programme for a budget, as far as combinations are known."""
        limits = replace(self.limits, bytes=budget, forbidden=self.limits.forbidden | forbidden)
        return Programme(self.parts(), list(self.items.values()), limits)

    def survey(self) -> None:
        """Plan each question without any index, with all, with those of now, and explore it roughly."""
        tasks = []
        for name, graph in self.graphs.items():
            new = [each for each in members(graph.relevant) if not self.items[each].exists]
            sizes = {each: float(self.items[each].bytes) for each in new}
            tasks.append(replace(self._task(name, sets=[self.now]), sizes=sizes, nodes=_FIRST_NODES))
        self._ask(tasks)

    def generate(self, budgets: Sequence[int | None]) -> None:
        """Look for plans that improve the relaxed programmes, until none does by more than a little."""
        still = list(budgets)
        for number in range(1, _ROUNDS + 1):
            searches = [found for budget in still if (found := self._relaxed(self.programme(budget))) is not None]
            calls = self.calls
            bounds = self._search(searches, _ROUND_NODES)
            self.progress(f"round {number}: the planner was asked {self.calls:,} times")
            still = [
                search.budget
                for search, bound in zip(searches, bounds, strict=True)
                if search.relaxation.objective - bound > 2 * TOLERANCE * search.relaxation.objective
            ]
            if not still or self.calls == calls or not self.may_ask:
                return

    def close(self, budget: int | None) -> None:
        """Look for every plan that a better choice in whole numbers could use, and prove what none can be below.

        Where the programme costs so much more than its bound, a plan that costs, at the relaxed programme's prices, its
        question more than that beyond the bound is in no better choice. If all others are found, the programme has all
        that it needs, and is the proof of itself.
        """
        for _ in range(_CLOSING_ROUNDS):
            programme = self.programme(budget)
            solution = programme.solve(self.effort.seconds, self._gap)
            if solution.status is not Status.OPTIMAL or (search := self._relaxed(programme)) is None:
                return
            (bound,) = self._search([search], _ROUND_NODES)
            self.floors[budget] = max(self.floors.get(budget, 0.0), bound)
            enough = _EXACT if self._is_small else _CLOSE_ENOUGH
            if solution.objective - self.floors[budget] <= enough * solution.objective or not self.may_ask:
                return
            calls = self.calls
            search = replace(search, excess=solution.objective - bound)
            (all_found,) = self._search([search], _SMALL_NODES if self._is_small else self.effort.closing, every=True)
            if all_found >= solution.objective and self._solve(budget).objective >= solution.objective:
                self.floors[budget] = solution.objective
            if self.calls == calls:
                return

    def settle(self, budget: int | None) -> None:
        """Find out about the sets that the programme chooses in whole numbers, until they hold what it predicts.

        The workload is planned with the chosen set, and with its neighbours, until neither shows anything better; then
        once more with every chosen index live for every question that reads its table.
        """
        seen: set[int] = set()
        for _ in range(_SETTLING_ROUNDS):
            programme = self.programme(budget)
            solution = programme.solve(self.effort.seconds, self._gap)
            if solution.status in (Status.INFEASIBLE, Status.INTERRUPTED) or not self.may_ask:
                return
            if self.confirm(programme, solution.chosen):
                continue
            if solution.chosen not in seen:
                seen.add(solution.chosen)
                if self._plan(self._neighbours(programme, solution.chosen, budget)):
                    continue
            if not self.widen(solution.chosen):
                return

    @property
    def _gap(self) -> float:
        return 0.0 if self._is_small else _ROUGHLY

    @property
    def _is_small(self) -> bool:
        """Whether all sets of the indexes that could help a question may as well be looked at."""
        return all(graph.relevant.bit_count() <= _SMALL for graph in self.graphs.values())

    def _solve(self, budget: int | None) -> Solution:
        return self.programme(budget).solve(self.effort.seconds)

    def widen(self, chosen: int) -> bool:
        """Take chosen indexes for relevant to each question that reads their tables, whether or not they were thought
        to help it; return whether that is news to any."""
        news = False
        for graph in self.graphs.values():
            tables = graph.relations | {self.items[each].table for each in members(graph.relevant)}
            relevant = graph.relevant | bits(each for each in members(chosen) if self.items[each].table in tables)
            news |= relevant != graph.relevant
            graph.relevant = relevant
        return news

    def confirm(self, programme: Programme, chosen: int) -> bool:
        """Plan the workload with the chosen set; return whether that showed another cost than was predicted."""
        self._plan({part.name: [chosen] for part in programme.parts})
        surprised = False
        for part in programme.parts:
            planned = self.graphs[part.name].find(chosen)
            predicted = programme.answer(part, chosen)
            if planned is None or abs(planned.cost - predicted.cost) <= AGREEMENT * predicted.cost:
                continue
            if planned.cost < predicted.cost:
                # a plan that the programme did not have yet
                surprised |= all(node.used != planned.used or node.cost > planned.cost for node in part.combinations)
                continue
            denied = self.denied[part.name]
            for node in part.combinations:
                # a cheaper plan was possible, and not taken: not even where more indexes are there
                pair = (node.used, planned.used | node.used)
                if contains(chosen, node.used) and node.cost * (1 + AGREEMENT) < planned.cost and pair not in denied:
                    denied[pair] = None
                    surprised = True
        return surprised

    def _ask(self, tasks: Sequence[Task]) -> list[tuple[float, ...]]:
        """Have tasks done; return the bounds that each one proved."""
        workers = self.workers
        done = explore_all(tasks, workers.whatif, executor=workers.executor, make_whatif=workers.make_whatif)
        for explored in done:
            self.graphs[explored.graph.question] = explored.graph
        return [explored.bounds for explored in done]

    def _task(self, name: str, *, sets: Sequence[int] = (), prices: Sequence[Prices] = ()) -> Task:
        return Task(
            question=self.questions[name],
            graph=self.graphs[name],
            always=self.always,
            sets=tuple(dict.fromkeys(sets)),
            prices=tuple(prices),
        )

    def _plan(self, sets: Mapping[str, Sequence[int]]) -> bool:
        """Plan questions with those sets that are not known yet; return whether there were any."""
        tasks = []
        for name, wanted in sets.items():
            graph = self.graphs[name]
            if new := [live & graph.relevant for live in wanted if graph.find(live) is None]:
                tasks.append(self._task(name, sets=new))
        self._ask(tasks)
        return bool(tasks)

    def _relaxed(self, programme: Programme) -> _Relaxed | None:
        """Return the relaxed programme and what each question could gain, None where it has no solution."""
        if (relaxation := programme.relax()) is None:
            return None
        gains = {}
        for part in programme.parts:
            least = min(node.cost for node in self.graphs[part.name].nodes)
            gains[part.name] = max(0.0, relaxation.ceilings[part.name] - least) * part.weight
        return _Relaxed(programme=programme, relaxation=relaxation, gains=gains)

    def _search(self, searches: Sequence[_Relaxed], nodes: int, *, every: bool = False) -> list[float]:
        """Search the graphs at the prices of relaxed programmes; return what each programme cannot be below.

        The part of an index's price that no question pays is shared by those that it could help, in proportion to what
        they could gain. The sum of the bounds that searching the graphs proves is then a bound of the whole, whatever
        the shares (Lagrange). With ``every`` it is infinite where nothing was left out.
        """
        wanted: dict[str, list[tuple[int, Prices]]] = {}
        for number, search in enumerate(searches):
            for name, prices in self._prices(search, nodes, every=every):
                wanted.setdefault(name, []).append((number, prices))
        names = sorted(wanted)
        proven = self._ask([self._task(name, prices=[each for _, each in wanted[name]]) for name in names])
        bounds = [float("inf") if every else search.relaxation.objective for search in searches]
        for name, found in zip(names, proven, strict=True):
            for (number, prices), bound in zip(wanted[name], found, strict=True):
                if not every:
                    bounds[number] -= self.questions[name].weight * max(0.0, prices.ceiling - bound)
                elif bound < prices.ceiling * (1 - _EXACT):
                    bounds[number] = 0.0
        return bounds

    def _prices(self, search: _Relaxed, nodes: int, *, every: bool) -> list[tuple[str, Prices]]:
        """Return at which prices each question's graph is to be searched."""
        relaxation = search.relaxation
        items = search.programme.items
        gains = {
            part.name: search.gains[part.name] + search.excess
            for part in search.programme.parts
            if every or search.gains[part.name] > TOLERANCE * relaxation.ceilings[part.name] * part.weight
        }
        shared = dict.fromkeys(items, 0.0)
        for name, gain in gains.items():
            for each in members(self.graphs[name].relevant):
                if each in shared:
                    shared[each] += gain
        found = []
        for name, gain in gains.items():
            paid = relaxation.paid[name]
            weight = self.questions[name].weight
            of = {
                each: paid.get(each, 0.0) + relaxation.spare[each] * gain / shared[each] / weight
                for each in members(self.graphs[name].relevant)
                if each in items
            }
            ceiling = relaxation.ceilings[name] + search.excess / weight
            found.append((name, Prices(of=of, ceiling=ceiling, nodes=nodes, every=every)))
        return found

    def _neighbours(self, programme: Programme, chosen: int, budget: int | None) -> dict[str, list[int]]:
        """Return sets near the chosen one, by question: without each index, with all that fit in its place."""
        sets: dict[str, list[int]] = {}
        room = None if budget is None else budget - programme.bytes(chosen)
        new = [item for item in programme.items.values() if not item.exists]
        also = bits(item.id for item in new if room is None or item.bytes <= room)
        for part in programme.parts:
            used = programme.answer(part, chosen).used
            wanted = sets.setdefault(part.name, [chosen | also])
            for each in members(used):
                item = programme.items[each]
                without = chosen & ~(1 << each)
                freed = None if room is None else room + (0 if item.exists else item.bytes)
                instead = bits(one.id for one in new if freed is None or one.bytes <= freed) & ~(1 << each)
                same_table = bits(one.id for one in new if one.table == item.table)
                wanted += [without, without | instead & same_table, without | instead]
        return sets


def _item(known: Known, maintenance: Mapping[int, float]) -> Item:
    return Item(
        id=known.id,
        bytes=known.pages * BLOCK,
        table=known.index.relation,
        text=known.index.target,
        maintenance=maintenance.get(known.id, 0.0),
        exists=known.exists,
    )

"""The chosen set is the best there is: against every subset, within every kind of limit, whoever asks the planner."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbtune.index.programme import Limits, Status
from dbtune.index.search import Effort
from dbtune.index.selection import Selection, select
from dbtune.index.whatif.protocol import Question
from dbtune.snapshot.value import BLOCK
from tests.index.planner import TablePlanner, question, subsets

NO_NOISE = Effort(noise=0.0)


def one(planner: TablePlanner, *questions: Question, budget: int | None = None, **more: object) -> Selection:
    """Select for one budget, in pages."""
    size = None if budget is None else budget * BLOCK
    return select(planner, questions, planner.relevant, [size], **more).selections[0]  # type: ignore[arg-type]


@st.composite
def planners(draw: st.DrawFn, most: int = 8) -> TablePlanner:
    """A random planner: a few questions with plans over up to ``most`` indexes."""
    count = draw(st.integers(1, most))
    pages = draw(st.lists(st.integers(1, 60), min_size=count, max_size=count))
    plans = {}
    for number in range(draw(st.integers(1, 4))):
        base = draw(st.integers(100, 5000))
        ways: list[tuple[frozenset[int], float]] = [(frozenset(), float(base))]
        for _ in range(draw(st.integers(0, 8))):
            used = draw(st.frozensets(st.integers(0, count - 1), min_size=1, max_size=3))
            ways.append((used, float(draw(st.integers(1, base)))))
        plans[f"q{number}"] = ways
    return TablePlanner(plans=plans, pages=pages)


def brute_force(
    planner: TablePlanner, questions: Sequence[Question], budget: int | None, maintenance: dict[int, float]
) -> tuple[float, int]:
    """Return the least objective, and the fewest indexes with which it is reached."""
    allowed = [
        each
        for each in subsets(range(len(planner.pages)))
        if budget is None or sum(planner.pages[i] for i in each) <= budget
    ]
    return min(
        (planner.cost(questions, each) + sum(maintenance.get(i, 0.0) for i in each), len(each)) for each in allowed
    )


@settings(max_examples=150, deadline=None)
@given(planner=planners(), share=st.floats(0, 1.1), writes=st.integers(0, 60), weights=st.lists(st.integers(1, 9)))
def test_it_is_the_best_of_all_subsets(planner: TablePlanner, share: float, writes: int, weights: list[int]) -> None:
    questions = [question(name, float(w)) for name, w in zip(planner.plans, [*weights, 1, 1, 1, 1], strict=False)]
    budget = int(sum(planner.pages) * share)
    maintenance = {each: float(writes * (each % 3)) for each in range(len(planner.pages))}
    found = one(planner, *questions, budget=budget, maintenance=maintenance, effort=NO_NOISE)
    best, fewest = brute_force(planner, questions, budget, maintenance)
    assert found.objective == pytest.approx(best, rel=1e-6)
    assert sum(planner.pages[each] for each in found.create) * BLOCK == found.bytes <= budget * BLOCK
    assert len(found.create) == fewest
    assert found.planned == found.predicted
    assert found.gap <= 1e-6
    assert found.floor <= best * (1 + 1e-6)


@settings(max_examples=40, deadline=None)
@given(planner=planners(), first=st.integers(0, 100), second=st.integers(0, 100))
def test_budgets_in_one_run_are_as_good_as_each_alone(planner: TablePlanner, first: int, second: int) -> None:
    questions = [question(name) for name in planner.plans]
    both = select(planner, questions, planner.relevant, [first * BLOCK, second * BLOCK, None], effort=NO_NOISE)
    for budget, selection in zip((first, second, None), both.selections, strict=True):
        assert selection.objective == pytest.approx(brute_force(planner, questions, budget, {})[0], rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(planner=planners(), most=st.integers(0, 3))
def test_a_number_of_indexes_is_kept(planner: TablePlanner, most: int) -> None:
    questions = [question(name) for name in planner.plans]
    found = one(planner, *questions, limits=Limits(indexes=most), effort=NO_NOISE)
    best = min(planner.cost(questions, each) for each in subsets(range(len(planner.pages))) if len(each) <= most)
    assert len(found.create) <= most
    assert found.objective == pytest.approx(best, rel=1e-6)


TWO_TABLES = TablePlanner(
    plans={
        "q": [(frozenset(), 1000.0), (frozenset({0}), 500.0), (frozenset({1}), 600.0), (frozenset({2}), 700.0)],
        "r": [(frozenset(), 1000.0), (frozenset({1}), 300.0), (frozenset({2}), 350.0)],
    },
    pages=[10, 10, 10],
    tables={0: "a", 1: "a", 2: "b"},
)


def test_a_number_for_each_table_is_kept() -> None:
    found = one(TWO_TABLES, question("q"), question("r"), limits=Limits(per_table=1))
    assert found.create == {0, 2}


def test_forbidden_indexes_are_not_made_and_protected_ones_are() -> None:
    found = one(TWO_TABLES, question("q"), question("r"), limits=Limits(forbidden=frozenset({1})))
    assert found.create == {0, 2}
    found = one(TWO_TABLES, question("r"), limits=Limits(protected=frozenset({2})))
    assert found.create == {1, 2}


def test_what_cannot_be_kept_to_is_said() -> None:
    found = one(TWO_TABLES, question("q"), budget=5, limits=Limits(protected=frozenset({0})))
    assert found.status is Status.INFEASIBLE
    assert not found.create


def test_a_budget_of_nothing_and_no_candidates_choose_nothing() -> None:
    assert one(TWO_TABLES, question("q"), budget=0).create == frozenset()
    nothing = TablePlanner(plans={"q": [(frozenset(), 10.0)]}, pages=[])
    assert one(nothing, question("q")).objective == 10.0
    assert select(TWO_TABLES, [], {}, [None]).selections[0].objective == 0.0


EXISTING = TablePlanner(
    plans={
        "q": [(frozenset(), 1000.0), (frozenset({0}), 500.0), (frozenset({1}), 480.0)],
        "r": [(frozenset(), 200.0), (frozenset({2}), 100.0)],
    },
    pages=[10, 20, 5],
    existing=frozenset({0, 2}),
)


def test_existing_indexes_stay_unless_they_may_go() -> None:
    found = one(EXISTING, question("q"), question("r"))
    assert (set(found.create), set(found.drop)) == ({1}, set())
    assert found.before == 600.0
    assert all({0, 2} <= live for _, live in EXISTING.asked)


def test_an_index_that_costs_more_than_it_saves_is_dropped() -> None:
    upkeep = {0: 50.0, 1: 1.0, 2: 150.0}
    found = one(EXISTING, question("q"), question("r"), droppable=[0, 2], maintenance=upkeep)
    assert (set(found.create), set(found.drop)) == ({1}, {0, 2})
    assert (found.maintenance_before, found.maintenance) == (200.0, 1.0)
    assert found.objective == 480.0 + 200.0 + 1.0


def test_an_index_without_upkeep_is_kept_though_nothing_uses_it() -> None:
    found = one(EXISTING, question("q"), droppable=[0, 2])
    assert (set(found.create), set(found.drop)) == ({1}, set())


def test_what_is_dropped_makes_room_where_asked_to() -> None:
    limits = Limits(net=True)
    assert one(EXISTING, question("q"), question("r"), budget=10, droppable=[0, 2]).create == frozenset()
    found = one(EXISTING, question("q"), question("r"), budget=10, droppable=[0, 2], limits=limits)
    assert (set(found.create), set(found.drop)) == ({1}, {0})


def test_no_question_gets_slower_than_allowed() -> None:
    upkeep = {0: 0.0, 1: 0.0, 2: 150.0}
    free = one(EXISTING, question("r"), droppable=[2], maintenance=upkeep)
    bound = one(EXISTING, question("r"), droppable=[2], maintenance=upkeep, limits=Limits(slowdown=1.5))
    assert free.drop == {2}
    assert bound.drop == frozenset()


def test_noise_earns_no_index() -> None:
    planner = TablePlanner(
        plans={
            "q": [(frozenset(), 1000.0), (frozenset({0}), 995.0)],
            "r": [(frozenset(), 10.0), (frozenset({1}), 2.0)],
        },
        pages=[1, 1],
    )
    found = one(planner, question("q"), question("r"))
    assert (set(found.create), set(found.noise)) == ({1}, {0})
    assert one(planner, question("q"), question("r"), effort=NO_NOISE).create == {0, 1}


def test_of_equals_the_fewest_then_the_smallest_then_by_name() -> None:
    same = 100.0
    planner = TablePlanner(
        plans={
            "q": [
                (frozenset(), 1000.0),
                (frozenset({0, 1}), same),
                (frozenset({2}), same),
                (frozenset({3}), same),
                (frozenset({4}), same),
            ]
        },
        pages=[1, 1, 9, 5, 5],
    )
    assert one(planner, question("q")).create == {3}


def test_a_refused_question_is_named_and_the_rest_goes_on() -> None:
    planner = TablePlanner(
        plans={"q": [(frozenset(), 10.0), (frozenset({0}), 5.0)], "r": [(frozenset(), 1.0)]},
        pages=[1],
        refused={"r": "the twin lacks extension postgis"},
    )
    found = select(planner, [question("q"), question("r")], planner.relevant, [None])
    assert found.unplanned == {"r": "the twin lacks extension postgis"}
    assert found.selections[0].create == {0}
    assert found.selections[0].before == 10.0


def hidden() -> TablePlanner:
    """Forty wide indexes, each a little better than the next, hide two narrow ones, of which one fits."""
    wide = [(frozenset({i}), 100.0 + i) for i in range(40)]
    plans = {"q": [(frozenset(), 1000.0), *wide, (frozenset({40}), 300.0), (frozenset({41}), 320.0)]}
    return TablePlanner(plans=plans, pages=[100] * 40 + [20, 5])


def test_narrow_indexes_are_found_below_wide_ones_with_few_questions() -> None:
    planner = hidden()
    found = one(planner, question("q"), budget=10)
    assert found.create == {41}
    assert planner.calls <= 25


def test_a_planner_that_passes_over_a_cheaper_plan_is_believed() -> None:
    """With index 1 live too, the planner takes a plan that is dearer than the one that it took without."""

    class Odd(TablePlanner):
        def best(self, name: str, live: frozenset[int]) -> tuple[frozenset[int], float]:
            if name == "q" and {0, 1} <= live:
                return frozenset({1}), 110.0
            return super().best(name, live)

    planner = Odd(
        plans={
            "q": [(frozenset(), 1000.0), (frozenset({0}), 100.0), (frozenset({1}), 110.0)],
            "r": [(frozenset(), 1000.0), (frozenset({1}), 100.0)],
        },
        pages=[1, 1],
    )
    found = one(planner, question("q"), question("r"))
    assert found.create == {1}
    assert found.predicted == found.planned == 210.0


def test_an_interrupted_search_answers_with_what_it_has() -> None:
    planner = hidden()
    planner.stop_at = 4
    found = select(planner, [question("q")], planner.relevant, [None, 100 * BLOCK])
    assert found.interrupted
    assert planner.calls == 4
    assert [each.status for each in found.selections] == [Status.INTERRUPTED] * 2
    assert found.selections[0].create == {0}
    assert found.selections[0].planned is None or found.selections[0].planned == 100.0


def test_an_interruption_before_the_first_answer_chooses_nothing() -> None:
    planner = hidden()
    planner.stop_at = 1
    found = select(planner, [question("q")], planner.relevant, [None])
    assert found.interrupted
    assert found.selections[0].create == frozenset()


def many() -> TablePlanner:
    """Six questions that share twelve indexes."""
    plans: dict[str, list[tuple[frozenset[int], float]]] = {
        f"q{q}": [(frozenset(), 900.0 + 10 * q)]
        + [
            (frozenset({a, b}), 100.0 + (37 * a + 61 * b + 13 * q) % 700)
            for a in range(12)
            for b in range(a, 12)
            if (a + b + q) % 3 == 0
        ]
        for q in range(6)
    }
    return TablePlanner(plans=plans, pages=[5 + (7 * i) % 20 for i in range(12)])


def outcome(executor: ProcessPoolExecutor | None) -> bytes:
    planner = many()
    questions = [question(name) for name in planner.plans]
    budgets = [20 * BLOCK, 60 * BLOCK, None]
    if executor is None:
        found = select(planner, questions, planner.relevant, budgets, frontier=5)
    else:
        found = select(
            planner, questions, planner.relevant, budgets, frontier=5, executor=executor, make_whatif=partial(many)
        )
        assert planner.calls == 0
    return pickle.dumps((found.selections, found.calls, found.frontier, [repr(g) for g in found.graphs.values()]))


def test_workers_find_the_same_to_the_byte() -> None:
    alone = outcome(None)
    for count in (1, 3):
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as executor:
            assert pickle.loads(outcome(executor)) == pickle.loads(alone)


def test_the_order_of_questions_and_hashing_change_nothing() -> None:
    program = (
        "from tests.index.test_selection import many, question;"
        "from dbtune.index.selection import select;"
        "import sys; p = many(); names = list(p.plans); names = names[::-1] if sys.argv[1] == '1' else names;"
        "found = select(p, [question(n) for n in names], p.relevant, [163840, None], frontier=4);"
        "print([(sorted(s.create), s.predicted, s.bound, s.floor, sorted(s.saves.items())) for s in found.selections]);"
        "print([(s.bytes, s.cost, sorted(s.create)) for s in found.frontier], found.calls)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, order],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, order in (("1", "0"), ("2", "1"), ("3", "0"))
    }
    assert len(outputs) == 1
    (output,) = outputs
    assert output.count("\n") == 2  # and nothing that the solver says


def test_the_curve_falls_and_ends_where_nothing_is_left_to_gain() -> None:
    planner = many()
    questions = [question(name) for name in planner.plans]
    found = select(planner, questions, planner.relevant, [None], frontier=12, effort=NO_NOISE)
    sizes = [step.bytes for step in found.frontier]
    costs = [step.cost for step in found.frontier]
    assert sizes == sorted(sizes)
    assert costs == sorted(costs, reverse=True)
    assert (sizes[0], costs[0]) == (0, found.selections[0].before)
    assert costs[-1] == found.selections[0].objective
    for step in found.frontier:
        best, _ = brute_force(planner, questions, step.bytes // BLOCK, {})
        assert step.cost == pytest.approx(best, rel=0.005)


def test_what_each_index_saves_is_what_the_workload_would_lose_without_it() -> None:
    found = one(TWO_TABLES, question("q", 2.0), question("r"))
    assert found.create == {0, 1}
    assert found.saves == {0: 2 * 100.0, 1: 700.0}

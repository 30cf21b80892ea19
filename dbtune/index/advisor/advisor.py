"""From a snapshot and a workload to advice: what is asked when, and what is made of the answers.

1. Each question is planned as the server is; statements and plans give candidates.
2. The candidates become known to the what-if server, and the best set of them is chosen within the budget.
3. The chosen set is planned once more: what it makes superfluous, what rests on a guess, what no index helps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from dbtune.index.advice import Advice, Point
from dbtune.index.advisor import dropping, earning, repetition, sensitivity, telling
from dbtune.index.advisor.case import Case, Found, look
from dbtune.index.advisor.earning import Earning
from dbtune.index.advisor.measuring import Measurement
from dbtune.index.advisor.recommending import outcome, recommendations
from dbtune.index.advisor.rejected import rejected
from dbtune.index.advisor.unhelped import unhelped
from dbtune.index.advisor.wanted import Wanted, check_names
from dbtune.index.advisor.workers import Workers
from dbtune.index.advisor.writes import Upkeep, writes
from dbtune.index.definition import Index
from dbtune.index.programme import Limits
from dbtune.index.selection import Selected, Selection, select
from dbtune.index.size import estimate
from dbtune.index.whatif.protocol import Question, WhatIf
from dbtune.plan.parse import parse
from dbtune.plan.tree import Plan
from dbtune.snapshot.value import Snapshot
from dbtune.workload.query import Query
from dbtune.workload.requests import Request

Measurer = Callable[[Sequence[Question], Sequence[Index]], Measurement]

_ALONE = Workers()
_NOTHING = Measurement()


def advise(
    snapshot: Snapshot,
    queries: Sequence[Query],
    whatif: WhatIf,
    wanted: Wanted,
    *,
    workers: Workers = _ALONE,
    requests: Iterable[Request] = (),
    mismatches: Mapping[str, str] | None = None,
    measure: Measurer | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Advice:
    """Return the best indexes for the workload, and all that is worth knowing of them.

    ``mismatches`` says by question how the what-if server's plan differs from the real server's. ``measure`` runs
    questions on a copy with and without indexes. Ctrl-C during the choice ends it with the best so far
    (:attr:`Advice.interrupted`).

    :raises UsageError: a name to protect or forbid means nothing.
    """
    case = Case(snapshot, whatif, wanted, mismatches or {}, progress)
    found = look(case, queries)
    for names, option in ((wanted.protect, "--protect"), (wanted.forbid, "--forbid")):
        check_names(names, option, snapshot, case.known)
    maintenance = _maintenance(case, found)
    rent = earning.rent(case, found)
    droppable = dropping.droppable(case, found)
    costs = {each: maintenance.get(each, 0.0) + rent.get(each, 0.0) for each in {**maintenance, **rent}}
    forbidden = case.forbidden | (earning.copies(case, found) - case.protected)
    selected = _select(case, found, costs, droppable, forbidden, workers)
    selection = selected.selections[0]
    plans: Mapping[str, Plan] = {}
    measured = _NOTHING
    gone = dropping.Dropped()
    flips: Mapping[int, str] = {}
    if not selected.interrupted:
        plans = _plans(case, selection)
        gone = dropping.dropped(case, selection, droppable, selected.graphs)
        flips = sensitivity.flips(case, selection)
        if measure is not None:
            measured = measure(found.planned, [case.known[each].index for each in sorted(selection.create)])
    there = frozenset(known.id for known in case.known if known.exists)
    outcomes = {each.question.name: outcome(case, each, measured) for each in selection.chosen}
    without_help = unhelped(case, found, selected, selection, repetition.repeated(found.queries, requests))
    return Advice(
        method=whatif.method,
        server=f"PostgreSQL {snapshot.server_version}",
        budget=case.budget,
        heap=case.heap,
        before=selection.before,
        after=selection.predicted if selection.planned is None else selection.planned,
        predicted=selection.predicted,
        gap=selection.gap,
        complete=selection.complete and not selected.interrupted,
        interrupted=selected.interrupted,
        calls=selected.calls + case.calls,
        writes_before=_sum(maintenance, there),
        writes_after=_sum(maintenance, (there - selection.drop) | selection.create),
        recommendations=recommendations(
            case,
            found,
            selection,
            selected.nearby[0] if selected.nearby else None,
            outcomes,
            plans,
            maintenance,
            rent,
            gone.redundant,
            flips,
        ),
        removals=gone.ordered,
        rejected=rejected(case, found, selected, selection, droppable, maintenance, rent, forbidden),
        unhelped=without_help,
        outcomes=tuple(sorted(outcomes.values(), key=lambda o: (-(o.before - o.after) * o.weight, o.name))),
        frontier=tuple(
            Point(bytes=step.bytes, cost=step.cost, indexes=len(step.create), gap=step.gap)
            for step in selected.frontier
        ),
        warnings=telling.warnings(case, found),
        notes=telling.notes(case, found, without_help, measured),
        workload={
            "queries": float(len(queries)),
            "queries_asked": float(len(found.queries)),
            "questions": float(len(found.questions)),
            "executions": sum(question.weight for question in found.questions),
        },
    )


def _maintenance(case: Case, found: Found) -> dict[int, float]:
    """Return what each index costs the workload's writes, by id."""
    upkeep = Upkeep(case.snapshot, writes(found.questions, found.plans, case.snapshot))
    costs = {}
    for known in case.known:
        index = known.index
        table = case.snapshot.table(*index.relation)
        if known.reason is not None or table is None or not upkeep.has_writes(index.relation):
            continue
        there = case.existing.get(index) if known.exists else None
        entries = there.reltuples if there is not None else estimate(index, table, case.snapshot).tuples
        if (cost := upkeep.cost(index, known.pages, entries)) > 0:
            costs[known.id] = cost
    return costs


def _sum(costs: Mapping[int, float], ids: frozenset[int]) -> float:
    return sum(costs.get(each, 0.0) for each in sorted(ids))


def _select(
    case: Case,
    found: Found,
    costs: Mapping[int, float],
    droppable: frozenset[int],
    forbidden: frozenset[int],
    workers: Workers,
) -> Selected:
    known = case.known
    ids = {each.index: each.id for each in known if not each.exists and each.reason is None}
    of_query: dict[str, set[int]] = {}
    for candidate in found.candidates.candidates:
        if candidate.index in ids:
            for query in candidate.queries:
                of_query.setdefault(query, set()).add(ids[candidate.index])
    make = workers.make([each.index for each in known if not each.exists])
    budget = case.budget
    return select(
        case.whatif,
        found.planned,
        {question.name: of_query.get(question.query.name, set()) for question in found.planned},
        [budget],
        limits=Limits(
            indexes=case.wanted.max_indexes,
            protected=case.protected,
            forbidden=forbidden,
            slowdown=case.wanted.slowdown,
        ),
        maintenance=costs,
        droppable=droppable,
        effort=case.wanted.effort,
        frontier=case.wanted.frontier,
        nearby=[] if budget is None else [round(budget / 1.25)],
        least=Earning(known, case.snapshot, case.heap),
        executor=workers.executor if make is not None else None,
        make_whatif=make,
        progress=case.progress,
    )


def _plans(case: Case, selection: Selection) -> dict[str, Plan]:
    """Plan each question that the chosen set changes, for the plans themselves."""
    plans = {}
    live = dropping.live(case, selection)
    for each in selection.chosen:
        if each.used & selection.create:
            answer = case.ask(each.question, live)
            if answer.reason is None:
                (plans[each.question.name],) = parse(answer.document)
    return plans

"""What was considered and is not advised, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dbtune.index.advice import Rejected
from dbtune.index.advisor.case import Case, Found
from dbtune.index.advisor.earning import Earning
from dbtune.index.graph import Graph, bits
from dbtune.index.selection import Selected, Selection
from dbtune.index.whatif.protocol import Known
from dbtune.plan import words
from dbtune.snapshot.value import BLOCK


def rejected(
    case: Case,
    found: Found,
    selected: Selected,
    selection: Selection,
    droppable: frozenset[int],
    maintenance: Mapping[int, float],
    rent: Mapping[int, float],
    forbidden: frozenset[int],
) -> tuple[Rejected, ...]:
    """Return the candidates that were not chosen, those that would save most for themselves first."""
    known = case.known
    weights = {question.name: question.weight for question in found.questions}
    graphs = [(weights[name], graph) for name, graph in sorted(selected.graphs.items()) if graph.nodes]
    earning = Earning(known, case.snapshot, case.heap)
    now, chosen = bits(droppable), bits(selection.create | (droppable - selection.drop))
    told: list[tuple[float, str, Rejected]] = []
    for each in known:
        if each.exists or each.id in selection.create:
            continue
        alone = _gain(graphs, now, each.id)
        beside = _gain(graphs, chosen, each.id)
        upkeep = maintenance.get(each.id, 0.0)
        size = each.pages * BLOCK
        if each.reason is not None:
            why = f"cannot be had: {each.reason}"
        elif each.id in case.forbidden:
            why = "ruled out by --forbid"
        elif each.id in forbidden:
            why = "is nearly a copy of its table; it takes part only where --budget says what size is worth"
        elif alone <= 0:
            why = "the planner chose no plan with it that is cheaper"
        else:
            charged = rent.get(each.id, 0.0)
            wanted = earning(each.id, selection.create) * selection.before
            why = _why(case, each, alone, beside, upkeep, charged, wanted, size, selection)
        told.append((-alone, each.index.target, Rejected(index=each.index, bytes=size, why=why)))
    return tuple(entry for _, _, entry in sorted(told, key=lambda item: item[:2]))


def _why(
    case: Case,
    each: Known,
    alone: float,
    beside: float,
    upkeep: float,
    charged: float,
    wanted: float,
    size: int,
    selection: Selection,
) -> str:
    saves = f"would save {words.number(round(alone))} by itself"
    if beside <= 0:
        same_table = sum(case.known[other].index.relation == each.index.relation for other in selection.create)
        instead = f"the {same_table} advised on {each.index.table}" if same_table > 1 else "what is advised"
        return f"{saves}, nothing beside {instead}"
    if upkeep >= beside:
        return f"{saves}, but keeping it up to date costs writes {words.number(round(upkeep))}"
    rest = f"{saves}, {words.number(round(beside))} beside what is advised"
    if selection.budget is not None and selection.bytes + size > selection.budget:
        return f"{rest}, but it does not fit into the budget with that"
    if beside < wanted:
        return f"{rest}: too little for an index that begins as another one does"
    if beside < upkeep + charged:
        return f"{rest}: too little for the size of the columns that it includes"
    most = case.wanted.max_indexes
    if most is not None and len(selection.create) >= most:
        return f"{rest}, but no more than {most} may be made"
    return f"{rest}: no query would gain 1 %"


def _gain(graphs: Sequence[tuple[float, Graph]], live: int, more: int) -> float:
    """Return what one more index saves the workload, as far as its plans are known."""
    bit = 1 << more
    saved = 0.0
    for weight, graph in graphs:
        if graph.relevant & bit:
            saved += weight * (graph.best(live).cost - graph.best(live | bit).cost)
    return saved

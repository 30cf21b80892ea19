"""From the chosen set to recommendations: whom each index helps, what it costs, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dbtune.index.advice import Confidence, Outcome, Recommendation
from dbtune.index.advisor import doubts
from dbtune.index.advisor.case import Case, Found, after, ratio
from dbtune.index.advisor.doubts import Doubt
from dbtune.index.advisor.measuring import Measurement
from dbtune.index.definition import Index
from dbtune.index.search import NOISE
from dbtune.index.selection import Chosen, Selection
from dbtune.plan.tree import Plan
from dbtune.snapshot.value import BLOCK

_WEIGHTY = 0.5
"""A doubt about questions lowers the confidence where they are so large a part of what the index saves."""


def outcome(case: Case, chosen: Chosen, measured: Measurement) -> Outcome:
    """Return what becomes of a question."""
    question = chosen.question
    known = case.known
    return Outcome(
        query=question.query.name,
        parameter_set=question.parameter_set,
        weight=question.weight,
        before=chosen.before,
        after=after(chosen),
        used=tuple(sorted(known[i].index.chosen_name for i in chosen.used if not known[i].exists)),
        measured_before=measured.before.get(question.name),
        measured_after=measured.after.get(question.name),
    )


def recommendations(
    case: Case,
    found: Found,
    selection: Selection,
    smaller: frozenset[int] | None,
    outcomes: Mapping[str, Outcome],
    plans: Mapping[str, Plan],
    maintenance: Mapping[int, float],
    rent: Mapping[int, float],
    redundant: Mapping[Index, tuple[str, ...]],
    flips: Mapping[int, str],
) -> tuple[Recommendation, ...]:
    """Return a recommendation for each created index, those that save most first.

    ``smaller`` are those that would be created were all of them a quarter larger, ``plans`` those of questions with the
    chosen set, ``rent`` what each was charged for its size (it is no cost of the
    workload's), ``redundant`` the existing indexes that each makes superfluous, ``flips`` whom sizes decide about.
    """
    edges = doubts.Edges(case.snapshot)
    made = []
    for each in selection.create:
        index = case.known[each].index
        candidate = found.by_index.get(index)
        helped = [chosen for chosen in selection.chosen if each in chosen.used and ratio(chosen) < 1 - NOISE]
        general = [*_of_method(case), *doubts.of_table(index, case.snapshot)]
        if case.whatif.method != "real":
            general += doubts.of_size(index, case.snapshot, chosen_if_larger=smaller is None or each in smaller)
        if each in flips:
            general.append(Doubt(flips[each], Confidence.MEDIUM))
        particular = [
            (doubt, chosen.question.weight * (chosen.before - after(chosen)))
            for chosen in helped
            for doubt in _of_question(case, chosen, index, edges, plans, outcomes)
        ]
        saved = sum(chosen.question.weight * (chosen.before - after(chosen)) for chosen in helped)
        told = [outcomes[chosen.question.name] for chosen in helped]
        made.append(
            Recommendation(
                index=index,
                bytes=case.known[each].pages * BLOCK,
                saves=selection.saves.get(each, 0.0) + rent.get(each, 0.0),
                write_cost=maintenance.get(each, 0.0),
                helped=tuple(sorted(told, key=lambda o: (-(o.before - o.after) * o.weight, o.name))),
                confidence=_confidence(general, particular, saved),
                doubts=tuple(dict.fromkeys(d.why for d in [*general, *(doubt for doubt, _ in particular)])),
                reasons=candidate.reasons if candidate is not None else (),
                redundant=redundant.get(index, ()),
                needs_extension=candidate.needs_extension if candidate is not None else None,
                partitioned=(table := case.snapshot.table(*index.relation)) is not None and table.kind == "p",
            )
        )
    return tuple(sorted(made, key=lambda r: (-r.saves, r.index.target)))


def _confidence(general: Sequence[Doubt], particular: Sequence[tuple[Doubt, float]], saved: float) -> Confidence:
    """Return what the doubts leave: those about some questions count by what these save, the gravest always a bit."""
    sure = min((doubt.leaves for doubt in general), default=Confidence.HIGH)
    if any(doubt.leaves is Confidence.LOW for doubt, _ in particular):
        sure = min(sure, Confidence.MEDIUM)
    for level in (Confidence.LOW, Confidence.MEDIUM):
        weight = sum({doubt.about: gain for doubt, gain in particular if doubt.leaves <= level}.values())
        if any(doubt.proven and doubt.leaves <= level for doubt, _ in particular) or weight > _WEIGHTY * saved:
            return min(sure, level)
    return sure


def _of_method(case: Case) -> list[Doubt]:
    """Return the doubts that hold for all, because of how the planner was asked."""
    if case.whatif.method == "hypopg":
        return [Doubt("planned with HypoPG, whose index sizes and heights are not the real ones", Confidence.MEDIUM)]
    return []


def _of_question(
    case: Case,
    chosen: Chosen,
    index: Index,
    edges: doubts.Edges,
    plans: Mapping[str, Plan],
    outcomes: Mapping[str, Outcome],
) -> list[Doubt]:
    name = chosen.question.name
    outcome = outcomes[name]
    one, other = outcome.measured_before, outcome.measured_after
    if outcome.deceived and one is not None and other is not None:
        said = (
            f"{name} was measured slower with it although it is cheaper on paper:"
            f" {one.ms:,.1f} → {other.ms:,.1f} ms, {one.blocks:,} → {other.blocks:,} blocks"
        )
        return [Doubt(said, Confidence.LOW, about=name, proven=True)]
    found = []
    if (differs := case.mismatches.get(name)) is not None:
        found.append(Doubt(f"{name}: {differs}", Confidence.LOW, about=name))
    if other is None:
        found += edges.of(chosen.question, index)
        if name in plans:
            found += doubts.of_loops(name, chosen.before, plans[name], case.snapshot)
    return found

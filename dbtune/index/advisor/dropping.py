"""Which existing indexes are proposed to be dropped: each is thought away first, and no query may notice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dbtune.index.advice import Removal
from dbtune.index.advisor import removals
from dbtune.index.advisor.case import Case, Found, after
from dbtune.index.definition import Index
from dbtune.index.graph import Graph
from dbtune.index.search import NOISE
from dbtune.index.selection import Selection
from dbtune.index.whatif.protocol import Question
from dbtune.snapshot.value import BLOCK, ExistingIndex


@dataclass(slots=True)
class Dropped:
    """What is proposed; ``redundant`` are by new index the names of those that it makes superfluous."""

    removals: dict[int, Removal] = field(default_factory=dict)
    redundant: dict[Index, tuple[str, ...]] = field(default_factory=dict)

    @property
    def ordered(self) -> tuple[Removal, ...]:
        """The removals, the largest first."""
        return tuple(sorted(self.removals.values(), key=lambda r: (-r.bytes, r.index.schema, r.index.chosen_name)))


def droppable(case: Case, found: Found) -> frozenset[int]:
    """Return the indexes of which the choice may leave out some: nothing was seen to need them.

    Nothing that the workload's plans use as the server is, whatever its counters say: an index on an expression takes
    the statistics of that with it, and without them a plan may look cheap that is not.
    """
    used = {name for plan in found.plans.values() for node in plan.nodes if (name := node.raw.get("Index Name"))}
    return (
        frozenset(
            known.id
            for known in case.known
            if known.exists
            and known.reason is None
            and known.index in case.existing
            and case.existing[known.index].name not in used
            and removals.may_go(case.existing[known.index], known.index, case.snapshot)
        )
        - case.protected
    )


def live(case: Case, selection: Selection) -> set[int]:
    """Return the indexes that are there once the choice is carried out."""
    there = {known.id for known in case.known if known.exists}
    return (there - selection.drop) | selection.create


def dropped(case: Case, selection: Selection, candidates: frozenset[int], graphs: Mapping[str, Graph]) -> Dropped:
    """Return what may be dropped once the chosen indexes are there: what they cover, and what nothing scans."""
    found = Dropped()
    left = live(case, selection)
    ids = {known.index: known.id for known in case.known if known.exists and known.reason is None}
    made = [case.known[each].index for each in sorted(selection.create)]

    def drop(each: int, existing: ExistingIndex, index: Index, why: str) -> None:
        left.discard(each)
        found.removals[each] = Removal(index=index, bytes=existing.pages * BLOCK, why=why)

    for existing, index, other in removals.covered(case.snapshot, made):
        each = ids.get(index)
        if each is None or each in case.protected or not _is_spare(case, each, left, selection, graphs):
            continue
        drop(each, existing, index, f"candidate: {other.chosen_name} finds all that it finds")
        if other in made:
            found.redundant[other] = (*found.redundant.get(other, ()), existing.name)
    for each in sorted(candidates - frozenset(found.removals)):
        if each in selection.drop or _is_spare(case, each, left, selection, graphs):
            index = case.known[each].index
            drop(each, case.existing[index], index, removals.unscanned(case.existing[index], case.snapshot))
    return found


def _is_spare(case: Case, each: int, left: set[int], selection: Selection, graphs: Mapping[str, Graph]) -> bool:
    """Return whether no question costs more without the index, but for the planner's noise."""
    relation = case.known[each].index.relation
    for chosen in selection.chosen:
        if each not in chosen.used and not _reads(chosen.question, relation, graphs):
            continue
        answer = case.ask(chosen.question, left - {each})
        if answer.reason is not None or answer.cost > after(chosen) * (1 + NOISE):
            return False
    return True


def _reads(question: Question, relation: tuple[str, str], graphs: Mapping[str, Graph]) -> bool:
    graph = graphs.get(question.name)
    return graph is None or relation in graph.relations

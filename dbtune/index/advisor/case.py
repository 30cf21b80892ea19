"""What all parts of the advisor share: the database, the server that plans for it, what was found of the workload."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dbtune.index.advisor.compression import compressed
from dbtune.index.advisor.questions import questions as questions_of
from dbtune.index.advisor.wanted import Wanted, forbidden, heap_bytes, protected
from dbtune.index.candidates import Candidate, Candidates, candidates
from dbtune.index.definition import Index
from dbtune.index.selection import Chosen
from dbtune.index.whatif.existing import switchable
from dbtune.index.whatif.protocol import Answer, Known, Question, WhatIf
from dbtune.plan.parse import parse
from dbtune.plan.tree import Plan
from dbtune.snapshot.value import ExistingIndex, Snapshot
from dbtune.workload.query import Query


@dataclass(slots=True)
class Case:
    """A database and what is wanted for it. ``mismatches`` says by question how the what-if server plans otherwise."""

    snapshot: Snapshot
    whatif: WhatIf
    wanted: Wanted
    mismatches: Mapping[str, str] = field(default_factory=dict)
    progress: Callable[[str], None] = lambda text: None
    calls: int = 0
    heap: int = field(init=False)
    existing: Mapping[Index, ExistingIndex] = field(init=False)

    def __post_init__(self) -> None:
        """Find out how large the tables are, and which indexes can be switched."""
        self.heap = heap_bytes(self.snapshot)
        self.existing = {index: existing for existing, index in switchable(self.snapshot)}

    @property
    def budget(self) -> int | None:
        """The budget in bytes, None for any size."""
        return None if self.wanted.budget is None else self.wanted.budget.of(self.heap)

    @property
    def known(self) -> Sequence[Known]:
        """All indexes that can be asked about."""
        return self.whatif.known

    @property
    def protected(self) -> frozenset[int]:
        """The ids of indexes that stay or are made."""
        return protected(self.wanted.protect, self.known)

    @property
    def forbidden(self) -> frozenset[int]:
        """The ids of candidates that must not be made."""
        return forbidden(self.wanted.forbid, self.known) - self.protected

    def ask(self, question: Question, live: Iterable[int]) -> Answer:
        """Ask the planner once."""
        self.calls += 1
        return self.whatif.plan(question, sorted(live))


@dataclass(slots=True)
class Found:
    """What the workload showed before anything was chosen.

    ``plans`` are by question as the server is, ``refused`` the questions that cannot be planned, with the reason.
    ``note`` says what compressing the workload lost.
    """

    queries: Sequence[Query] = ()
    questions: Sequence[Question] = ()
    plans: dict[str, Plan] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    candidates: Candidates = field(default_factory=Candidates)
    by_index: dict[Index, Candidate] = field(default_factory=dict)
    note: str | None = None

    @property
    def planned(self) -> list[Question]:
        """The questions that can be planned."""
        return [question for question in self.questions if question.name not in self.refused]


def look(case: Case, queries: Sequence[Query]) -> Found:
    """Plan the workload as the server is, and make candidates known."""
    small = compressed(queries, case.snapshot)
    found = Found(queries=small.queries, questions=questions_of(small.queries), note=small.note)
    case.progress(f"planning {len(found.questions)} questions")
    live = [known.id for known in case.known if known.exists]
    by_query: dict[str, list[Plan]] = {}
    for question in found.questions:
        answer = case.ask(question, live)
        if answer.reason is not None:
            found.refused[question.name] = answer.reason
            continue
        (plan,) = parse(answer.document)
        found.plans[question.name] = plan
        by_query.setdefault(question.query.name, []).append(plan)
    found.candidates = candidates(found.queries, case.snapshot, by_query, max_width=case.wanted.max_width)
    wanted = found.candidates.candidates
    found.by_index = {candidate.index: candidate for candidate in wanted}
    case.progress(f"making {len(wanted)} candidates known")
    case.whatif.add([candidate.index for candidate in wanted])
    return found


def after(chosen: Chosen) -> float:
    """Return what a question costs with the chosen set: as planned, or as predicted where it was not planned."""
    return chosen.predicted if chosen.planned is None else chosen.planned


def ratio(chosen: Chosen) -> float:
    """Return a question's cost with the chosen set by that without."""
    return after(chosen) / chosen.before if chosen.before else 1.0

"""A plan that rests on an index being as small as estimated is told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dbtune.index.advisor.case import Case
from dbtune.index.advisor.sensitivity import flips
from dbtune.index.advisor.wanted import Wanted
from dbtune.index.programme import Status
from dbtune.index.selection import Chosen, Selection
from dbtune.index.whatif.protocol import Answer, Question
from dbtune.snapshot.value import Snapshot
from tests.index.planner import TablePlanner, question

SNAPSHOT = Snapshot(
    server_version_num=180000, server_version="18.0", database="d", taken_at=datetime(2026, 1, 1, tzinfo=UTC)
)
PLANS = {"robust": [(frozenset({0}), 10.0), (frozenset[int](), 100.0)],
         "edgy": [(frozenset({1}), 95.0), (frozenset[int](), 100.0)]}  # fmt: skip


@dataclass
class Sized(TablePlanner):
    """Index 1 is dearer than none where it is larger than estimated."""

    factor: float = 1.0
    resized: list[float] = field(default_factory=list)

    def resize(self, ids: Collection[int], factor: float) -> None:
        self.factor = factor
        self.resized.append(factor)

    def plan(self, question: Question, live: Collection[int]) -> Answer:
        return super().plan(question, set(live) - {1} if self.factor > 1 else live)


def selection() -> Selection:
    chosen = tuple(
        Chosen(question=question(name), before=100.0, predicted=cost, planned=cost, used=used)
        for name, (used, cost) in (("robust", PLANS["robust"][0]), ("edgy", PLANS["edgy"][0]))
    )
    return Selection(budget=None, status=Status.OPTIMAL, create=frozenset({0, 1}), chosen=chosen)


def test_what_a_quarter_more_turns_is_told_and_sizes_are_restored() -> None:
    planner = Sized(plans=PLANS, pages=[10, 10])
    found = flips(Case(SNAPSHOT, planner, Wanted()), selection())
    assert set(found) == {1}
    assert "a quarter larger" in found[1]
    assert "edgy" in found[1]
    assert planner.resized == [0.8, 1.25, 1.0]


def test_known_sizes_are_not_doubted() -> None:
    assert flips(Case(SNAPSHOT, TablePlanner(plans=PLANS, pages=[10, 10]), Wanted()), selection()) == {}

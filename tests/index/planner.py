"""A planner that is a table: for each question the plans there are, each with its cost and the indexes it needs.

It takes the cheapest plan whose indexes are live, so more indexes never make it dearer, as a planner ought to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from dbtune.index.definition import Index, Key
from dbtune.index.whatif.protocol import Answer, Known, Question
from dbtune.workload.query import Query

Plans = Mapping[str, Sequence[tuple[frozenset[int], float]]]


def question(name: str, weight: float = 1.0) -> Question:
    return Question(name=name, query=Query(name=name, statement="SELECT 1"), weight=weight)


def index(number: int, table: str = "t") -> Index:
    return Index(schema="public", table=table, keys=(Key(f"c{number}"),))


@dataclass
class TablePlanner:
    """``pages`` are those of candidates; ``existing`` are ids that are there already; ``refused`` by question."""

    plans: Plans
    pages: Sequence[int]
    existing: frozenset[int] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[int, str] = field(default_factory=dict)
    stop_at: int | None = None
    method: str = "table"
    warnings: Sequence[str] = ()
    calls: int = 0
    asked: list[tuple[str, frozenset[int]]] = field(default_factory=list)
    closed: bool = False

    @property
    def known(self) -> Sequence[Known]:
        return [
            Known(id=each, index=index(each, self.tables.get(each, "t")), pages=pages, exists=each in self.existing)
            for each, pages in enumerate(self.pages)
        ]

    def add(self, indexes: Sequence[Index]) -> Sequence[Known]:
        raise AssertionError("the candidates are known")

    def plan(self, question: Question, live: Collection[int]) -> Answer:
        self.calls += 1
        self.asked.append((question.name, frozenset(live)))
        if self.stop_at is not None and self.calls >= self.stop_at:
            self.stop_at = None
            raise KeyboardInterrupt
        if question.name in self.refused:
            return Answer(cost=0.0, used=frozenset(), reason=self.refused[question.name])
        used, cost = self.best(question.name, frozenset(live))
        return Answer(cost=cost, used=used)

    def best(self, name: str, live: frozenset[int]) -> tuple[frozenset[int], float]:
        return min(
            ((used, cost) for used, cost in self.plans[name] if used <= live),
            key=lambda plan: (plan[1], len(plan[0]), sorted(plan[0])),
        )

    def close(self) -> None:
        self.closed = True

    @property
    def relevant(self) -> dict[str, frozenset[int]]:
        """Every candidate that any plan of a question uses."""
        return {name: frozenset().union(*(used for used, _ in plans)) for name, plans in self.plans.items()}

    def cost(self, questions: Sequence[Question], live: frozenset[int]) -> float:
        return sum(each.weight * self.best(each.name, live)[1] for each in questions)


def subsets(ids: Collection[int]) -> list[frozenset[int]]:
    return [frozenset(each) for size in range(len(ids) + 1) for each in combinations(sorted(ids), size)]

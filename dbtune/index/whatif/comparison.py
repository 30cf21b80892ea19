"""How far one server plans as another does: the same trees, and costs that differ by how much.

Both are asked for plans only. It shows whether the twin copies production's planner, not whether that is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtune.index.whatif import planning
from dbtune.index.whatif.protocol import Question, WhatIf
from dbtune.server.connection import is_lost, reason

CLOSE = 0.01
"""Relative difference of costs up to which they are called the same."""

_OF_A_NODE = (
    "Node Type",
    "Join Type",
    "Strategy",
    "Partial Mode",
    "Operation",
    "Schema",
    "Relation Name",
    "Scan Direction",
    "Subplan Name",
    "Workers Planned",
)

Tree = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two plans of one question: ``same`` is whether their trees are equal, ``cost`` and ``real_cost`` the root's.

    ``reason`` says why there are not two: then neither counts.
    """

    question: str
    same: bool = False
    cost: float = 0.0
    real_cost: float = 0.0
    reason: str | None = None

    @property
    def ratio(self) -> float:
        """The cost by the real one."""
        return self.cost / self.real_cost if self.real_cost > 0 else 1.0

    @property
    def close(self) -> bool:
        """Whether the costs differ by no more than a hundredth."""
        return abs(self.ratio - 1) <= CLOSE


@dataclass(frozen=True, slots=True)
class Agreement:
    """All that was compared, in the order of the questions."""

    compared: tuple[Compared, ...]

    @property
    def pairs(self) -> tuple[Compared, ...]:
        """Those with two plans."""
        return tuple(each for each in self.compared if each.reason is None)

    @property
    def same(self) -> float:
        """The part of the pairs whose trees are equal, 1 where there are none."""
        return sum(each.same for each in self.pairs) / len(self.pairs) if self.pairs else 1.0

    @property
    def close(self) -> float:
        """The part of the pairs whose costs are the same within a hundredth, 1 where there are none."""
        return sum(each.close for each in self.pairs) / len(self.pairs) if self.pairs else 1.0

    @property
    def extremes(self) -> tuple[float, float]:
        """The least and the greatest ratio of costs."""
        ratios = [each.ratio for each in self.pairs] or [1.0]
        return min(ratios), max(ratios)

    @property
    def summary(self) -> str:
        """One line about all."""
        least, greatest = self.extremes
        refused = len(self.compared) - len(self.pairs)
        return (
            f"{self.same:.1%} of {len(self.pairs)} plans are the same, {self.close:.1%} of costs within {CLOSE:.0%}"
            f" ({least:.3f} to {greatest:.3f} times)" + (f"; {refused} could not be compared" if refused else "")
        )


def compare(whatif: WhatIf, questions: Sequence[Question], connection: Connection) -> Agreement:
    """Ask both for the plan of each question with the indexes that are there.

    On ``connection``, which may be production's, nothing but plain EXPLAIN is sent, in read-only transactions.

    :raises sqlalchemy.exc.DBAPIError: it is lost.
    """
    live = [known.id for known in whatif.known if known.exists]
    return Agreement(tuple(_compared(whatif, question, live, connection) for question in questions))


def _compared(whatif: WhatIf, question: Question, live: Sequence[int], connection: Connection) -> Compared:
    answer = whatif.plan(question, live)
    if answer.reason is not None:
        return Compared(question=question.name, reason=f"{whatif.method}: {answer.reason}")
    connection.rollback()
    try:
        planning.send(connection, "SET TRANSACTION READ ONLY")
        for setting in planning.SESSION:
            planning.send(connection, f"SET LOCAL {setting.removeprefix('SET ')}")
        document = planning.explain(connection, question)
    except DBAPIError as error:
        if is_lost(error):
            raise
        connection.rollback()
        planning.forget(connection)
        return Compared(question=question.name, reason=reason(error))
    finally:
        connection.rollback()
    return Compared(
        question=question.name,
        same=tree(answer.document) == tree(document),
        cost=answer.cost,
        real_cost=float(document["Plan"]["Total Cost"]),
    )


def tree(document: Mapping[str, Any], *, names: bool = True) -> Tree:
    """Return a plan's nodes with kind, relation, join and workers, with ``names`` also the index of each."""
    return _tree(document["Plan"], names)


def _tree(node: Mapping[str, Any], names: bool) -> Tree:
    told = tuple(node.get(key) for key in _OF_A_NODE)
    index = node.get("Index Name") if names else "Index Name" in node
    return (*told, index, tuple(_tree(below, names) for below in node.get("Plans", ())))

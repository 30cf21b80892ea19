"""The question that every way to ask "what if" answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from dbtune.index.definition import Index
from dbtune.workload.query import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query with one of its parameter sets, or the generic plan where ``values`` is None and it has parameters.

    ``name`` is unique in a workload. ``weight`` is how many executions it stands for.
    """

    name: str
    query: Query
    values: tuple[str | None, ...] | None = ()
    parameter_set: str | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The plan: ``cost`` is the root's total cost, ``used`` the ids of known indexes that are in it.

    ``document`` is what EXPLAIN (FORMAT JSON, VERBOSE) printed: ``{"Plan": …}``. ``reason`` says why there is none:
    then cost is not meaningful.
    """

    cost: float
    used: frozenset[int]
    document: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An index that can be switched. ``id`` counts from 0 in the order in which they became known.

    ``pages`` is its size: real for one that exists, estimated for a candidate. ``exists`` tells them apart.
    ``reason`` says why it cannot be had: then it is never live.
    """

    id: int
    index: Index
    pages: int
    exists: bool = False
    reason: str | None = None


class WhatIf(Protocol):
    """A server that plans with some indexes live and others not. Not safe for use by two threads at once."""

    @property
    def method(self) -> str:
        """``twin``, ``hypopg`` or ``real``."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What makes its answers less sure, in a line each, such as another major version."""
        ...

    @property
    def known(self) -> Sequence[Known]:
        """All indexes that can be switched: those of the database that no constraint needs, then candidates."""
        ...

    def add(self, indexes: Sequence[Index]) -> Sequence[Known]:
        """Make candidates known, in order; one that is known already, or exists, comes back as it is."""
        ...

    def plan(self, question: Question, live: Collection[int]) -> Answer:
        """Plan with the ``live`` indexes and those that cannot be switched; a refusal is told in the answer."""
        ...

    @property
    def calls(self) -> int:
        """How often the planner was asked."""
        ...

    def close(self) -> None:
        """Remove what was made for the questions."""
        ...


@runtime_checkable
class Resizable(Protocol):
    """A server whose candidates' sizes are estimates, and can be made others to see what depends on them."""

    def resize(self, ids: Collection[int], factor: float) -> None:
        """Make candidates so many times as large as estimated; 1 makes them as they were."""
        ...

"""One captured query: its statement, its named parameter sets, and how often it ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dbtune.workload.period import Period

GENERIC = "generic"
"""The name under which a plan without parameter values is reported."""

PROVENANCES = ("captured", "sampled", "redacted")
"""Where values come from: the application, pg_stats, or the application but replaced for secrecy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSet:
    """Values for ``$1…$n`` in PostgreSQL's text format (an array is ``{a,b}``, bytea ``\\x…``), None for NULL.

    ``provenance`` is where they come from, one of :data:`PROVENANCES`; all sets of a query have the same.
    """

    name: str
    values: tuple[str | None, ...]
    provenance: str = "captured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A statement of the application, with what was seen of it.

    ``statement`` uses ``$1…$n``. ``types`` names their types as PREPARE takes them; empty lets the server infer them.
    ``calls`` counts executions during the capture and ``mean_ms`` is their mean duration seen by the application;
    None where the source did not tell. ``periods`` is when they were counted, without overlaps. ``line`` is where the
    statement starts in its file.
    """

    name: str
    statement: str
    types: tuple[str, ...] = ()
    sets: tuple[ParameterSet, ...] = ()
    route: str | None = None
    calls: int | None = None
    mean_ms: float | None = None
    source: str | None = None
    periods: tuple[Period, ...] = ()
    path: Path | None = None
    line: int = 1

    def parameter_set(self, name: str) -> ParameterSet | None:
        """Return the set of that name, or None."""
        return next((s for s in self.sets if s.name == name), None)

    @property
    def weight(self) -> int:
        """Executions that this query stands for; 1 where nothing is known."""
        return 1 if self.calls is None else self.calls

    @property
    def total_ms(self) -> float | None:
        """The time that all calls took together; None where durations are not known."""
        return None if self.mean_ms is None else self.mean_ms * self.weight


@dataclass(frozen=True, slots=True)
class Workload:
    """The queries of a folder, in order of their names."""

    queries: tuple[Query, ...]

    def select(self, names: Sequence[str]) -> tuple[Query, ...]:
        """Return the queries of these names in the workload's order, all of them when no name is given.

        :raises KeyError: with the first name that no query has.
        """
        if not names:
            return self.queries
        known = {query.name for query in self.queries}
        for name in names:
            if name not in known:
                raise KeyError(name)
        return tuple(query for query in self.queries if query.name in names)

"""Executions become queries: one for each fingerprint, with its weight, routes, types and named parameter sets.

Executions are taken one by one and forgotten: memory grows with distinct queries, not with what was sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

from dbtune.workload import lexer
from dbtune.workload.capture.execution import Execution
from dbtune.workload.capture.parameter_types import resolve_types
from dbtune.workload.capture.values import UNKNOWN, common_type
from dbtune.workload.fingerprint import LONGEST_NAME, fingerprint, is_preparable, layout, name, normalised
from dbtune.workload.query import ParameterSet, Query

__all__ = ["collect", "resolve_types"]

_ROUTES_SHOWN = 3
_KEPT_VALUES = 1000
_UNTOLD = -1

Values = tuple[str | None, ...]


def collect(executions: Iterable[Execution], *, source: str, timed: bool = True) -> list[Query]:
    """Return the distinct statements in ``executions`` as queries in order of their names.

    Statements that differ only in the length of a list of parameters are one query: its text and parameter sets are
    those of the length that was sent most often, the longest among equals; ``calls``, ``mean_ms`` and ``route`` are
    of all lengths. ``route`` names up to three, the one with most calls first. What failed does not count, unless a
    time limit ended it; nor does what PREPARE cannot take.

    The sets are named for the rows that they really returned or affected: ``frequent`` gave most, ``rare`` fewest but
    some, ``absent`` none. ``frequent`` is also the first set where all gave the same; an INSERT has no other. Where
    no rows are told, ``frequent`` was sent most often. If ``timed``, ``slowest`` and ``median`` are added by duration
    where durations differ. No values are listed twice. After the first thousand distinct values of a length, others
    are kept only if they gave more rows, or were slower, than all before.

    ``types`` holds what the driver stated; :func:`resolve_types` completes it.
    """
    groups: dict[str, _Group] = {}
    known: dict[str, _Length | None] = {}
    for execution in executions:
        if not execution.ran:
            continue
        statement = execution.statement
        if statement not in known:
            known[statement] = _length(statement, groups) if is_preparable(statement) else None
        if (length := known[statement]) is not None:
            length.add(execution, timed)
    names = _names(groups)
    queries = (group.query(names[key], source) for key, group in groups.items())
    return sorted(queries, key=lambda query: query.name)


def _length(statement: str, groups: dict[str, _Group]) -> _Length:
    """Return where executions of ``statement`` are counted."""
    group = groups.setdefault(fingerprint(statement), _Group())
    return group.lengths.setdefault(normalised(statement), _Length(group, statement))


@dataclass(slots=True)
class _Group:
    """All that is known of one fingerprint."""

    calls: int = 0
    total_ms: float = 0.0
    routes: Counter[str] = field(default_factory=Counter)
    lengths: dict[str, _Length] = field(default_factory=dict)

    def query(self, called: str, source: str) -> Query:
        usual = max(self.lengths.values(), key=lambda length: (length.calls, lexer.parameter_count(length.statement)))
        (alone,) = lexer.statements(usual.statement)
        return Query(
            name=called,
            statement=layout(alone),
            types=usual.types,
            sets=usual.sets(),
            route=_shown(self.routes),
            calls=self.calls,
            mean_ms=round(self.total_ms / self.calls, 3),
            source=source,
        )


@dataclass(slots=True)
class _Length:
    """What was sent of a fingerprint with lists of the same length. ``rows`` are the most that the values gave."""

    group: _Group
    statement: str
    calls: int = 0
    rows: dict[Values, int] = field(default_factory=dict)
    times: Counter[Values] = field(default_factory=Counter)
    stated: list[set[str]] = field(default_factory=list)
    most_rows: int = _UNTOLD
    durations: _Durations = field(default_factory=lambda: _Durations())

    def add(self, execution: Execution, timed: bool) -> None:
        self.calls += execution.calls
        self.group.calls += execution.calls
        self.group.total_ms += execution.duration_ms * execution.calls
        if execution.route is not None:
            self.group.routes[execution.route] += execution.calls
        values = execution.values
        if not values:
            return
        rows = _UNTOLD if execution.rows is None else execution.rows
        if values in self.rows or len(self.rows) < _KEPT_VALUES or rows > self.most_rows:
            self.rows[values] = max(self.rows.get(values, _UNTOLD), rows)
            self.times[values] += 1  # further calls had values that were not kept
            self.most_rows = max(self.most_rows, rows)
        if timed:
            self.durations.add(execution.duration_ms, values)
        if not self.stated:
            self.stated = [set() for _ in values]
        for stated, value, type_ in zip(self.stated, values, execution.types, strict=False):
            if value is not None:
                stated.add(type_)

    @property
    def types(self) -> tuple[str, ...]:
        """The types that were stated for each parameter; nothing if there was none."""
        types = tuple(map(common_type, self.stated))
        return types if any(type_ != UNKNOWN for type_ in types) else ()

    def sets(self) -> tuple[ParameterSet, ...]:
        """Return the named sets; among equals the values that came first, for ``absent`` those with fewest NULLs."""
        if not self.rows:
            return ()
        named = self._frequent_only() if self._is_insert or self.most_rows == _UNTOLD else self._by_rows()
        for called, values in self.durations.named().items():
            if values not in named.values():
                named[called] = values
        return tuple(ParameterSet(name=called, values=values) for called, values in named.items())

    @property
    def _is_insert(self) -> bool:
        return self.statement.lstrip()[:6].lower() == "insert"

    def _frequent_only(self) -> dict[str, Values]:
        weight = self.times if self.most_rows == _UNTOLD else self.rows
        return {"frequent": max(weight, key=weight.__getitem__)}

    def _by_rows(self) -> dict[str, Values]:
        found = {values: rows for values, rows in self.rows.items() if rows > 0}
        untold = [values for values, rows in self.rows.items() if rows == _UNTOLD]
        none = [values for values, rows in self.rows.items() if rows == 0]
        named: dict[str, Values] = {}
        if found:
            named["frequent"] = max(found, key=found.__getitem__)
        elif untold:
            named["frequent"] = max(untold, key=self.times.__getitem__)
        if others := [values for values in found if values != named["frequent"]]:
            named["rare"] = min(others, key=found.__getitem__)
        if none:
            named["absent"] = min(none, key=lambda values: values.count(None))
        return named


@dataclass(slots=True)
class _Durations:
    """The slowest values, and every ``stride``-th of all, which is enough for a median."""

    seen: int = 0
    stride: int = 1
    slowest: tuple[float, Values] | None = None
    sample: list[tuple[float, Values]] = field(default_factory=list)

    def add(self, ms: float, values: Values) -> None:
        if self.slowest is None or ms > self.slowest[0]:
            self.slowest = (ms, values)
        if self.seen % self.stride == 0:
            self.sample.append((ms, values))
            if len(self.sample) == _KEPT_VALUES:
                del self.sample[1::2]
                self.stride *= 2
        self.seen += 1

    def named(self) -> dict[str, Values]:
        """Return ``slowest`` and ``median``; nothing where all took the same time."""
        ordered = sorted(self.sample, key=lambda each: each[0])
        if self.slowest is None or ordered[0][0] == self.slowest[0]:
            return {}
        median = ordered[(len(ordered) - 1) // 2][1]
        return {"slowest": self.slowest[1]} | ({"median": median} if median != self.slowest[1] else {})


def _names(keys: Iterable[str]) -> dict[str, str]:
    """Return a name of its own for each fingerprint, the same whatever their order."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for key in sorted(keys):
        wanted = chosen = name(key)
        numbers = count(2)
        while chosen in taken:
            suffix = f"-{next(numbers)}"
            chosen = wanted[: LONGEST_NAME - len(suffix)].rstrip("-") + suffix
        taken.add(chosen)
        names[key] = chosen
    return names


def _shown(calls: Counter[str]) -> str | None:
    routes = sorted(calls, key=lambda route: (-calls[route], route))
    if not routes:
        return None
    more = len(routes) - _ROUTES_SHOWN
    return ", ".join(routes[:_ROUTES_SHOWN]) + (f" and {more} more" if more > 0 else "")

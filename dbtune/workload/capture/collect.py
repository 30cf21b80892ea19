"""Executions become queries: one for each fingerprint, with its weight, routes, types and named parameter sets.

Executions are taken one by one and forgotten: memory grows with distinct queries, not with what was sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count

from dbtune.workload import lexer
from dbtune.workload.capture.execution import Execution
from dbtune.workload.capture.parameter_types import resolve_types
from dbtune.workload.capture.values import UNKNOWN, common_type
from dbtune.workload.fingerprint import LONGEST_NAME, fingerprint, is_preparable, layout, name, normalised
from dbtune.workload.period import Period, Span
from dbtune.workload.query import ParameterSet, Query
from dbtune.workload.shape import variant
from dbtune.workload.system import is_of_system

__all__ = ["collect", "resolve_types"]

_ROUTES_SHOWN = 3
_KEPT_VALUES = 1000
_UNTOLD = -1
_MOST_SETS = 3
_PREFERRED = ("frequent", "slowest", "median", "rare", "absent")
_LONGEST_TO_NAME = 20_000

Values = tuple[str | None, ...]


def collect(executions: Iterable[Execution], *, source: str, timed: bool = True) -> list[Query]:
    """Return the distinct statements in ``executions`` as queries in order of their names.

    Statements that differ only in what an ORM or a driver writes one way or the other (see
    :func:`dbtune.workload.shape.variant`), such as the length of a list of parameters, are one query: its text and
    parameter sets are those that were sent most often, of the longest list among equals; ``calls``, ``mean_ms`` and
    ``route`` are of all: up to three routes, the one with most calls first. What failed does not count, unless a
    time limit ended it; nor does what PREPARE cannot take, or what only asks the catalogs.

    The sets are named for the rows that they really returned or affected: ``frequent`` gave most, ``rare`` fewest but
    some, ``absent`` none. ``frequent`` is also the first set where all gave the same; an INSERT has no other. If
    ``timed``, or where no rows are told, ``frequent`` was sent most often of those that gave any; ``slowest`` and
    ``median`` are by duration, where durations differ; and there are up to three sets, ``rare`` and ``absent`` last.
    No values are listed twice. After the first thousand distinct values of a length, others are kept only if they gave
    more rows, or were slower, than all before.

    If ``timed``, ``periods`` is from the begin of the first execution, of whatever statement, to the last one's end.

    ``types`` holds what the driver stated; :func:`resolve_types` completes it.
    """
    groups: dict[str, _Group] = {}
    known: dict[str, _Length | None] = {}
    span = Span()
    for execution in executions:
        if timed and (time := execution.time) is not None:
            span.add(time, (execution.last or time) + timedelta(milliseconds=execution.duration_ms))
        if not execution.ran:
            continue
        statement = execution.statement
        if statement not in known:
            wanted = is_preparable(statement) and not is_of_system(statement)
            known[statement] = _length(statement, groups) if wanted else None
        if (length := known[statement]) is not None:
            length.add(execution, timed)
    periods = span.periods
    queries = [group.query(source, periods) for group in groups.values()]
    names = _names([_short(query.statement) for query in queries])
    named = (replace(query, name=name) for query, name in zip(queries, names, strict=True))
    return sorted(named, key=lambda query: query.name)


def _length(statement: str, groups: dict[str, _Group]) -> _Length:
    """Return where executions of ``statement`` are counted."""
    group = groups.setdefault(variant(statement), _Group())
    return group.lengths.setdefault(normalised(statement), _Length(group, statement))


@dataclass(slots=True)
class _Group:
    """All that is known of one fingerprint."""

    calls: int = 0
    total_ms: float = 0.0
    routes: Counter[str] = field(default_factory=Counter)
    lengths: dict[str, _Length] = field(default_factory=dict)

    def query(self, source: str, periods: tuple[Period, ...]) -> Query:
        """Return what is known, without a name yet."""
        usual = max(self.lengths.values(), key=lambda length: (length.calls, lexer.parameter_count(length.statement)))
        (alone,) = lexer.statements(usual.statement)
        return Query(
            name="",
            statement=layout(alone),
            types=usual.types,
            sets=usual.sets(),
            route=_shown(self.routes),
            calls=self.calls,
            mean_ms=float(f"{self.total_ms / self.calls:.6g}"),
            source=source,
            periods=periods,
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
        by_rows = self._frequent_only() if self._is_insert or self.most_rows == _UNTOLD else self._by_rows()
        named: dict[str, Values] = {}
        for called, values in (by_rows | self.durations.named()).items():
            if values not in named.values():
                named[called] = values
        kept = sorted(named, key=_PREFERRED.index)[:_MOST_SETS] if self.durations.seen else list(named)
        return tuple(ParameterSet(name=called, values=values) for called, values in named.items() if called in kept)

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
            timed = self.durations.seen > 0
            named["frequent"] = max(found, key=lambda values: (self.times[values] if timed else 0, found[values]))
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


def _short(statement: str) -> str:
    """Return a text to name a query by; not that of a bulk INSERT with all its rows."""
    short = fingerprint(statement)
    return short if len(short) <= _LONGEST_TO_NAME else variant(statement)


def _names(keys: Sequence[str]) -> list[str]:
    """Return a name of its own for each fingerprint, the same whatever their order."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    for index in sorted(range(len(keys)), key=keys.__getitem__):
        wanted = chosen = name(keys[index])
        numbers = count(2)
        while chosen in taken:
            suffix = f"-{next(numbers)}"
            chosen = wanted[: LONGEST_NAME - len(suffix)].rstrip("-") + suffix
        taken.add(chosen)
        names[index] = chosen
    return [names[index] for index in range(len(keys))]


def _shown(calls: Counter[str]) -> str | None:
    routes = sorted(calls, key=lambda route: (-calls[route], route))
    if not routes:
        return None
    more = len(routes) - _ROUTES_SHOWN
    return ", ".join(routes[:_ROUTES_SHOWN]) + (f" and {more} more" if more > 0 else "")

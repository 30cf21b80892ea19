"""How a column's values are spread over the rows that an index holds: groups of values that are about as frequent."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from dbtune.index.size import storage
from dbtune.index.size.predicate import RANGE_UNKNOWN, Condition, Either, Negated, Opaque, Test
from dbtune.index.size.texts import elements
from dbtune.snapshot.value import Column, Statistics

UNKNOWN_DISTINCT = 200.0
"""How many values the planner takes where nothing is known (DEFAULT_NUM_DISTINCT)."""

_TARGET = 100
_SAMPLED = 300
"""The usual statistics target, and for how many rows ANALYZE asks for each step of it (analyze.c, std_typanalyze)."""

_SINGLE = 1e-6
"""Rows of each value expected where every value comes once: so few that a second one never falls on it."""

_NUMBERS = frozenset(
    [*"smallint integer bigint numeric real oid money int2 int4 int8 float4 float8".split(), "double precision"]
)
_TIMES = frozenset(
    ["date", "timestamp", "timestamptz", "timestamp without time zone", "timestamp with time zone"]
)  # fmt: skip
_FIXED_RANGES = frozenset("int4range int8range daterange tsrange tstzrange".split())


@dataclass(frozen=True, slots=True)
class Group:
    """``values`` values of which each is expected in a ``share`` of all rows of the table; one may be NULL.

    The values that do occur are ``values`` times the chance that a value has any row. ``width`` is a value's bytes,
    None where they are as those of the whole column. ``text`` is the value itself, where it is known.
    """

    values: float
    share: float
    width: int | None = None
    is_null: bool = False
    text: str | None = None

    @property
    def part(self) -> float:
        """The part of all rows that have one of the values."""
        return self.values * self.share


@dataclass(frozen=True, slots=True)
class Spread:
    """A column's groups, and ``widths``: how many bytes those values take that are not NULL, by rows.

    ``known`` says whether there are statistics to go by; ``order`` are the histogram's bounds, as far as they are read.
    """

    groups: tuple[Group, ...]
    widths: storage.Widths
    type: str
    rows: float
    known: bool = True
    order: tuple[str, ...] = ()

    @property
    def part(self) -> float:
        """The part of all rows that are left."""
        return sum(group.part for group in self.groups)

    def distinct(self, part: float = 1.0) -> float:
        """Return how many values occur, NULL counted as one, if only ``part`` of the rows are there."""
        return distinct(self.groups, self.rows * part)


def distinct(groups: Sequence[Group], rows: float) -> float:
    """Return how many of the groups' values are expected among so many rows."""
    return sum(-group.values * math.expm1(-group.share * rows) for group in groups)


def of(column: Column, statistics: Statistics | None, rows: float, type_: str) -> Spread:
    """Return how the column's values are spread over all ``rows`` of its table."""
    if statistics is None:
        width = storage.average(column, None, type_)
        values = min(UNKNOWN_DISTINCT, max(1.0, rows))
        return Spread((Group(values, 1 / values),), {width: 1.0}, type_, rows, known=False)
    groups: list[Group] = []
    if statistics.null_frac > 0:
        groups.append(Group(1.0, statistics.null_frac, 0, is_null=True))
    common = statistics.most_common_freqs
    sizes = storage.common_widths(statistics, column, type_)
    texts = elements(statistics.most_common_vals)
    for at, frequency in enumerate(common):
        size = sizes[at] if at < len(sizes) else None
        groups.append(Group(1.0, frequency, size, text=texts[at] if at < len(texts) else None))
    total = max(1.0, statistics.distinct(rows))
    rest = 1 - statistics.null_frac - sum(common)
    bounds = elements(statistics.histogram_bounds)
    widths = storage.widths_of(bounds, column, type_) or _spread_average(column, statistics, type_)
    others = total - len(common)
    if rest * rows >= 1 and rest > 1e-4 * min(1.0, others):
        sampled = _SAMPLED * max(_target(others, len(bounds)), len(common))
        expected = _mean_of_all(rest * rows / max(1.0, others), min(1.0, sampled / rows))
        values = rest * rows / expected
        groups += [Group(values * part, expected / rows, size) for size, part in sorted(widths.items())]
    by_rows: dict[int, float] = {}
    filled = 1 - statistics.null_frac
    for group in groups:
        if not group.is_null and filled > 0:
            size = group.width if group.width is not None else storage.average(column, statistics, type_)
            by_rows[size] = by_rows.get(size, 0.0) + group.part
    scale = sum(by_rows.values())
    spread = {size: part / scale for size, part in sorted(by_rows.items())} if scale > 0 else {0: 1.0}
    order = tuple(value for value in bounds if value is not None)
    return Spread(tuple(groups), spread, type_, rows, order=order)


def _spread_average(column: Column, statistics: Statistics, type_: str) -> dict[int, float]:
    """Return bytes of values of which only the average is known: varying ones lie a few bytes about it."""
    width = storage.average(column, statistics, type_)
    if column.length > 0 or storage.bare(type_) in _FIXED_RANGES:
        return {width: 1.0}
    reach = min(4, width // 4)
    return {width + step: 1 / (2 * reach + 1) for step in range(-reach, reach + 1)}


def _target(others: float, bounds: int) -> int:
    """Return the statistics target: a histogram has one more bound, if there are so many values."""
    return bounds - 1 if 1 < bounds < others else _TARGET


def _mean_of_all(mean: float, sampled: float) -> float:
    """Return the mean number of rows of a value, Poisson distributed, where ANALYZE finds ``mean`` rows for each.

    It reads a part ``sampled`` of the rows and estimates the number of values (analyze.c, Haas and Stokes' Duj1) from
    how many it met and how many of those but once. Of a whole table that is the number of values that occur; of a
    small part it is less than that, as values of many rows are met more than their number tells.
    """
    if mean <= 1 + _SINGLE:
        return _SINGLE
    low, high = _SINGLE, mean
    for _ in range(60):
        middle = (low + high) / 2
        missed = math.exp(-sampled * middle)
        if middle * (1 - (1 - sampled) * missed) / -math.expm1(-sampled * middle) < mean:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def kept(spread: Spread, test: Test) -> Spread:
    """Return the column's spread among the rows that pass the test; shares stay those of all rows."""
    if not spread.known:
        return replace(spread, groups=tuple(replace(g, values=g.values * test.default) for g in spread.groups))
    if test.kind == "null":
        return replace(spread, groups=tuple(group for group in spread.groups if group.is_null))
    filled = tuple(group for group in spread.groups if not group.is_null)
    if test.kind == "not null":
        return replace(spread, groups=filled)
    if test.kind in ("in", "not in"):
        wanted = {_same(value, spread.type) for value in test.values}
        return replace(spread, groups=_in(filled, wanted, spread.type, keep=test.kind == "in"))
    if test.kind == "other":
        return replace(spread, groups=tuple(replace(g, values=g.values * test.default) for g in filled))
    part = _below(spread.order, test.values[0], spread.type, inclusive=test.kind in ("<=", ">"))
    if part is not None and test.kind in (">", ">="):
        part = 1 - part
    groups = []
    for group in filled:
        if group.text is not None:
            passes = _passes(group.text, test.kind, test.values[0], spread.type)
            groups.append(replace(group, values=group.values * (RANGE_UNKNOWN if passes is None else float(passes))))
        else:
            groups.append(replace(group, values=group.values * (RANGE_UNKNOWN if part is None else part)))
    return replace(spread, groups=tuple(group for group in groups if group.values > 0))


def _in(groups: Sequence[Group], wanted: set[str], type_: str, *, keep: bool) -> tuple[Group, ...]:
    """Return what is left of the groups if only the wanted values stay, or all but those."""
    common = [group for group in groups if group.text is not None]
    others = [group for group in groups if group.text is None]
    found = [group for group in common if (_same(group.text or "", type_) in wanted)]
    number = len(wanted) - len(found)
    total = sum(group.values for group in others)
    taken = min(1.0, number / total) if total > 0 else 0.0
    if keep:
        return (*found, *(replace(group, values=group.values * taken) for group in others if taken > 0))
    left = [group for group in common if group not in found]
    return (*left, *(replace(group, values=group.values * (1 - taken)) for group in others if taken < 1))


def passing(conditions: Sequence[Condition], columns: dict[str, Spread]) -> float:
    """Narrow ``columns`` by conditions that AND joins, and return the part of rows that the rest of them keeps.

    Conditions on different columns are taken to be independent, as the planner does. A column that is asked for but
    not in ``columns`` keeps the test's default.
    """
    part = 1.0
    for condition in conditions:
        if isinstance(condition, Test) and condition.column in columns:
            columns[condition.column] = kept(columns[condition.column], condition)
        elif isinstance(condition, Negated) and len(condition.conditions) == 1:
            inner = condition.conditions[0]
            if isinstance(inner, Negated):  # NOT NOT: a condition in parentheses
                part *= passing(inner.conditions, columns)
            else:
                part *= 1 - selectivity(condition.conditions, columns)
        elif isinstance(condition, Negated):
            part *= 1 - selectivity(condition.conditions, columns)
        elif isinstance(condition, Either):
            missed = 1.0
            for branch in condition.branches:
                missed *= 1 - selectivity(branch, columns)
            part *= 1 - missed
        elif isinstance(condition, Opaque | Test):
            part *= condition.default
    return part


def selectivity(conditions: Sequence[Condition], columns: dict[str, Spread]) -> float:
    """Return the part of the columns' rows that pass all conditions, from 0 to 1."""
    narrowed = dict(columns)
    part = passing(conditions, narrowed)
    for name, before in columns.items():
        if before is not narrowed[name]:
            whole = before.part
            part *= narrowed[name].part / whole if whole > 0 else 0.0
    return min(1.0, max(0.0, part))


def _same(value: str, type_: str) -> str:
    """Return the value in one spelling of the several that mean the same."""
    name = storage.bare(type_)
    if name in _NUMBERS:
        try:
            return str(Decimal(value).normalize())
        except InvalidOperation:
            return value
    if name in ("boolean", "bool"):
        return "t" if value.strip().lower() in ("t", "true", "yes", "on", "1") else "f"
    if name in ("character", "bpchar"):
        return value.rstrip(" ")
    if name in _TIMES:
        found = _time(value)
        return value if found is None else found.isoformat()
    return value


def _time(value: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)


def place(value: str, type_: str) -> float | None:
    """Return a number or time as a number, times in seconds; None for other types and values out of reach."""
    name = storage.bare(type_)
    try:
        if name in _NUMBERS:
            found = float(value)
            return found if math.isfinite(found) else None
        if name in _TIMES:
            when = _time(value)
            return None if when is None else (when - datetime(2000, 1, 1)).total_seconds()
    except ValueError:
        return None
    return None


def _passes(value: str, sign: str, bound: str, type_: str) -> bool | None:
    one, other = place(value, type_), place(bound, type_)
    if one is None or other is None:
        if not storage.is_text(type_):
            return None
        return _compare(value > bound, value == bound, sign)
    return _compare(one > other, one == other, sign)


def _compare(greater: bool, equal: bool, sign: str) -> bool:
    return (equal and "=" in sign) or (not equal and greater == (sign[0] == ">"))


def _below(order: Sequence[str], bound: str, type_: str, *, inclusive: bool) -> float | None:
    """Return the part of a histogram's values below the bound; None where they cannot be compared."""
    if len(order) < 2:
        return None
    if storage.is_text(type_):
        search = bisect_right if inclusive else bisect_left
        return search(sorted(order), bound) / len(order)
    target = place(bound, type_)
    places = [place(value, type_) for value in order]
    numbers = [number for number in places if number is not None]
    if target is None or len(numbers) < 2:
        return None
    if target <= numbers[0]:
        return 0.0
    if target >= numbers[-1]:
        return 1.0
    at = bisect_right(numbers, target)
    low, high = numbers[at - 1], numbers[at]
    inner = (target - low) / (high - low) if high > low else 0.5
    return (at - 1 + inner) / (len(numbers) - 1)

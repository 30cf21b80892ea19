"""How the values of several columns meet in the rows: groups of combinations that are about as frequent."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.index.size import rows as counted
from dbtune.index.size.spread import Spread
from dbtune.snapshot.value import Snapshot, Table

_ALONE = 1e6
"""By how much values that all differ outnumber the rows: so many that two rows never have the same."""

_STEPS = 4
"""Groups whose shares differ by less than a factor of 2 to this root are put together."""


@dataclass(frozen=True, slots=True)
class Combination:
    """``values`` combinations, of which each is expected in a ``share`` of the rows; ``nulls`` tells NULLs by key."""

    values: float
    share: float
    nulls: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the combinations of some columns: ``distinct`` occur, ``at_most`` are possible.

    ``sure`` says that this came from more than taking the columns to be independent.
    """

    distinct: float | None = None
    at_most: float = math.inf

    @property
    def sure(self) -> bool:
        return self.distinct is not None or math.isfinite(self.at_most)


def combinations(
    spreads: Sequence[Spread], rows: float, factors: Sequence[float] = ()
) -> list[tuple[Combination, ...]]:
    """Return the combinations of the first, of the first two, … columns, where they are independent but for factors.

    ``factors`` say by how much fewer or more combinations than that there are, for each number of columns.
    """
    found: list[tuple[Combination, ...]] = []
    so_far: tuple[Combination, ...] = (Combination(1.0, 1.0, ()),)
    for position, spread in enumerate(spreads):
        columns = _put_together([Combination(g.values, g.share, (g.is_null,)) for g in spread.groups if g.values > 0])
        so_far = _put_together(
            [
                Combination(one.values * other.values, one.share * other.share, one.nulls + other.nulls)
                for one in so_far
                for other in columns
            ]
        )
        if position < len(factors):
            so_far = scaled(so_far, factors[position])
        found.append(so_far)
    return found


def scaled(combinations: Sequence[Combination], factor: float) -> tuple[Combination, ...]:
    """Return the same rows in ``factor`` times as many combinations."""
    return tuple(Combination(each.values * factor, each.share / factor, each.nulls) for each in combinations)


def occurring(combinations: Sequence[Combination], rows: float) -> float:
    """Return how many of the combinations are expected among so many rows."""
    return sum(-each.values * math.expm1(-each.share * rows) for each in combinations)


def _put_together(combinations: Sequence[Combination]) -> tuple[Combination, ...]:
    found: dict[tuple[tuple[bool, ...], int], list[float]] = {}
    for each in combinations:
        if each.values <= 0 or each.share <= 0:
            continue
        key = (each.nulls, round(math.log2(each.share) * _STEPS))
        entry = found.setdefault(key, [0.0, 0.0])
        entry[0] += each.values
        entry[1] += each.values * each.share
    return tuple(Combination(values, part / values, nulls) for (nulls, _), (values, part) in sorted(found.items()))


def factors(names: Sequence[str | None], spreads: Sequence[Spread], known: Sequence[Known], rows: float) -> list[float]:
    """Return by how much the combinations of the first, first two, … columns differ from independent columns'."""
    found: list[float] = []
    for position in range(len(spreads)):
        here = combinations(spreads[: position + 1], rows, found)[-1] if position else ()
        found.append(_factor(here, known[position], rows) if position else _single(spreads[0], known[0], rows))
    return found


def _single(spread: Spread, known: Known, rows: float) -> float:
    if known.distinct is not None and known.distinct >= 0.999 * rows > 1:
        return _ALONE if len(spread.groups) == 1 else 1.0
    return 1.0


def _factor(combinations: Sequence[Combination], known: Known, rows: float) -> float:
    factor = 1.0
    possible = sum(each.values for each in combinations)
    if possible > known.at_most:
        factor = known.at_most / possible
    if known.distinct is None:
        return factor
    if known.distinct >= 0.999 * rows:
        return max(1.0, _ALONE * rows / possible)
    return fitted(combinations, known.distinct, rows)


def fitted(combinations: Sequence[Combination], wanted: float, rows: float) -> float:
    """Return by how much the combinations have to be scaled for ``wanted`` of them to occur."""
    low, high = math.log(1e-12), math.log(1e12)
    for _ in range(50):
        middle = (low + high) / 2
        if occurring(scaled(combinations, math.exp(middle)), rows) < wanted:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)


def known(names: Sequence[str | None], spreads: Sequence[Spread], table: Table, snapshot: Snapshot) -> list[Known]:
    """Return what is known of the first, the first two, … columns together; None stands for an expression."""
    found = []
    for end in range(1, len(names) + 1):
        first = {name: spread for name, spread in zip(names[:end], spreads[:end], strict=True) if name is not None}
        found.append(_known(first, end - len(first), spreads[:end], table, snapshot))
    return found


def _known(
    columns: dict[str, Spread], others: int, spreads: Sequence[Spread], table: Table, snapshot: Snapshot
) -> Known:
    rows = spreads[0].rows
    if _is_unique(table, set(columns)):
        return Known(distinct=rows)
    if len(columns) + others < 2:
        return Known()
    exact: float | None = None
    at_most = math.inf
    for subset, number in _gathered(table):
        if subset == set(columns) and not others:
            exact = number
        elif subset <= set(columns):
            at_most = min(at_most, number * _product(spreads, columns, subset))
    for constraint in table.constraints:
        if constraint.kind == "f" and constraint.references and len(constraint.columns) > 1:
            parent = snapshot.table(*constraint.references)
            if parent is not None and set(constraint.columns) <= set(columns):
                most = counted.of(parent, snapshot) + 1
                at_most = min(at_most, most * _product(spreads, columns, set(constraint.columns)))
    for before, after, degree in _dependencies(table):
        if before <= set(columns) and after in columns and after not in before and degree > 0:
            size = columns[after].distinct() ** (1 - degree)
            at_most = min(at_most, size * _product(spreads, columns, {after}))
    return Known(None if exact is None else min(exact, rows), at_most)


def _product(spreads: Sequence[Spread], columns: dict[str, Spread], without: set[str]) -> float:
    """Return how many combinations of the columns there are, if those ``without`` are left out."""
    left_out = {id(columns[name]) for name in without}
    return math.prod(max(1.0, spread.distinct()) for spread in spreads if id(spread) not in left_out)


def _is_unique(table: Table, columns: set[str]) -> bool:
    """Return whether no two rows can have the same values in these columns."""
    required = {column.name for column in table.columns if column.not_null}
    keys = [set(c.columns) for c in table.constraints if c.kind in ("p", "u") and c.columns]
    keys += [
        {name for name in index.key_columns if name is not None}
        for index in table.indexes
        if index.is_unique and index.is_valid and index.predicate is None and None not in index.key_columns
    ]
    return any(key <= columns and (key <= required or len(key) == 1) for key in keys)


def _numbers(table: Table) -> dict[int, str]:
    return {column.number: column.name for column in table.columns}


def _gathered(table: Table) -> list[tuple[set[str], float]]:
    """Return the numbers of combinations that CREATE STATISTICS (ndistinct) found, by columns."""
    names, found = _numbers(table), []
    for statistics in table.statistics:
        for key, number in _json(statistics.ndistinct_text).items():
            parts = [int(part) for part in key.split(",") if part.strip().lstrip("-").isdigit()]
            if parts and all(part in names for part in parts):
                found.append(({names[part] for part in parts}, float(number)))
    return found


def _dependencies(table: Table) -> list[tuple[set[str], str, float]]:
    """Return how far columns depend on others, as CREATE STATISTICS (dependencies) found."""
    names, found = _numbers(table), []
    for statistics in table.statistics:
        for key, degree in _json(statistics.dependencies_text).items():
            before, _, after = key.partition("=>")
            parts = [int(part) for part in before.split(",") if part.strip().lstrip("-").isdigit()]
            target = after.strip()
            if parts and target.isdigit() and int(target) in names and all(part in names for part in parts):
                found.append(({names[part] for part in parts}, names[int(target)], float(degree)))
    return found


def _json(text: str | None) -> dict[str, float]:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    if isinstance(found, list):  # as 19 prints them
        return {}
    return {str(key): float(number) for key, number in found.items()}

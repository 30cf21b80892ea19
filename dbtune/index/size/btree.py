"""The size of a btree as CREATE INDEX builds it: rows in order, pages filled one after the other (nbtsort.c).

Leaf pages are filled to 90 %, inner ones to 70 %. From PostgreSQL 13 on, rows with the same key share one tuple of up
to 808 bytes with 6 bytes for each row, where equal means the same bytes and the index has no INCLUDE and is not unique
(manual, 64.1.4.3). Inner pages hold, for each page below, only as many key columns as tell it from its neighbour, and
the row's address where none does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dbtune.index.size import storage
from dbtune.index.size.pages import TUPLE, few, filled, maxalign
from dbtune.snapshot.value import Column

LEAF = (8140, 7325)
"""What items may take on a leaf, and from where on it is full: 8,192 bytes less header, special space and high key's
pointer; a tenth stays free (BTREE_DEFAULT_FILLFACTOR), and room for a row's address in the high key."""

INNER = (8148, 5687)
"""The same of inner pages, of which three tenths stay free (BTREE_NONLEAF_FILLFACTOR)."""

FIRST = 12
"""Bytes of an inner page's first item, which has no key."""

LONGEST_LIST = 808
"""The largest tuple with a list of rows: a tenth of a page less a pointer, rounded down to eight bytes."""

ADDRESS = 6
"""Bytes of a row's address."""

_RUN = 10
"""A value with so many full lists fills pages by itself."""

_MOST_WIDTHS = 24


@dataclass(frozen=True, slots=True)
class Part:
    """A key or INCLUDE column, and how many bytes its values take other than NULL."""

    column: Column
    widths: storage.Widths


@dataclass(frozen=True, slots=True)
class Rows:
    """``values`` keys of which each is expected in ``mean`` rows, and the bytes of a tuple of such a key."""

    values: float
    mean: float
    sizes: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Built:
    """``leaves`` and all ``pages``, with the metapage; ``level`` is 0 where the root is a leaf."""

    pages: int
    level: int
    leaves: int


def sizes(parts: Sequence[Part], nulls: Sequence[bool], limit: int = storage.LONGEST) -> dict[int, float]:
    """Return how the bytes of tuples of these columns are spread, with header and rounded up to eight."""
    ends: dict[int, float] = {0: 1.0}
    for part, is_null in zip(parts, nulls, strict=True):
        if is_null:
            continue
        further: dict[int, float] = {}
        widths = _fewer(part.widths)
        for at, chance in ends.items():
            for size, share in widths.items():
                end = storage.aligned(at, size, part.column) + size
                further[end] = further.get(end, 0.0) + chance * share
        ends = _fewer(further)
    header = 2 * TUPLE if any(nulls) else TUPLE
    found: dict[int, float] = {}
    for end, chance in ends.items():
        size = min(limit, maxalign(header + end))
        found[size] = found.get(size, 0.0) + chance
    return found


def _fewer(widths: Mapping[int, float]) -> dict[int, float]:
    kinds = sorted(widths.items())
    while len(kinds) > _MOST_WIDTHS:
        at = min(range(len(kinds) - 1), key=lambda each: kinds[each][1] + kinds[each + 1][1])
        (one, part), (other, part2) = kinds[at], kinds[at + 1]
        kinds[at : at + 2] = [(round((one * part + other * part2) / (part + part2)), part + part2)]
    return dict(kinds)


@lru_cache(maxsize=50_000)
def _lists(mean: float, size: int) -> tuple[float, tuple[tuple[int, float], ...]]:
    """Return how many full lists a key has, and the chances that so many rows are left for another tuple.

    The number of rows is taken to be Poisson distributed; keys without any have no tuple.
    """
    most = (LONGEST_LIST - size) // ADDRESS
    if mean > 50 * most:
        step = max(1, most // 12)
        rests = tuple((left, step / most) for left in range(step, most, step))
        return mean / most - 0.5, rests
    full = 0.0
    rests_: dict[int, float] = {}
    reach = 6 * math.sqrt(mean) + 8
    low, high = max(1, math.floor(mean - reach)), math.ceil(mean + reach)
    chance = math.exp(low * math.log(mean) - mean - math.lgamma(low + 1))
    for number in range(low, high + 1):
        full += chance * (number // most)
        left = number % most
        if left:
            rests_[left] = rests_.get(left, 0.0) + chance
        chance *= mean / (number + 1)
    return full, tuple(sorted(rests_.items()))


def leaf_items(groups: Sequence[Rows], deduplicate: bool) -> tuple[dict[tuple[int, int], float], float, float]:
    """Return the items that share pages, by (bytes with pointer, bytes of their list), the pages that single keys
    fill by themselves, and the number of all items."""
    items: dict[tuple[int, int], float] = {}
    runs = number = 0.0
    for group in groups:
        for size, part in group.sizes:
            values = group.values * part
            most = (LONGEST_LIST - size) // ADDRESS
            if not deduplicate or most < 2:
                count = values * group.mean
                items[size + 4, 0] = items.get((size + 4, 0), 0.0) + count
                number += count
                continue
            full, rests = _lists(float(f"{group.mean:.4g}"), size)
            whole = maxalign(size + ADDRESS * most)
            kind = (whole + 4, whole - size)
            number += values * full
            if full >= _RUN:
                runs += values * full * kind[0] / filled(((*kind, 1.0),), *LEAF)
            elif full > 0:
                items[kind] = items.get(kind, 0.0) + values * full
            for left, chance in rests:
                bytes_ = size if left == 1 else maxalign(size + ADDRESS * left)
                other = (bytes_ + 4, bytes_ - size)
                items[other] = items.get(other, 0.0) + values * chance
                number += values * chance
    return {kind: count for kind, count in items.items() if count > 0}, runs, number


def leaves(items: Mapping[tuple[int, int], float], runs: float) -> int:
    """Return the leaf pages that the items fill."""
    found = runs
    if items:
        total = sum(size * count for (size, _), count in items.items())
        number = sum(items.values())
        kinds = few(items)
        # the page that comes last is not full until one more item comes, which may be one beyond the limit
        found += max(0.0, total - total / number) / filled(kinds, *LEAF)
    return max(1, math.ceil(round(found, 6)))


def build(groups: Sequence[Rows], pivots: Mapping[int, float], deduplicate: bool) -> Built:
    """Return the index with these rows; ``pivots`` are the bytes of inner tuples with their parts."""
    items, runs, number = leaf_items(groups, deduplicate)
    if number <= 0:
        return Built(pages=1, level=0, leaves=0)
    bottom = leaves(items, runs)
    inner = levels(bottom, fan_out(pivots))
    return Built(pages=1 + bottom + sum(inner), level=len(inner), leaves=bottom)


def fan_out(pivots: Mapping[int, float]) -> float:
    """Return how many pages below an inner page leads to."""
    kinds = few({(size + 4, 0): part for size, part in pivots.items()})
    mean = sum(size * part for size, _, part in kinds)
    return max(2.0, 1 + (filled(kinds, *INNER, FIRST) - FIRST) / mean)


def levels(bottom: float, children: float) -> list[int]:
    """Return the pages of each level above ``bottom`` pages, from below to the root."""
    found: list[int] = []
    pages = math.ceil(bottom)
    while pages > 1:
        pages = max(1, math.ceil((pages - 1) / children))
        found.append(pages)
    return found


def pivots(
    parts: Sequence[Part], null_parts: Sequence[float], distinct: Sequence[float], items: float
) -> dict[int, float]:
    """Return how the bytes of inner tuples are spread.

    ``parts`` are the keys; ``distinct`` how many values the first, the first two, … have among ``items`` leaf items.
    Two neighbours differ in the first columns as often as their values change along the leaves.
    """
    found: dict[int, float] = {}
    before = 0.0
    for end in range(1, len(parts) + 2):
        chance = min(1.0, distinct[end - 1] / items) if end <= len(parts) and items > 0 else 1.0
        share, before = max(0.0, chance - before), max(before, chance)
        if share <= 0:
            continue
        keys = parts[: min(end, len(parts))]
        address = 8 if end > len(parts) else 0
        for nulls, part in _patterns(null_parts[: len(keys)]):
            for size, weight in sizes(keys, nulls).items():
                found[size + address] = found.get(size + address, 0.0) + share * part * weight
    return found


def _patterns(null_parts: Sequence[float]) -> list[tuple[tuple[bool, ...], float]]:
    found: list[tuple[tuple[bool, ...], float]] = [((), 1.0)]
    for part in null_parts:
        found = [
            ((*nulls, is_null), chance * share)
            for nulls, chance in found
            for is_null, share in ((False, 1 - part), (True, part))
            if chance * share > 1e-4
        ] or [((*nulls, part > 0.5), chance) for nulls, chance in found]
    return found


def patterns(null_parts: Sequence[float]) -> list[tuple[tuple[bool, ...], float]]:
    """Return which columns are NULL together, with the part of the rows, for independent columns."""
    return _patterns(null_parts)

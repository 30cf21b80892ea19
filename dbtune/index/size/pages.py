"""How many items of differing sizes a page takes when pages are filled one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

PAGE = 8192
HEADER = 24
"""Bytes of a page's header (SizeOfPageHeaderData)."""
POINTER = 4
"""Bytes of an item's line pointer."""
TUPLE = 8
"""Bytes of an index tuple's header; 16 with the bitmap of NULLs."""
MOST_KINDS = 24
"""Sizes that are told apart at most: neighbours are put together, which moves no mean."""


def maxalign(size: int) -> int:
    """Return the size as it is rounded up to eight bytes."""
    return -(-size // 8) * 8


@lru_cache(maxsize=20_000)
def filled(items: tuple[tuple[int, int, float], ...], space: int, soft: int, first: int = 0) -> float:
    """Return the mean number of bytes that items take on a finished page.

    An item is (bytes with its pointer, bytes of them that the high key would not have, its part of all items), and
    they come in any order. ``space`` is what a page has for them; with ``soft`` bytes it is full all the same;
    ``first`` bytes are taken from the start. That is what ``_bt_buildadd`` (nbtsort.c) does: a page ends when the item
    that came last brought it over the soft limit, or when the next finds no room, and that last item moves to the next
    page.
    """
    if len(items) == 1:
        size, extra, _ = items[0]
        at = first
        while at + size - extra <= soft and at + 2 * size <= space:
            at += size
        return float(max(at, size))
    mass = {first: 1.0}
    total = 0.0
    while mass:
        at = min(mass)
        weight = mass.pop(at)
        fitting = [item for item in items if at + item[0] <= space]
        chance = sum(part for _, _, part in fitting)
        if chance <= 0 or weight < 1e-9:
            total += weight * at
            continue
        for size, extra, part in fitting:
            came = weight * part / chance
            if at + size - extra > soft:
                total += came * at
                continue
            end = at + size
            refused = sum(other for bytes_, _, other in items if end + bytes_ > space)
            total += came * refused * at
            if refused < 1:
                mass[end] = mass.get(end, 0.0) + came * (1 - refused)
    return max(total, 1.0 * min(size for size, _, _ in items))


def few(items: Mapping[tuple[int, int], float]) -> tuple[tuple[int, int, float], ...]:
    """Return counted items (bytes, extra) as parts of one, at most :data:`MOST_KINDS` kinds, in order of size."""
    total = sum(items.values())
    kinds = [(size, extra, number / total) for (size, extra), number in sorted(items.items()) if number > 0]
    while len(kinds) > MOST_KINDS:
        at = min(range(len(kinds) - 1), key=lambda each: kinds[each][2] + kinds[each + 1][2])
        (size, extra, part), (size2, extra2, part2) = kinds[at], kinds[at + 1]
        both = part + part2
        merged = round((size * part + size2 * part2) / both / 4) * 4
        kinds[at : at + 2] = [(merged, round((extra * part + extra2 * part2) / both), both)]
    return tuple((size, extra, round(part, 6)) for size, extra, part in kinds)

"""The size of a hash index: buckets for all rows of the table, and pages behind those that get too many.

Buckets are made for the number of rows that the planner expects, before any is read: also for rows that a predicate
leaves out and for NULLs, which are not indexed. Sources: hashpage.c (_hash_init), hashutil.c (_hash_spareindex).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from dbtune.index.size import rows as counted
from dbtune.index.size.pages import HEADER, PAGE, POINTER
from dbtune.index.size.setting import Setting
from dbtune.index.size.value import Size

ITEM = 16 + POINTER
"""Bytes of a row: its address, flags and hash code, padded to eight, and the pointer."""

WANTED = PAGE * 75 // 100 // ITEM
"""Rows that a bucket is made for (HASH_DEFAULT_FILLFACTOR)."""

FITTING = (PAGE - HEADER - 16) // ITEM
"""Rows that fit on a page."""

_WHOLE_STEPS = 10
_MOST_BITS = 32768
_REACH = 1 << 15
_MANY = _REACH / 4
_NEW_PAGES = 10


def size(setting: Setting) -> Size:
    """Return the size of a hash index on the key."""
    rows = setting.rows * setting.part
    groups = [(g.values, g.share * rows) for g in setting.spreads[0].groups if not g.is_null and g.share * rows > 0]
    held = sum(values * mean for values, mean in groups)
    # as many as whole ones are wanted at first, and one more at a time where they get too full
    buckets = _buckets(max(int(_expected(setting) / WANTED), math.ceil(held / WANTED)))
    overflow = _overflow(groups, buckets)
    pages = 1 + buckets + round(overflow) + max(1, math.ceil(overflow / _MOST_BITS))
    return Size(pages, 0, held, f"hash, {buckets} buckets", max([0.1, *setting.doubts]))


def _expected(setting: Setting) -> float:
    """Return the rows that the planner expects: of a small table that neither VACUUM nor ANALYZE has seen those of ten
    pages, and before PostgreSQL 14 also of an empty one that they have seen (plancat.c, estimate_rel_size)."""
    table = setting.table
    unseen = table.relpages == 0 and (table.reltuples < 0 or setting.snapshot.major < 14)
    if unseen and table.pages < _NEW_PAGES:
        return counted.of(replace(table, pages=_NEW_PAGES, reltuples=-1.0), setting.snapshot)
    return setting.rows


def _buckets(number: int) -> int:
    """Return as many buckets or more: a power of two, from 512 on also each quarter of the way to the next."""
    if number <= 2:
        return 2
    group = (number - 1).bit_length()
    if group < _WHOLE_STEPS:
        return 1 << group
    half = 1 << (group - 1)
    return half + half // 4 * (((number - 1) >> (group - 3) & 3) + 1)


def _overflow(groups: list[tuple[float, float]], buckets: int) -> float:
    """Return the pages beyond one a bucket, if values come to buckets by chance and a value's rows stay together.

    Where buckets are no power of two, those that have not been split have twice as many values as the others
    (hashutil.c, _hash_hashkey2bucket). Values of very many rows take pages of their own.
    """
    many = [(values, mean) for values, mean in groups if mean > _MANY]
    few = [(values, mean) for values, mean in groups if mean <= _MANY]
    own = sum(values * (mean / FITTING - 0.5) for values, mean in many)
    half = 1 << ((buckets - 1).bit_length() - 1)
    whole, unsplit = 2 * half, 2 * half - buckets
    found = own + (buckets - unsplit) * _beyond([(values / whole, mean) for values, mean in few])
    return found + (unsplit * _beyond([(values / half, mean) for values, mean in few]) if unsplit else 0.0)


def _beyond(values: list[tuple[float, float]]) -> float:
    """Return the mean number of pages beyond the first of a bucket that so many values of ``mean`` rows come to.

    Its rows are compound Poisson distributed, which the characteristic function tells.
    """
    turn = np.exp(-2j * np.pi * np.arange(_REACH // 2 + 1) / _REACH)
    exponent = np.zeros(len(turn), dtype=complex)
    for rate, mean in values:
        exponent += rate * (np.exp(mean * (turn - 1)) - 1)
    chances = np.clip(np.fft.irfft(np.exp(exponent), _REACH), 0.0, None)
    further = np.maximum(0, -(-np.arange(_REACH) // FITTING) - 1)
    return float(chances @ further)

"""The size of a BRIN index: one tuple for each 128 pages of the table, and a map from ranges of pages to tuples.

Sources: brin_tuple.c, brin_revmap.c, brin_bloom.c and brin_minmax_multi.c; manual, 64.5 (BRIN Indexes).
"""

from __future__ import annotations

import math

from dbtune.index.size import storage
from dbtune.index.size.pages import HEADER, PAGE, POINTER, maxalign
from dbtune.index.size.setting import Setting
from dbtune.index.size.value import Size
from dbtune.snapshot.value import Column

RANGE = 128
"""Pages of the table that one tuple sums up (BRIN_DEFAULT_PAGES_PER_RANGE)."""

MAP = 1360
"""Ranges that a page of the map has room for (REVMAP_PAGE_MAXITEMS)."""

_SPACE = PAGE - HEADER - 8
_TUPLE = 5
_MOST_ROWS = 291
"""Rows that a page of a table can have at most (MaxHeapTuplesPerPage)."""

_FILTER_PART = 0.1
_FILTER_LEAST = 16
_FALSE = 0.01
"""brin_bloom.c: distinct values of a range, by default a tenth of the rows; and the part of false positives."""

_MULTI_HEADER = 20
_MULTI_VALUES = 32
"""brin_minmax_multi.c: bytes before the values, and how many values are kept."""

_SMALLEST_GAIN = 0.25
"""What pglz has to save to be kept (PGLZ_strategy_default); the smaller the gain, the nearer it stays to a guess."""


def size(setting: Setting) -> Size:
    """Return the size of a BRIN index with these keys; a predicate changes nothing, as a range stays a range."""
    ranges = max(1, math.ceil(setting.table.pages / RANGE))
    rows = setting.rows * min(1.0, RANGE / max(1, setting.table.pages))
    nulls = any(group.is_null for spread in setting.spreads for group in spread.groups)
    header = maxalign(_TUPLE + (math.ceil(2 * len(setting.columns) / 8) if nulls else 0))
    end, error = 0, 0.1
    for at, key in enumerate(setting.index.keys):
        column, spread = setting.columns[at], setting.spreads[at]
        opclass = key.opclass or ""
        value = round(sum(bytes_ * part for bytes_, part in spread.widths.items()))
        if opclass.endswith("_bloom_ops"):
            filter_ = storage.packed_header(_filter(_values_in_a_range(setting, at, rows)))
            end, error = _placed(end, filter_, _VARYING) + filter_, 0.5
        elif opclass.endswith("_multi_ops"):
            several = min(float(_MULTI_VALUES), _values_in_a_range(setting, at, rows))
            summary = storage.packed_header(_MULTI_HEADER + math.ceil(several) * value)
            end, error = _placed(end, summary, _VARYING) + summary, 0.35
        else:
            is_inclusion = "range" in storage.bare(column.type) or opclass.endswith("inclusion_ops")
            for _ in range(1 if is_inclusion else 2):
                end = _placed(end, value, column) + value
            end += 2 if is_inclusion else 0  # whether there are empty ones, and ones that cannot be merged
    tuple_ = min(_SPACE, maxalign(header + end) + POINTER)
    pages = 1 + math.ceil(ranges / MAP) + math.ceil(ranges / max(1, _SPACE // tuple_))
    if not all(spread.known for spread in setting.spreads):
        error = max(error, 0.5)
    return Size(pages=pages, level=0, tuples=setting.rows, method=f"brin, {ranges} ranges", error=error)


_VARYING = Column(name="", number=0, type="bytea", length=-1, align="i", storage="x")


def _placed(end: int, bytes_: int, column: Column) -> int:
    return storage.aligned(end, bytes_, column)


def _values_in_a_range(setting: Setting, at: int, rows: float) -> float:
    """Return how many values a range has: those of so many rows by chance, fewer where the table is in their order."""
    spread, statistics = setting.spreads[at], setting.statistics[at]
    part = min(1.0, rows / setting.rows) if setting.rows > 0 else 1.0
    scattered = spread.distinct(part)
    correlation = abs(statistics.correlation or 0.0) if statistics is not None else 0.0
    in_order = max(1.0, spread.distinct() * part)
    return correlation * min(in_order, scattered) + (1 - correlation) * scattered


def _filter(values: float) -> int:
    """Return the bytes of a bloom filter with so many values in it, compressed where that helps."""
    wanted = max(_FILTER_LEAST, _FILTER_PART * _MOST_ROWS * RANGE)
    bits = math.ceil(-wanted * math.log(_FALSE) / math.log(2) ** 2)
    hashes = max(1, round(math.log(2) * bits / wanted))
    set_ = -math.expm1(-hashes * values / bits)
    unset = 1 - set_
    surprise = -sum(part * math.log2(part) for part in (set_, unset) if part > 0)
    whole = math.ceil(bits / 8)
    kept = 2 * surprise  # pglz copies runs of bytes, which takes about twice what the bits tell
    return 12 + (whole if kept > 1 - _SMALLEST_GAIN else max(64, int(whole * kept)))

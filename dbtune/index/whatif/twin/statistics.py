"""Statistics as rows of pg_statistic: what ANALYZE would have written, from what pg_stats shows of it.

PostgreSQL 18 has functions for this, older versions have none. The rows are the same from 13 to 18 (pg_statistic.h), so
that they are written one way for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.snapshot.value import Statistics
from dbtune.sql import quote_literal

_TEXT_EQUAL, _FLOAT_LESS = 98, 672
_DEFAULT_COLLATION = 100
_TEXT, _TSVECTOR, _FLOAT = 25, 3614, 701
_SLOTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """Where statistics belong, and the OIDs of the type of the values: see twin_types.sql."""

    relation: int
    number: int
    type: int
    base: int
    collation: int
    equal: int
    less: int
    element: int
    element_equal: int
    range: int


@dataclass(frozen=True, slots=True)
class _Slot:
    kind: int
    operator: int
    collation: int
    numbers: Sequence[float] | None = None
    values: str | None = None
    type: int = 0


def insertion(typed: Typed, statistics: Statistics, *, inherited: bool = False, plain: bool = False) -> str:
    """Return the statement that writes one row; with ``plain`` without any value."""
    slots = [] if plain else _slots(typed, statistics)
    slots += [_Slot(0, 0, 0)] * (_SLOTS - len(slots))
    fields = [
        str(typed.relation),
        str(typed.number),
        "true" if inherited else "false",
        repr(float(statistics.null_frac)),
        str(statistics.avg_width),
        repr(float(statistics.n_distinct)),
        *(str(slot.kind) for slot in slots),
        *(str(slot.operator) for slot in slots),
        *(str(slot.collation) for slot in slots),
        *(_numbers(slot.numbers) for slot in slots),
        *(_values(slot) for slot in slots),
    ]
    return f"INSERT INTO pg_catalog.pg_statistic VALUES ({', '.join(fields)})"


def _slots(typed: Typed, s: Statistics) -> list[_Slot]:
    """Return the slots in the order of ANALYZE's: values, histogram, correlation, elements, counts of elements."""
    found = []
    if s.most_common_vals is not None and typed.equal:
        found.append(_Slot(1, typed.equal, typed.collation, s.most_common_freqs, s.most_common_vals, typed.type))
    if s.histogram_bounds is not None and typed.less:
        found.append(_Slot(2, typed.less, typed.collation, None, s.histogram_bounds, typed.type))
    if s.correlation is not None and typed.less:
        found.append(_Slot(3, typed.less, typed.collation, (s.correlation,)))
    if s.most_common_elems is not None:
        if typed.base == _TSVECTOR:
            found.append(
                _Slot(4, _TEXT_EQUAL, _DEFAULT_COLLATION, s.most_common_elem_freqs, s.most_common_elems, _TEXT)
            )
        elif typed.element_equal:
            found.append(
                _Slot(
                    4,
                    typed.element_equal,
                    typed.collation,
                    s.most_common_elem_freqs,
                    s.most_common_elems,
                    typed.element,
                )
            )
    if s.elem_count_histogram and typed.element_equal:
        found.append(_Slot(5, typed.element_equal, typed.collation, s.elem_count_histogram))
    if s.range_bounds_histogram is not None:
        found.append(_Slot(7, 0, 0, None, s.range_bounds_histogram, typed.range or typed.base))
    if s.range_length_histogram is not None or s.range_empty_frac is not None:
        empty = (s.range_empty_frac or 0.0,)
        found.append(_Slot(6, _FLOAT_LESS, 0, empty, s.range_length_histogram, _FLOAT))
    return found[:_SLOTS]


def _numbers(numbers: Sequence[float] | None) -> str:
    if numbers is None:
        return "NULL"
    return "'{" + ",".join(repr(float(number)) for number in numbers) + "}'::pg_catalog.float4[]"


def _values(slot: _Slot) -> str:
    if slot.values is None:
        return "NULL"
    return f"pg_catalog.array_in({quote_literal(slot.values)}, {slot.type}, -1)"

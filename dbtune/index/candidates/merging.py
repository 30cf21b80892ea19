"""One index in place of two: the keys of one, followed by what the other has besides.

Where two queries look up by a common beginning, or one reads a few columns more, an index of both may serve each
nearly as well for less space. (Bruno and Chaudhuri, Automatic Physical Database Tuning, SIGMOD 2005, name merging as a
way to reach new configurations; here it only adds candidates.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dbtune.index.candidates.schema import Schema
from dbtune.index.candidates.value import Limits
from dbtune.index.definition import Index
from dbtune.snapshot.value import Table


@dataclass(frozen=True, slots=True)
class Merge:
    """An index made of two others, which may be dropped for it or left unmade.

    ``lossless``: it serves both as well as their own, for the keys of one begin the other's.
    """

    index: Index
    parts: tuple[Index, Index]
    lossless: bool


def merges(indexes: Sequence[Index], table: Table, schema: Schema, limits: Limits) -> Iterator[Merge]:
    """Yield what pairs of the indexes merge into, in the order of the pairs; the same may come twice.

    All are btree indexes of the one table; those of different predicates are never merged.
    """
    for at, one in enumerate(indexes):
        for other in indexes[at + 1 :]:
            if one.predicate != other.predicate or one.keys[0] != other.keys[0]:
                continue
            for first, second in ((one, other), (other, one)):
                merged = _merged(first, second, table, schema, limits)
                if merged is not None and merged not in (one, other):
                    lossless = first.keys[: len(second.keys)] == second.keys
                    yield Merge(merged, (first, second), lossless)


def _merged(first: Index, second: Index, table: Table, schema: Schema, limits: Limits) -> Index | None:
    """Return the first index with what the second has besides, None where that is too wide."""
    there = {(key.text, key.opclass) for key in first.keys}
    more = [key for key in second.keys if (key.text, key.opclass) not in there]
    keys = (*first.keys, *more)
    carried = {*first.include, *second.include}
    if len(keys) > limits.max_width:
        extra = keys[limits.max_width :]
        if any(not key.is_column for key in extra):
            return None
        keys = keys[: limits.max_width]
        carried |= {key.text for key in extra}
    held = {key.text for key in keys if key.is_column}
    include = tuple(column.name for column in table.columns if column.name in carried - held)
    width = sum(schema.width(table, name) for name in (*include, *held))
    if include and (len(include) > limits.include_columns or width > limits.include_bytes):
        return None
    return replace(first, keys=keys, include=include, unique=False, name=None)

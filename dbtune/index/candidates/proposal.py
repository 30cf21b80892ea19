"""An index that one query suggests, before candidates are chosen from what all suggest."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.index.candidates.access import Direction, Operand
from dbtune.index.definition import Index, Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An index with why it was thought of.

    ``gain`` is a guess, from 0 to 1, at the part of reading the table that the index saves; it ranks, nothing more.
    ``covers``: it holds all that the query reads of the table.
    """

    index: Index
    reason: str
    kind: str
    gain: float
    covers: bool = False
    needs_extension: str | None = None


def key(operand: Operand, opclass: str | None = None) -> Key:
    """Return the operand as an ascending key."""
    return Key(operand.text, is_column=operand.is_column, opclass=opclass, collation=operand.collation)


def ordered(directions: tuple[Direction, ...]) -> tuple[Key, ...]:
    """Return the keys of an index that gives this order, read forwards or backwards; the first one is ascending."""
    backwards = bool(directions) and directions[0].descending
    found = []
    for each in directions:
        descending = each.descending != backwards
        nulls_first = each.nulls_first != backwards
        found.append(
            Key(
                each.operand.text,
                is_column=each.operand.is_column,
                descending=descending,
                nulls_first=None if nulls_first == descending else nulls_first,
                collation=each.operand.collation,
            )
        )
    return tuple(found)

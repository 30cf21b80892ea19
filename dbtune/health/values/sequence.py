"""A sequence, and how much of it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dbtune.migration.name import qualified


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A row of dbtune/sql/health_sequences.sql; ``largest`` and ``smallest`` are what it and its columns can hold."""

    COUNTERS: ClassVar = ("last_value",)

    schema: str
    name: str
    increment: int
    cycles: bool
    readable: bool
    last_value: int | None
    start: int
    column_name: str | None
    type_name: str | None
    of_table: str | None
    largest: int
    smallest: int
    column_is_narrower: bool
    comment: str | None

    @property
    def full_name(self) -> str:
        """The sequence as SQL, with its schema."""
        return qualified(self.schema, self.name)

    @property
    def left(self) -> int | None:
        """How many values it can still give."""
        if self.last_value is None:
            return None
        room = self.largest - self.last_value if self.increment > 0 else self.last_value - self.smallest
        return max(0, room // abs(self.increment))

    @property
    def used(self) -> float | None:
        """The part of its values, from the start on, that it has given."""
        if self.last_value is None:
            return None
        begin = min(self.start, self.last_value) if self.increment > 0 else max(self.start, self.last_value)
        end = self.largest if self.increment > 0 else self.smallest
        return (self.last_value - begin) / (end - begin) if end != begin else 1.0

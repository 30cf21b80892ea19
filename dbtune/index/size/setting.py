"""What a size is estimated from."""

from __future__ import annotations

from dataclasses import dataclass, field

from dbtune.index.definition import Index
from dbtune.index.size.btree import Part
from dbtune.index.size.spread import Spread
from dbtune.snapshot.value import Column, Snapshot, Statistics, Table


@dataclass(slots=True)
class Setting:
    """What an index is made of: keys and INCLUDE columns with the spread of their values, and the rows it holds.

    ``whole`` are the keys' spreads over all rows, ``spreads`` those over the rows of the predicate, ``part`` what
    conditions on other columns leave of those. ``doubts`` are relative errors of what had to be guessed.
    """

    table: Table
    snapshot: Snapshot
    index: Index
    rows: float
    columns: list[Column] = field(default_factory=list)
    statistics: list[Statistics | None] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    whole: list[Spread] = field(default_factory=list)
    spreads: list[Spread] = field(default_factory=list)
    include: list[Part] = field(default_factory=list)
    include_nulls: list[float] = field(default_factory=list)
    part: float = 1.0
    doubts: list[float] = field(default_factory=list)

    @property
    def held(self) -> float:
        """The rows that the index holds."""
        part = self.part
        for spread in self.spreads:
            part *= min(1.0, spread.part)
        return self.rows * part

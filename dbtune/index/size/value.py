"""The size of an index, as a value."""

from __future__ import annotations

from dataclasses import dataclass

UNSURE = 0.25
"""Relative error from which on an estimate is not called sure."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large an index would be right after CREATE INDEX.

    ``pages`` are those of its file, 8 kB each. ``level`` is the number of steps from the root to a leaf, 0 where the
    root is a leaf, as a btree's metapage counts; 0 also for other methods. ``tuples`` are the rows that it indexes
    (for GIN the pairs of key and row). ``method`` says in words how that was found. ``error`` is the relative error to
    reckon with: 0.1 means that the real size is expected between 0.9 and 1.1 times this one.
    """

    pages: int
    level: int
    tuples: float
    method: str
    error: float = 0.1

    @property
    def bytes(self) -> int:
        """The size of the file."""
        return self.pages * 8192

    @property
    def sure(self) -> bool:
        """Whether the real size is expected within a quarter of this one."""
        return self.error <= UNSURE

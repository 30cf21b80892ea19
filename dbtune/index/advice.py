"""What the advisor says: the indexes to make, those to drop, what was not advised, and how sure it is of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from dbtune.index.definition import Index


class Confidence(IntEnum):
    """How sure a recommendation is; the reasons stand beside it."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What really running a query showed: the shortest of several times, and the 8 kB blocks that it touched."""

    ms: float
    blocks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One query with one parameter set, without and with the advice. Costs are the planner's, for one execution.

    ``used`` are the names of advised indexes in its plan. ``weight`` is how many executions it stands for.
    ``measured_before`` and ``measured_after`` are there where a copy was measured.
    """

    query: str
    parameter_set: str | None
    weight: float
    before: float
    after: float
    used: tuple[str, ...] = ()
    measured_before: Measured | None = None
    measured_after: Measured | None = None

    @property
    def name(self) -> str:
        """The query's name, and its set's where it has one."""
        return self.query if self.parameter_set is None else f"{self.query} ({self.parameter_set})"

    @property
    def ratio(self) -> float:
        """The cost with the advice over that without."""
        return self.after / self.before if self.before else 1.0

    @property
    def deceived(self) -> bool:
        """Whether the planner expects less work where measuring found more blocks touched and more time taken."""
        one, other = self.measured_before, self.measured_after
        return (
            one is not None
            and other is not None
            and self.after < self.before
            and other.blocks > 1.5 * one.blocks
            and other.ms > one.ms
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """An index to make. ``bytes`` are estimated; ``saves`` is what the workload's cost would rise without it.

    ``write_cost`` is what keeping it up to date costs in the same unit. ``redundant`` are existing indexes that it
    makes superfluous. ``needs_extension`` must be made first. ``partitioned`` says that its table is. ``reasons`` say
    how it was thought of.
    """

    index: Index
    bytes: int
    saves: float
    write_cost: float
    helped: tuple[Outcome, ...] = ()
    confidence: Confidence = Confidence.HIGH
    doubts: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    redundant: tuple[str, ...] = ()
    needs_extension: str | None = None
    partitioned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """An existing index that may be dropped: ``index.name`` is its name, ``bytes`` what that frees."""

    index: Index
    bytes: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """An index that was considered and is not advised."""

    index: Index
    bytes: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unhelped:
    """A query that no index helps, or that could not be planned, with the reason."""

    query: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of the curve of cost over size: with so many bytes of new indexes the workload costs so much."""

    bytes: int
    cost: float
    indexes: int
    gap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The whole answer. Costs are the planner's, summed over the workload as it is weighted.

    ``budget`` and ``heap`` are bytes. ``gap`` is proven: no set of the combinations that were explored costs less than
    ``(1 - gap) · objective``. ``predicted`` is the cost that the selection expects, ``after`` what the planner says of
    the chosen set. ``calls`` counts questions to the planner. ``interrupted``: Ctrl-C ended the search.
    """

    method: str
    server: str
    budget: int | None
    heap: int
    before: float
    after: float
    predicted: float
    gap: float
    complete: bool
    calls: int
    interrupted: bool = False
    writes_before: float = 0.0
    writes_after: float = 0.0
    recommendations: tuple[Recommendation, ...] = ()
    removals: tuple[Removal, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    unhelped: tuple[Unhelped, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    frontier: tuple[Point, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    workload: Mapping[str, float] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """The estimated size of all that is to be made."""
        return sum(each.bytes for each in self.recommendations)

    @property
    def ratio(self) -> float:
        """The workload's cost with the advice over that without."""
        return self.after / self.before if self.before else 1.0

    @property
    def slower(self) -> tuple[Outcome, ...]:
        """The queries that cost more with the advice, by more than the planner's noise."""
        return tuple(each for each in self.outcomes if each.after > each.before * 1.01)

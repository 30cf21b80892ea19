"""An index, what it is there for, and its counters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from dbtune.migration.name import qualified


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A row of dbtune/sql/health_indexes.sql; ``kind`` is relkind, I for a partitioned one.

    ``columns`` are attribute numbers, 0 for an expression: ``n_keys`` keys, then those of INCLUDE. ``expressions`` and
    ``predicate`` are good for comparing only. ``last_idx_scan`` needs 16. ``parent_oid`` is the partitioned index that
    it is a part of.
    """

    COUNTERS: ClassVar = ("idx_scan", "idx_tup_read")

    oid: int
    schema: str
    name: str
    table_oid: int
    kind: str
    method: str
    n_keys: int
    columns: tuple[int, ...]
    opclasses: tuple[int, ...]
    collations: tuple[int, ...]
    options: tuple[int, ...]
    expressions: str | None
    predicate: str | None
    nulls_not_distinct: bool
    definition: str
    is_unique: bool
    is_primary: bool
    is_exclusion: bool
    is_immediate: bool
    is_replica_identity: bool
    is_clustered: bool
    is_valid: bool
    constraint_name: str | None
    referenced: bool
    parent_oid: int | None
    size_bytes: int
    reltuples: float
    idx_scan: int
    idx_tup_read: int
    last_idx_scan: datetime | None
    of_extension: bool
    comment: str | None

    @property
    def full_name(self) -> str:
        """The index as SQL, with its schema."""
        return qualified(self.schema, self.name)

    @property
    def keys(self) -> tuple[int, ...]:
        """The attribute numbers of the keys."""
        return self.columns[: self.n_keys]

    @property
    def included(self) -> frozenset[int]:
        """The attribute numbers of INCLUDE's columns."""
        return frozenset(self.columns[self.n_keys :])

    @property
    def duty(self) -> str | None:
        """What it is there for beside speed, None where that is nothing."""
        if self.is_primary:
            return "the primary key"
        if self.is_exclusion:
            return f"exclusion constraint {self.constraint_name}"
        if self.constraint_name is not None:
            return f"constraint {self.constraint_name}"
        if self.referenced:
            return "foreign keys refer to it"
        if self.is_replica_identity:
            return "the replica identity"
        if self.is_unique:
            return "uniqueness"
        return "an extension" if self.of_extension else None


@dataclass(frozen=True, slots=True, kw_only=True)
class NullFraction:
    """The part of a table's rows where an index's only column is NULL; None where that is not known."""

    oid: int
    column_name: str
    readable: bool
    null_frac: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scans:
    """Scans of an index by another server of the cluster."""

    oid: int
    idx_scan: int
    last_idx_scan: datetime | None


def families(indexes: Iterable[Index]) -> dict[int, list[Index]]:
    """Return, by the oid of each index that stands for itself, that index and all of its parts."""
    by_oid = {index.oid: index for index in indexes}
    found: dict[int, list[Index]] = {}
    for index in by_oid.values():
        top = index
        while top.parent_oid is not None and top.parent_oid in by_oid:
            top = by_oid[top.parent_oid]
        found.setdefault(top.oid, []).append(index)
    return found


def whole(indexes: Iterable[Index]) -> list[Index]:
    """Return the indexes that stand for themselves: partitioned ones in place of their parts, with the parts' sums."""
    known = list(indexes)
    by_oid = {index.oid: index for index in known}
    return [_sum(by_oid[oid], parts) for oid, parts in families(known).items()]


def _sum(top: Index, parts: list[Index]) -> Index:
    if len(parts) == 1:
        return top
    return replace(
        top,
        size_bytes=sum(part.size_bytes for part in parts),
        idx_scan=sum(part.idx_scan for part in parts),
        idx_tup_read=sum(part.idx_tup_read for part in parts),
        last_idx_scan=max((part.last_idx_scan for part in parts if part.last_idx_scan is not None), default=None),
    )

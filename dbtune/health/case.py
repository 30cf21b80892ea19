"""What checks look at: the reading, what was counted over which time, and what earlier readings and replicas add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from dbtune.health.finding import Confidence
from dbtune.health.replicas import Replica
from dbtune.health.section import Section
from dbtune.health.span import Kind, Span
from dbtune.health.state import Reading
from dbtune.health.values.index import Index, families, whole
from dbtune.health.values.table import Table

_UNKNOWN = Span(kind=Kind.RESET, since=None, seconds=None)


@dataclass(frozen=True, kw_only=True)
class Case:
    """``now`` has the totals, ``counted`` the same with counters over ``spans``.

    ``idle_since`` tells by index since when no scan was counted. ``busy_readings`` is in how many readings on end all
    autovacuum workers were at work.
    """

    now: Reading
    counted: Reading
    spans: Mapping[Section, Span] = field(default_factory=dict)
    idle_since: Mapping[str, datetime | None] = field(default_factory=dict)
    replicas: tuple[Replica, ...] = ()
    busy_readings: int = 0

    def span(self, section: Section) -> Span:
        """Return the time over which the section's counters count."""
        return self.spans.get(section, _UNKNOWN)

    def confidence(self, section: Section) -> Confidence:
        """Return how far rates of that section may be trusted."""
        return self.span(section).confidence

    @property
    def major(self) -> int:
        """The server's major version."""
        return self.now.server.major

    @cached_property
    def tables(self) -> Mapping[int, Table]:
        """Tables by oid, with the counters of the span."""
        return {table.oid: table for table in self.counted.tables.values()}

    @cached_property
    def partitions(self) -> Mapping[int, list[Table]]:
        """The partitions right below a table, by its oid."""
        found: dict[int, list[Table]] = {}
        for table in self.tables.values():
            if table.parent_oid is not None:
                found.setdefault(table.parent_oid, []).append(table)
        return found

    def leaves(self, table: Table) -> list[Table]:
        """Return the tables that hold its rows: itself, or its partitions down to the last."""
        if table.kind != "p":
            return [table]
        return [leaf for part in self.partitions.get(table.oid, []) for leaf in self.leaves(part)]

    @cached_property
    def indexes(self) -> list[Index]:
        """Indexes that stand for themselves, partitioned ones with the sums of their parts; counters are totals."""
        return whole(self.now.indexes.values())

    @cached_property
    def indexes_by_table(self) -> Mapping[int, list[Index]]:
        """All valid indexes by their table's oid, parts of partitioned ones too."""
        found: dict[int, list[Index]] = {}
        for index in self.now.indexes.values():
            if index.is_valid:
                found.setdefault(index.table_oid, []).append(index)
        return found

    @cached_property
    def parts(self) -> Mapping[int, list[Index]]:
        """The indexes that are scanned when one of :attr:`indexes` is, by its oid: itself, or its parts."""
        return {
            oid: [part for part in parts if part.kind != "I"]
            for oid, parts in families(self.now.indexes.values()).items()
        }

    @cached_property
    def tops(self) -> Mapping[int, int]:
        """The index that stands for itself of which an index is a part, by oids."""
        return {part.oid: top for top, parts in families(self.now.indexes.values()).items() for part in parts}

    def entries(self, index: Index) -> int:
        """Return how many entries an index had to take within the span: each is work, WAL and a dirty page."""
        table = self.tables.get(index.table_oid)
        return sum(leaf.index_entries for leaf in self.leaves(table)) if table is not None else 0

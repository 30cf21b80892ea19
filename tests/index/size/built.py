"""Really built indexes, measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

from dbtune.index.definition import Index
from dbtune.snapshot.value import ExistingIndex, Snapshot
from tests.index.cataloged import snapshot


@dataclass(frozen=True)
class Built:
    """A real index: its pages, those of all partitions together, and its level, None where it is no single btree."""

    pages: int
    level: int | None


@dataclass(frozen=True)
class Shapes:
    """The database, and its catalogs as they were before any index was built."""

    connection: Connection
    snapshot: Snapshot
    measured: dict[tuple[Index, str], Built] = field(default_factory=dict)

    def build(self, index: Index, with_: str = "") -> Built:
        """Build the index, measure it, and leave nothing of it; the second time tell what was measured."""
        if (index, with_) not in self.measured:
            self.measured[index, with_] = self._measure(index, with_)
        return self.measured[index, with_]

    def _measure(self, index: Index, with_: str) -> Built:
        try:
            self._create(index, with_)
            pages, parts = self.connection.exec_driver_sql(
                "SELECT pg_relation_size('built') / 8192"
                " + coalesce((SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree('built')"
                " WHERE relid <> 'built'::regclass), 0)::bigint / 8192,"
                " (SELECT count(*) FROM pg_partition_tree('built') WHERE relid <> 'built'::regclass)"
            ).one()
            level = None
            if index.method == "btree" and not parts:
                level = self.connection.exec_driver_sql("SELECT level FROM bt_metap('built')").scalar_one()
            return Built(pages, level)
        finally:
            self.connection.rollback()

    def existing(self, index: Index, with_: str = "") -> ExistingIndex:
        """Build the index and return it as the catalogs have it."""
        try:
            self._create(index, with_)
            table = snapshot(self.connection).table(index.schema, index.table)
            assert table is not None
            return next(each for each in table.indexes if each.name == "built")
        finally:
            self.connection.rollback()

    def _create(self, index: Index, with_: str) -> None:
        head, where, predicate = index.ddl(name="built").partition(" WHERE ")
        statement = f"{head} {with_}{where}{predicate}"
        self.connection.exec_driver_sql(statement.replace("%", "%%"))

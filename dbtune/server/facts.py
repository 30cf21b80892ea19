"""What the catalogs know of a plan's tables, as a value beside it; rules do without where it is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFacts:
    """An index: ``columns`` are its key columns or expressions in order, as pg_get_indexdef prints each."""

    name: str
    columns: tuple[str, ...]
    method: str = "btree"
    is_unique: bool = False
    is_valid: bool = True
    predicate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """A table, from pg_class and pg_stat_user_tables. ``relpages`` are 8 kB pages, ``reltuples`` is -1 when unknown."""

    name: str
    relpages: int
    reltuples: float
    n_live_tup: int = 0
    n_mod_since_analyze: int = 0
    last_analyze: datetime | None = None
    indexes: tuple[IndexFacts, ...] = ()
    referenced_by: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def leads(self, column: str) -> IndexFacts | None:
        """Return a valid, whole B-tree index that begins with that column."""
        for index in self.indexes:
            if (
                index.is_valid
                and index.predicate is None
                and index.method == "btree"
                and index.columns[:1] == (column,)
            ):
                return index
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts by ``schema.table``, and settings as pg_settings spells them; empty: nothing is known.

    ``settings`` are those of dbtune/sql/memory_settings.sql, in its units.
    """

    tables: Mapping[str, TableFacts] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    def table(self, name: str | None) -> TableFacts | None:
        """Return what is known of ``schema.table``."""
        return self.tables.get(name) if name is not None else None

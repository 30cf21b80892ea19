"""A table, its sizes and its counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from dbtune.migration.name import qualified


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A row of dbtune/sql/health_tables.sql: ``size_bytes`` is the heap now, ``relpages`` as of the last VACUUM.

    ``kind`` is relkind: r, p for a partitioned one, m for a materialised view. ``n_tup_newpage_upd`` needs 16.
    ``reltuples`` is -1 (before 14: 0) while nobody counted. Ages are in transactions, None for a partitioned table.
    """

    COUNTERS: ClassVar = (
        "seq_scan",
        "seq_tup_read",
        "idx_scan",
        "n_tup_ins",
        "n_tup_upd",
        "n_tup_del",
        "n_tup_hot_upd",
        "n_tup_newpage_upd",
        "heap_blks_read",
        "heap_blks_hit",
        "idx_blks_read",
        "idx_blks_hit",
    )

    oid: int
    schema: str
    name: str
    kind: str
    persistence: str
    relpages: int
    reltuples: float
    options: tuple[str, ...]
    parent_oid: int | None
    size_bytes: int
    seq_scan: int
    seq_tup_read: int
    idx_scan: int
    n_tup_ins: int
    n_tup_upd: int
    n_tup_del: int
    n_tup_hot_upd: int
    n_tup_newpage_upd: int | None
    n_live_tup: int
    n_dead_tup: int
    n_mod_since_analyze: int
    last_vacuum: datetime | None
    last_analyze: datetime | None
    heap_blks_read: int
    heap_blks_hit: int
    idx_blks_read: int
    idx_blks_hit: int
    xid_age: int | None
    mxid_age: int | None
    of_extension: bool
    comment: str | None

    @property
    def full_name(self) -> str:
        """The table as SQL, with its schema."""
        return qualified(self.schema, self.name)

    @property
    def index_entries(self) -> int:
        """The entries that each whole index of the table had to take: for rows inserted, and updates that were not HOT.

        A partial index takes fewer, one that BRIN keeps far fewer.
        """
        return self.n_tup_ins + self.n_tup_upd - self.n_tup_hot_upd

    @property
    def storage(self) -> Mapping[str, str]:
        """The storage parameters by name, such as autovacuum_enabled."""
        return dict(option.split("=", 1) for option in self.options if "=" in option)

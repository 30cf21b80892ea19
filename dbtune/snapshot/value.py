"""A database as its planner knows it: names, types, statistics, sizes and settings, read from catalogs alone.

Names and meanings are those of the catalogs and views that the fields are read from (manual, chapters 52 and 53).
Texts of arrays (``most_common_vals``) are in PostgreSQL's text format, as pg_stats prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

BLOCK = 8192
"""Bytes of a page, which no usual build changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """A row of pg_stats. ``n_distinct`` is a number of values, or where negative minus their part of all rows.

    ``avg_width`` is in bytes. ``correlation`` is between the order of the rows and that of the values.
    """

    null_frac: float
    avg_width: int
    n_distinct: float
    most_common_vals: str | None = None
    most_common_freqs: tuple[float, ...] = ()
    histogram_bounds: str | None = None
    correlation: float | None = None
    most_common_elems: str | None = None
    most_common_elem_freqs: tuple[float, ...] = ()
    elem_count_histogram: tuple[float, ...] = ()
    range_length_histogram: str | None = None
    range_empty_frac: float | None = None
    range_bounds_histogram: str | None = None

    def distinct(self, rows: float) -> float:
        """Return how many distinct values other than NULL there are among so many rows."""
        return self.n_distinct if self.n_distinct >= 0 else -self.n_distinct * rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A row of pg_attribute. ``type`` is as format_type prints it; ``length`` is typlen, -1 for varying, ``align``
    typalign; ``collation`` is quoted, None for the type's own. ``inherited`` are the statistics with child tables.

    ``hidden`` tells that the role could not see statistics; without it a column that has none was never analysed.
    """

    name: str
    number: int
    type: str
    length: int
    align: str
    by_value: bool = False
    storage: str = "p"
    collation: str | None = None
    not_null: bool = False
    generated: str | None = None
    default: str | None = None
    statistics: Statistics | None = None
    inherited: Statistics | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A row of pg_constraint with its definition, as pg_get_constraintdef prints it. ``kind`` is contype.

    ``columns`` are the constrained ones; of a foreign key ``references`` is (schema, table), and
    ``referenced_columns`` those there. An ``inherited`` one comes with the parent's (conparentid, coninhcount).
    """

    name: str
    kind: str
    definition: str
    columns: tuple[str, ...] = ()
    references: tuple[str, str] | None = None
    referenced_columns: tuple[str, ...] = ()
    validated: bool = True
    inherited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """A table's counters since ``since`` (pg_stat_all_tables, pg_stat_database.stats_reset)."""

    n_tup_ins: int = 0
    n_tup_upd: int = 0
    n_tup_hot_upd: int = 0
    n_tup_del: int = 0
    seq_scan: int = 0
    seq_tup_read: int = 0
    idx_scan: int = 0
    n_live_tup: int = 0
    n_dead_tup: int = 0
    n_mod_since_analyze: int = 0
    last_analyze: datetime | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingIndex:
    """An index that is there. ``definition`` is pg_get_indexdef's; ``pages`` are those of its file.

    ``keys`` are columns or expressions in order, as pg_get_indexdef prints each, without INCLUDE; ``key_columns`` the
    names of plain columns among them, None for an expression. ``opclasses`` and ``options`` (pg_index.indoption) go
    with the keys. ``constraint`` is contype where one is backed by it. ``parent`` is the partitioned index
    (schema, name) that it belongs to. ``statistics`` has those of expressions, by position from 1.
    """

    schema: str
    name: str
    definition: str
    method: str
    keys: tuple[str, ...]
    key_columns: tuple[str | None, ...]
    include: tuple[str, ...] = ()
    opclasses: tuple[str, ...] = ()
    options: tuple[int, ...] = ()
    predicate: str | None = None
    pages: int = 0
    reltuples: float = -1.0
    is_unique: bool = False
    is_primary: bool = False
    is_valid: bool = True
    is_replica_identity: bool = False
    constraint: str | None = None
    constraint_name: str | None = None
    parent: tuple[str, str] | None = None
    idx_scan: int = 0
    last_idx_scan: datetime | None = None
    statistics: Mapping[int, Statistics] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedStatistics:
    """A row of pg_statistic_ext; the data are base64 of what the catalog's bytea casts give, None where unread.

    ``ndistinct`` and ``dependencies`` in text are as pg_stats_ext prints them (their keys are column numbers).
    ``expressions`` are the statistics of the expressions in order. ``inherited`` has the data with child tables, of a
    table that has some and is not partitioned (a partitioned table has no other data).
    """

    schema: str
    name: str
    definition: str
    kinds: tuple[str, ...] = ()
    ndistinct: str | None = None
    dependencies: str | None = None
    mcv: str | None = None
    ndistinct_text: str | None = None
    dependencies_text: str | None = None
    expressions: tuple[Statistics | None, ...] = ()
    inherited: ExtendedStatistics | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A row of pg_class: ``kind`` is relkind: r table, p partitioned, m materialised view, f foreign table.

    ``pages`` are those of its file now, ``relpages`` those of the last VACUUM or ANALYZE. ``inherits`` are its parents
    (schema, name); for a partition also ``partition_bound``. ``partition_key`` is of a partitioned table.
    ``definition`` is the query of a materialised view; of a foreign table ``SERVER …`` with its options.
    """

    schema: str
    name: str
    kind: str = "r"
    persistence: str = "p"
    columns: tuple[Column, ...] = ()
    pages: int = 0
    relpages: int = 0
    reltuples: float = -1.0
    relallvisible: int = 0
    options: tuple[str, ...] = ()
    inherits: tuple[tuple[str, str], ...] = ()
    partition_key: str | None = None
    partition_bound: str | None = None
    row_security: bool = False
    definition: str | None = None
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[ExistingIndex, ...] = ()
    statistics: tuple[ExtendedStatistics, ...] = ()
    counters: Counters = field(default_factory=Counters)

    @property
    def is_unanalysed(self) -> bool:
        """Whether neither VACUUM nor ANALYZE ever counted the rows; before version 14 such a table has 0 of them."""
        return (
            self.kind != "p" and self.relpages == 0 and (self.reltuples < 0 or (not self.reltuples and self.pages > 0))
        )

    def column(self, name: str) -> Column | None:
        """Return the column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaObject:
    """Something that tables, views or queries need: ``kind`` is schema, extension, type, function, view, …

    ``definition`` is the statement that makes it; they are in the order in which they can be made.
    """

    kind: str
    schema: str | None
    name: str
    definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """Something that a planner would want to know and that could not be read, with the reason."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All of it. ``settings`` are those that the planner reads, as SHOW prints them, by name; ``redacted`` says how.

    ``objects`` come before the tables in a rebuild, ``late_objects`` (views, functions over tables) after them.
    """

    server_version_num: int
    server_version: str
    database: str
    taken_at: datetime
    encoding: str = "UTF8"
    collate: str = "C"
    ctype: str = "C"
    locale_provider: str = "c"
    locale: str | None = None
    search_path: str = '"$user", public'
    settings: Mapping[str, str] = field(default_factory=dict)
    objects: tuple[SchemaObject, ...] = ()
    tables: tuple[Table, ...] = ()
    late_objects: tuple[SchemaObject, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    redacted: str = "keep"

    @property
    def major(self) -> int:
        """The major version, such as 18."""
        return self.server_version_num // 10_000

    def table(self, schema: str, name: str) -> Table | None:
        """Return the table of that name, or None."""
        return next((table for table in self.tables if (table.schema, table.name) == (schema, name)), None)

"""What one reading of a server found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dbtune.health.section import Section
from dbtune.health.values.activity import Holder, Slot, Standby, Vacuum, Workers
from dbtune.health.values.flow import Checkpoints, Io, Parallel, Wal
from dbtune.health.values.foreign_key import ForeignKey
from dbtune.health.values.index import Index, NullFraction
from dbtune.health.values.sequence import Sequence
from dbtune.health.values.server import Database, Server, Setting
from dbtune.health.values.statement import Statements
from dbtune.health.values.table import Table
from dbtune.migration.status import Broken, Partitioned


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """Something that was not to be seen, why, and what would show it."""

    what: str
    why: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The bytes that a table or index would have if it were written anew; ``error`` is relative.

    ``measured`` tells that pgstattuple counted, else they follow from statistics.
    """

    needed_bytes: int
    error: float
    measured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The sections that were read; tables, indexes and sequences are by their names as SQL, others by oid or key.

    ``unseen`` tells by section why it is not there. ``hidden`` is what is missing within sections that are.
    """

    server: Server
    tables: Mapping[str, Table] = field(default_factory=dict)
    indexes: Mapping[str, Index] = field(default_factory=dict)
    foreign_keys: tuple[ForeignKey, ...] = ()
    broken: tuple[Broken, ...] = ()
    partitioned: tuple[Partitioned, ...] = ()
    nulls: Mapping[int, NullFraction] = field(default_factory=dict)
    sizes: Mapping[int, Estimate] = field(default_factory=dict)
    sequences: Mapping[str, Sequence] = field(default_factory=dict)
    databases: tuple[Database, ...] = ()
    holders: tuple[Holder, ...] = ()
    vacuums: tuple[Vacuum, ...] = ()
    workers: Workers | None = None
    slots: tuple[Slot, ...] = ()
    standbys: tuple[Standby, ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=dict)
    io: Io | None = None
    checkpoints: Checkpoints | None = None
    wal: Wal | None = None
    parallel: Parallel | None = None
    statements: Statements | None = None
    read: frozenset[Section] = frozenset()
    unseen: Mapping[Section, Unseen] = field(default_factory=dict)
    hidden: tuple[Unseen, ...] = ()

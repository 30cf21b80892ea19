"""The parts in which a server is read: each may be missing, and the others do without it."""

from __future__ import annotations

from enum import StrEnum


class Section(StrEnum):
    """One thing to read."""

    SERVER = "server"
    TABLES = "tables"
    INDEXES = "indexes"
    FOREIGN_KEYS = "foreign keys"
    BROKEN = "invalid indexes"
    NULLS = "null fractions"
    SIZES = "estimated sizes"
    SEQUENCES = "sequences"
    DATABASES = "databases"
    HOLDERS = "holders of old rows"
    VACUUMS = "running vacuums"
    WORKERS = "autovacuum workers"
    SLOTS = "replication slots"
    STANDBYS = "standbys"
    SETTINGS = "settings"
    IO = "buffer use"
    CHECKPOINTS = "checkpoints"
    WAL = "WAL"
    PARALLEL = "parallel workers"
    STATEMENTS = "statements"


SINCE = {Section.IO: 16, Section.WAL: 14, Section.PARALLEL: 18}
"""The major version that first tells of it; the others are told from 13 on."""

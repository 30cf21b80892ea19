"""Replication slots, which keep WAL for those who have not read it yet, and are lost when there is too much of it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from dbtune import sql
from dbtune.server.connection import MARKER


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One row of dbtune/sql/migration_preflight_slots.sql. ``wal_status`` is NULL for one that keeps none."""

    name: str
    type: str
    active: bool
    wal_status: str | None
    safe_bytes: int | None
    kept_bytes: int | None


def read(connection: Connection) -> tuple[Slot, ...]:
    """Return the slots that outlive their session."""
    rows = connection.execute(text(f"{MARKER}\n{sql.load('migration_preflight_slots')}")).mappings()
    return tuple(Slot(**row) for row in rows)

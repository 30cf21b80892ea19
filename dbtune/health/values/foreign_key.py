"""A foreign key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """A row of dbtune/sql/health_foreign_keys.sql: ``columns`` of the table ``table_oid`` refer to ``parent_oid``.

    ``on_delete`` and ``on_update`` are confdeltype and confupdtype. ``above`` is the constraint of a partitioned table
    that it is a part of.
    """

    oid: int
    name: str
    table_oid: int
    columns: tuple[int, ...]
    column_names: tuple[str, ...]
    parent_oid: int
    above: int | None
    on_delete: str
    on_update: str
    comment: str | None

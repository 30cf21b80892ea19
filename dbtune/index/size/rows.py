"""How many rows a table has, as the planner counts them."""

from __future__ import annotations

from dbtune.snapshot.value import BLOCK, Snapshot, Table

_PAGE_HEADER = 24
_ROW_HEADER = 28
"""Bytes that a row takes besides its values: header, padded to 8, and line pointer."""
_UNKNOWN_WIDTH = 32


def of(table: Table, snapshot: Snapshot) -> float:
    """Return the rows of the table, of a partitioned one those of its partitions; at least 0.

    They grow with the file since the last VACUUM or ANALYZE. A table that neither has ever seen (``reltuples`` is -1,
    or before PostgreSQL 14 both it and ``relpages`` are 0) is taken to be full of rows of average width
    (plancat.c, estimate_rel_size).
    """
    leaves = leaves_of(table, snapshot)
    if table.kind == "p" and leaves:
        return sum(of(leaf, snapshot) for leaf in leaves)
    if table.reltuples >= 0 and (table.relpages > 0 or table.pages == 0):
        return table.reltuples * (table.pages / table.relpages if table.pages and table.relpages else 1.0)
    if table.reltuples > 0:
        return table.reltuples
    return float(table.pages * ((BLOCK - _PAGE_HEADER) // (_ROW_HEADER + _width(table))))


def leaves_of(table: Table, snapshot: Snapshot) -> list[Table]:
    """Return the partitions that hold a partitioned table's rows, in the snapshot's order; else none."""
    if table.kind != "p":
        return []
    name = (table.schema, table.name)
    found = []
    for child in snapshot.tables:
        if name in child.inherits and (child.partition_bound is not None or child.kind == "p"):
            found += leaves_of(child, snapshot) if child.kind == "p" else [child]
    return found


def _width(table: Table) -> int:
    return sum(
        column.statistics.avg_width
        if column.statistics is not None
        else column.length
        if column.length > 0
        else _UNKNOWN_WIDTH
        for column in table.columns
    )

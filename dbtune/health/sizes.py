"""How large large tables and indexes would be if they were written anew: from statistics, or counted by pgstattuple."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from dbtune import sql
from dbtune.errors import GaveUp, UsageError
from dbtune.health.section import Section
from dbtune.health.state import Estimate, Reading, Unseen
from dbtune.health.versioned import statement
from dbtune.index.candidates.schema import Schema
from dbtune.index.candidates.standing import describe
from dbtune.index.size import rows, storage
from dbtune.index.size.estimate import estimate
from dbtune.migration.name import qualified
from dbtune.server.connection import MARKER, is_lost, sqlstate
from dbtune.snapshot import read as snapshots
from dbtune.snapshot.value import BLOCK, Snapshot, Table

_PAGE_HEADER, _LINE_POINTER, _ROW_HEADER = 24, 4, 23
_FILLFACTOR = re.compile(r"fillfactor='?(\d+)")
_BTREE_FILLFACTOR, _HEAP_FILLFACTOR = 90, 100
_TABLE_ERROR, _UNKNOWN_ERROR = 0.15, 1.0
_DENIED = "42501"


def read(connection: Connection, reading: Reading, least_bytes: float) -> Reading:
    """Return the reading with estimates for tables and btrees of that size or more; without any nothing is read."""
    tables = {t.full_name: t.oid for t in reading.tables.values() if t.size_bytes >= least_bytes}
    indexes = {
        i.full_name: i.oid
        for i in reading.indexes.values()
        if i.size_bytes >= least_bytes and i.is_valid and i.method == "btree"
    }
    sizes: dict[int, Estimate] = {}
    if tables or indexes:
        try:
            snapshot = snapshots.read(connection)
        except GaveUp as error:
            unseen = Unseen(what=Section.SIZES.value, why=str(error))
            return replace(reading, unseen={**reading.unseen, Section.SIZES: unseen})
        sizes = _of_tables(snapshot, tables) | _of_indexes(snapshot, indexes)
    return replace(reading, sizes=sizes, read=reading.read | {Section.SIZES})


def _of_tables(snapshot: Snapshot, wanted: Mapping[str, int]) -> dict[int, Estimate]:
    found = {}
    for table in snapshot.tables:
        oid = wanted.get(qualified(table.schema, table.name))
        if oid is not None and not table.is_unanalysed:
            found[oid] = heap(table, snapshot)
    return found


def heap(table: Table, snapshot: Snapshot) -> Estimate:
    """Return what the rows of a table need, from the average widths of its columns (manual, 65.6)."""
    is_known = all(column.length > 0 or column.statistics is not None for column in table.columns)
    has_nulls = any(column.statistics is not None and column.statistics.null_frac > 0 for column in table.columns)
    offset = _aligned(_ROW_HEADER + ((len(table.columns) + 7) // 8 if has_nulls else 0))
    data = 0.0
    for column in table.columns:
        width = storage.average(column, column.statistics, column.type)
        filled = 1.0 if column.statistics is None else 1 - column.statistics.null_frac
        data += (storage.aligned(round(data), width, column) - round(data) + width) * filled
    row = offset + _aligned(round(data)) + _LINE_POINTER
    fillfactor = _fillfactor(" ".join(table.options), _HEAP_FILLFACTOR)
    room = (BLOCK - _PAGE_HEADER) * fillfactor / 100
    pages = rows.of(table, snapshot) / max(1.0, room // row)
    return Estimate(needed_bytes=round(pages) * BLOCK, error=_TABLE_ERROR if is_known else _UNKNOWN_ERROR)


def _aligned(size: int) -> int:
    return -(-size // 8) * 8


def _of_indexes(snapshot: Snapshot, wanted: Mapping[str, int]) -> dict[int, Estimate]:
    found = {}
    schema = Schema(snapshot)
    for table in snapshot.tables:
        for existing in table.indexes:
            oid = wanted.get(qualified(existing.schema, existing.name))
            if oid is None or table.is_unanalysed:
                continue
            size = estimate(describe(existing, table, schema), table, snapshot)
            fillfactor = _fillfactor(existing.definition, _BTREE_FILLFACTOR)
            found[oid] = Estimate(needed_bytes=round(size.bytes * _BTREE_FILLFACTOR / fillfactor), error=size.error)
    return found


def _fillfactor(text: str, usual: int) -> int:
    found = _FILLFACTOR.search(text)
    return int(found.group(1)) if found is not None else usual


def measure(connection: Connection, reading: Reading, share: float) -> Reading:
    """Return the reading with what pgstattuple counts for those that may waste ``share`` of their size.

    It reads all of each index, and of tables the pages that VACUUM has not seen to be all visible.

    :raises UsageError: the extension is not there.
    """
    schema = connection.execute(
        text(
            f"{MARKER} SELECT n.nspname::text FROM pg_catalog.pg_extension AS e "
            "JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pgstattuple'"
        )
    ).scalar()
    if schema is None:
        raise UsageError("--measure-bloat needs the extension pgstattuple here: CREATE EXTENSION pgstattuple")
    names: dict[int, tuple[int, str, dict[str, int]]] = {
        table.oid: (table.size_bytes, "health_measured_table", {}) for table in reading.tables.values()
    }
    for index in reading.indexes.values():
        fillfactor = {"fillfactor": _fillfactor(index.definition, _BTREE_FILLFACTOR)}
        names[index.oid] = (index.size_bytes, "health_measured_index", fillfactor)
    sizes = dict(reading.sizes)
    for oid, guess in reading.sizes.items():
        size, query, given = names[oid]
        if size - guess.needed_bytes * (1 - min(guess.error, 1)) < share * size:
            continue
        placed = statement(query, reading.server.major).replace("/* schema */", f"{sql.quote_identifier(schema)}.")
        try:
            needed = connection.execute(text(placed), {"oid": oid} | given).scalar()
        except DBAPIError as error:
            if is_lost(error) or sqlstate(error) != _DENIED:
                raise
            connection.rollback()
            denied = Unseen(
                what="bloat by pgstattuple",
                why="the role may not call it",
                remedy=f"GRANT pg_stat_scan_tables TO {sql.quote_identifier(reading.server.role)}",
            )
            return replace(reading, hidden=(*reading.hidden, denied))
        if needed is not None:
            sizes[oid] = Estimate(needed_bytes=int(needed), error=0.0, measured=True)
    connection.rollback()
    return replace(reading, sizes=sizes)

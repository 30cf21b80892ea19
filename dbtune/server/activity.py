"""What the statistics views tell of the use of tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, text

from dbtune import sql
from dbtune.server.connection import server_version_num


@dataclass(frozen=True, slots=True, kw_only=True)
class TableScans:
    """One row of dbtune/sql/table_scans.sql: counts since the statistics' reset, or over an interval.

    ``relpages`` are 8 kB pages of the heap at the last VACUUM or ANALYZE, ``size_bytes`` is the heap now.
    ``last_seq_scan`` needs PostgreSQL 16.
    """

    schemaname: str
    relname: str
    seq_scan: int
    seq_tup_read: int
    idx_scan: int
    n_live_tup: int
    relpages: int
    size_bytes: int
    last_seq_scan: datetime | None

    @property
    def rows_per_scan(self) -> float:
        """Rows read by one sequential scan, on average."""
        return self.seq_tup_read / self.seq_scan if self.seq_scan else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """Tables of a database by rows that sequential scans read, and the time in which they did.

    ``since`` is the statistics' reset (None: never reset) or the start of the interval; ``seconds`` is None for
    counts since the reset.
    """

    tables: tuple[TableScans, ...]
    since: datetime | None
    seconds: float | None


def table_scans(connection: Connection) -> ScanReport:
    """Read every user table's scan counters since the statistics' reset (pg_stat_user_tables)."""
    last = "s.last_seq_scan" if server_version_num(connection) >= 160_000 else "NULL::timestamptz"
    statement = sql.load("table_scans").replace("/* last_seq_scan */ NULL::timestamptz", last)
    rows = connection.execute(text(statement)).mappings().all()
    since = connection.execute(text(sql.load("stats_reset"))).scalar()
    connection.rollback()
    tables = tuple(TableScans(**row) for row in rows)
    return ScanReport(tables=_by_rows_read(tables), since=since, seconds=None)


def table_scans_over(connection: Connection, seconds: float, sleep: Callable[[float], None] = time.sleep) -> ScanReport:
    """Read the counters twice, ``seconds`` apart, and return what was added in between.

    A counter that went down was reset meanwhile; then the second reading is what was added.
    """
    before = {(t.schemaname, t.relname): t for t in table_scans(connection).tables}
    started = time.monotonic()
    since = connection.execute(text("/* dbtune */ SELECT now()")).scalar()
    connection.rollback()
    sleep(seconds)
    after = table_scans(connection).tables
    elapsed = time.monotonic() - started
    added = (_added(t, before.get((t.schemaname, t.relname))) for t in after)
    return ScanReport(tables=_by_rows_read(added), since=since, seconds=elapsed)


def _added(after: TableScans, before: TableScans | None) -> TableScans:
    if before is None or after.seq_scan < before.seq_scan or after.idx_scan < before.idx_scan:
        return after
    return replace(
        after,
        seq_scan=after.seq_scan - before.seq_scan,
        seq_tup_read=after.seq_tup_read - before.seq_tup_read,
        idx_scan=after.idx_scan - before.idx_scan,
    )


def _by_rows_read(tables: Iterable[TableScans]) -> tuple[TableScans, ...]:
    return tuple(sorted(tables, key=lambda t: (-t.seq_tup_read, -t.seq_scan, t.schemaname, t.relname)))

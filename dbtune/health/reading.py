"""Reading a server's health: one read-only transaction over catalogs and statistics views (dbtune/sql/health_*.sql).

Each section that cannot be read is left out with the reason, and the others do without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.exc import DBAPIError

from dbtune import sql
from dbtune.health import statements
from dbtune.health.section import SINCE, Section
from dbtune.health.state import Reading, Unseen
from dbtune.health.values import activity, flow, server
from dbtune.health.values.foreign_key import ForeignKey
from dbtune.health.values.index import Index, NullFraction
from dbtune.health.values.sequence import Sequence
from dbtune.health.values.table import Table
from dbtune.health.versioned import statement
from dbtune.migration import status
from dbtune.server.connection import MARKER, is_lost, reason, server_version_num, sqlstate
from dbtune.snapshot.session import opened

LOCK_MS = 2000
"""How long a statement waits for a lock; those that are taken at the time are gone around."""

STATEMENT_MS = 60_000
SETTINGS = (
    "autovacuum",
    "autovacuum_analyze_scale_factor",
    "autovacuum_analyze_threshold",
    "autovacuum_freeze_max_age",
    "autovacuum_multixact_freeze_max_age",
    "autovacuum_vacuum_max_threshold",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_threshold",
    "checkpoint_timeout",
    "compute_query_id",
    "default_statistics_target",
    "effective_cache_size",
    "fsync",
    "full_page_writes",
    "ignore_checksum_failure",
    "log_lock_waits",
    "log_temp_files",
    "maintenance_work_mem",
    "max_wal_size",
    "shared_buffers",
    "synchronous_commit",
    "track_counts",
    "track_io_timing",
    "wal_buffers",
    "zero_damaged_pages",
)
_SAVEPOINT = "dbtune_health"
_READS_STATS = "GRANT pg_monitor TO {role}"
_REASONS = {
    "42501": "the role may not read it",
    "55P03": f"somebody holds a lock on it for more than {LOCK_MS // 1000} s",
    "57014": f"it took more than {STATEMENT_MS // 1000} s",
}
_MISSING = frozenset({"42P01", "42703", "42883", "0A000", "55000"})
"""The server lacks a view, column or function, as forks of PostgreSQL do, or is not in the state to tell."""


def read(connection: Connection, sections: Iterable[Section]) -> Reading:
    """Return the sections of the connection's database; what the connection had begun is rolled back.

    :raises sqlalchemy.exc.DBAPIError: the connection is lost.
    """
    wanted = set(sections)
    with opened(connection) as session:
        session.print_alike()
        _send(connection, f"SET LOCAL lock_timeout = {LOCK_MS}")
        _send(connection, f"SET LOCAL statement_timeout = {STATEMENT_MS}")
        found = Reading(server=_server(connection))
        for section in Section:
            if section in wanted and section in _READERS:
                found = _with(found, connection, section)
    return found


def _server(connection: Connection) -> server.Server:
    query = statement("health_server", server_version_num(connection) // 10_000)
    return server.Server(**connection.execute(text(query)).mappings().one())


def _with(reading: Reading, connection: Connection, section: Section) -> Reading:
    """Return the reading with one section more, or with the reason why it is not there."""
    major = reading.server.major
    if major < SINCE.get(section, 0):
        return _without(reading, section, Unseen(what=section.value, why=f"PostgreSQL {SINCE[section]} tells of it"))
    _send(connection, f"SAVEPOINT {_SAVEPOINT}")
    try:
        found = _READERS[section](connection, reading)
        return found if section in found.unseen else replace(found, read=found.read | {section})
    except DBAPIError as error:
        if is_lost(error):
            raise
        state = sqlstate(error) or ""
        if state not in _REASONS and state not in _MISSING:
            raise
        why = _REASONS.get(state, f"the server does not tell: {reason(error)}")
        return _without(reading, section, Unseen(what=section.value, why=why))
    finally:
        if not connection.invalidated and not connection.closed:
            _send(connection, f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")


def _without(reading: Reading, section: Section, unseen: Unseen) -> Reading:
    return replace(reading, unseen={**reading.unseen, section: unseen})


def _send(connection: Connection, query: str) -> None:
    connection.exec_driver_sql(f"{MARKER} {query}", execution_options={"no_parameters": True})


def _rows(connection: Connection, name: str, **parameters: Any) -> list[RowMapping]:
    query = statement(name, server_version_num(connection) // 10_000)
    return list(connection.execute(text(query), parameters).mappings())


def _tuples(row: RowMapping) -> dict[str, Any]:
    """Return the row as a mapping whose arrays are tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}


def _tables(connection: Connection, reading: Reading) -> Reading:
    found = [Table(**_tuples(row)) for row in _rows(connection, "health_tables")]
    return replace(reading, tables={table.full_name: table for table in found})


def _indexes(connection: Connection, reading: Reading) -> Reading:
    found = [Index(**_tuples(row)) for row in _rows(connection, "health_indexes")]
    return replace(reading, indexes={index.full_name: index for index in found})


def _foreign_keys(connection: Connection, reading: Reading) -> Reading:
    found = [ForeignKey(**_tuples(row)) for row in _rows(connection, "health_foreign_keys")]
    return replace(reading, foreign_keys=tuple(found))


def _broken(connection: Connection, reading: Reading) -> Reading:
    found = status.read(connection)
    return replace(reading, broken=found.broken, partitioned=found.partitioned)


def _nulls(connection: Connection, reading: Reading) -> Reading:
    found = [NullFraction(**row) for row in _rows(connection, "health_null_fractions")]
    unreadable = sum(not each.readable for each in found)
    return _hiding(
        replace(reading, nulls={each.oid: each for each in found}),
        unreadable,
        Unseen(
            what=f"the values of {unreadable} indexed columns",
            why="the role may not SELECT them, and so not see their statistics",
            remedy=f"GRANT pg_read_all_data TO {sql.quote_identifier(reading.server.role)} (PostgreSQL 14)",
        ),
    )


def _sequences(connection: Connection, reading: Reading) -> Reading:
    found = [Sequence(**row) for row in _rows(connection, "health_sequences")]
    unreadable = sum(not each.readable for each in found)
    return _hiding(
        replace(reading, sequences={each.full_name: each for each in found}),
        unreadable,
        Unseen(
            what=f"where {unreadable} of {len(found)} sequences stand",
            why="the role has neither USAGE nor SELECT on them",
            remedy=f"GRANT pg_read_all_data TO {sql.quote_identifier(reading.server.role)} (PostgreSQL 14)",
        ),
    )


def _databases(connection: Connection, reading: Reading) -> Reading:
    return replace(reading, databases=tuple(server.Database(**row) for row in _rows(connection, "health_databases")))


def _holders(connection: Connection, reading: Reading) -> Reading:
    found = tuple(activity.Holder(**row) for row in _rows(connection, "health_holders"))
    return _hiding(replace(reading, holders=found), not reading.server.reads_stats, _of_others(reading, "transactions"))


def _vacuums(connection: Connection, reading: Reading) -> Reading:
    found = tuple(activity.Vacuum(**row) for row in _rows(connection, "health_vacuums"))
    hidden = sum(not vacuum.shown for vacuum in found)
    return _hiding(replace(reading, vacuums=found), hidden, _of_others(reading, "VACUUMs"))


def _workers(connection: Connection, reading: Reading) -> Reading:
    if not reading.server.reads_stats:
        unseen = replace(_of_others(reading, ""), what=Section.WORKERS.value)
        return _without(reading, Section.WORKERS, unseen)
    (row,) = _rows(connection, "health_workers")
    return replace(reading, workers=activity.Workers(**row))


def _slots(connection: Connection, reading: Reading) -> Reading:
    return replace(reading, slots=tuple(activity.Slot(**row) for row in _rows(connection, "health_slots")))


def _standbys(connection: Connection, reading: Reading) -> Reading:
    found = tuple(activity.Standby(**row) for row in _rows(connection, "health_standbys"))
    hidden = bool(found) and not reading.server.reads_stats
    unseen = replace(_of_others(reading, ""), what="how far standbys lag behind")
    return _hiding(replace(reading, standbys=found), hidden, unseen)


def _settings(connection: Connection, reading: Reading) -> Reading:
    found = [server.Setting(**row) for row in _rows(connection, "health_settings", names=list(SETTINGS))]
    return replace(reading, settings={setting.name: setting for setting in found})


def _io(connection: Connection, reading: Reading) -> Reading:
    (row,) = _rows(connection, "health_io")
    return replace(reading, io=flow.Io(**row))


def _checkpoints(connection: Connection, reading: Reading) -> Reading:
    (row,) = _rows(connection, "health_checkpoints")
    return replace(reading, checkpoints=flow.Checkpoints(**row))


def _wal(connection: Connection, reading: Reading) -> Reading:
    (row,) = _rows(connection, "health_wal")
    return replace(reading, wal=flow.Wal(**row))


def _parallel(connection: Connection, reading: Reading) -> Reading:
    (row,) = _rows(connection, "health_parallel")
    return replace(reading, parallel=flow.Parallel(**row))


def _statements(connection: Connection, reading: Reading) -> Reading:
    found = statements.read(connection)
    hidden = found.coverage.hidden
    unseen = replace(_of_others(reading, ""), what=f"{hidden} entries of pg_stat_statements")
    return _hiding(replace(reading, statements=found), hidden, unseen)


def _of_others(reading: Reading, what: str) -> Unseen:
    return Unseen(
        what=f"other roles' {what}",
        why=f"role {reading.server.role} is no member of pg_read_all_stats",
        remedy=_READS_STATS.format(role=sql.quote_identifier(reading.server.role)),
    )


def _hiding(reading: Reading, hidden: float, unseen: Unseen) -> Reading:
    return replace(reading, hidden=(*reading.hidden, unseen)) if hidden else reading


_READERS: Mapping[Section, Callable[[Connection, Reading], Reading]] = {
    Section.TABLES: _tables,
    Section.INDEXES: _indexes,
    Section.FOREIGN_KEYS: _foreign_keys,
    Section.BROKEN: _broken,
    Section.NULLS: _nulls,
    Section.SEQUENCES: _sequences,
    Section.DATABASES: _databases,
    Section.HOLDERS: _holders,
    Section.VACUUMS: _vacuums,
    Section.WORKERS: _workers,
    Section.SLOTS: _slots,
    Section.STANDBYS: _standbys,
    Section.SETTINGS: _settings,
    Section.IO: _io,
    Section.CHECKPOINTS: _checkpoints,
    Section.WAL: _wal,
    Section.PARALLEL: _parallel,
    Section.STATEMENTS: _statements,
}

"""Asking a server for plans, safely: read-only, bounded in time, rolled back, and nothing run that could change data.

Each query is PREPAREd, so that the server resolves the types of its parameters, planned, and only then run. A
statement that would write or lock rows is planned but not run, unless :attr:`Options.write_ok`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtune.errors import BadFile, ServerError
from dbtune.plan.access import access_paths
from dbtune.plan.formats import documents
from dbtune.plan.parse import parse
from dbtune.plan.tree import Plan
from dbtune.server.connection import MARKER, is_lost, reason, server_version_num, sqlstate
from dbtune.sql import quote_literal
from dbtune.workload import lexer
from dbtune.workload.query import GENERIC, ParameterSet, Query

_NAME = "dbtune_query"
_WRITERS = frozenset({"ModifyTable", "LockRows"})

# Functions that act on the server although the transaction is read-only (manual, 9.28 and the modules' pages):
# they signal, wait, keep locks after the rollback, write files, or open connections of their own.
_ACTING = frozenset(
    """
    dblink dblink_exec dblink_send_query dblink_connect lo_export lo_import pg_advisory_lock pg_advisory_lock_shared
    pg_cancel_backend pg_create_restore_point pg_drop_replication_slot pg_file_rename pg_file_unlink pg_file_write
    pg_log_backend_memory_contexts pg_logical_emit_message pg_promote pg_reload_conf pg_replication_slot_advance
    pg_rotate_logfile pg_stat_reset pg_stat_reset_shared pg_stat_reset_single_table_counters pg_stat_statements_reset
    pg_switch_wal pg_terminate_backend pg_try_advisory_lock pg_try_advisory_lock_shared pg_backup_start pg_backup_stop
    pg_start_backup pg_stop_backup pg_wal_replay_pause pg_wal_replay_resume pg_notify
    pg_logical_slot_get_changes pg_logical_slot_get_binary_changes pg_copy_logical_replication_slot
    pg_create_logical_replication_slot pg_create_physical_replication_slot pg_copy_physical_replication_slot
    """.split()
)

# What a server says when the query, its file or a value in it is at fault: syntax, names, types, bad values.
_FILE_AT_FAULT = ("42601", "42P01", "42703", "42883", "42704", "42P02", "42P18", "42804", "42846", "3F000", "42P10")
_VALUE_AT_FAULT = ("22",)


class Status(Enum):
    """How far a query came."""

    MEASURED = "measured"
    PLANNED = "planned"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to explain. Times are in milliseconds; 0 means no limit, as in PostgreSQL."""

    analyze: bool = True
    write_ok: bool = False
    warm_up: bool = True
    statement_timeout_ms: int = 30_000
    lock_timeout_ms: int = 2_000
    settings: tuple[tuple[str, str], ...] = ()
    """Settings for these transactions only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A query with one of its parameter sets, and its plan as far as there is one.

    ``parameter_set`` is the set's name, :data:`GENERIC` where no value was known, None for a query without parameters.
    ``reason`` says why it was not measured; ``fault`` is set where the query's file is to blame; ``timed_out`` where
    the time limit is. ``sqlstate`` is the server's code for what it refused.
    """

    query: Query
    parameter_set: str | None
    status: Status
    plan: Plan | None = None
    reason: str | None = None
    fault: BadFile | None = None
    timed_out: bool = False
    sqlstate: str | None = None

    @property
    def provenance(self) -> str | None:
        """Where the values come from: captured, sampled, or generic (there are none); None without parameters."""
        if self.parameter_set is None or self.parameter_set == GENERIC:
            return self.parameter_set
        chosen = self.query.parameter_set(self.parameter_set)
        return chosen.provenance if chosen is not None else None


def choose_set(query: Query, wanted: str | None = None) -> ParameterSet | None:
    """Return the parameter set to run: the one named ``wanted`` if the query has it, else its first."""
    if wanted is not None and (found := query.parameter_set(wanted)) is not None:
        return found
    return query.sets[0] if query.sets else None


def explain(
    connection: Connection,
    query: Query,
    chosen: ParameterSet | None,
    options: Options = Options(),
) -> Explained:
    """Plan ``query`` with the values of ``chosen`` and, where it is safe, run and measure it.

    Everything happens in one transaction that is rolled back. What the server refuses is told in the result.

    :raises ServerError: the connection is lost.
    """
    needs_values = lexer.parameter_count(query.statement) > 0
    name = chosen.name if chosen else GENERIC if needs_values else None
    version = server_version_num(connection)
    generic = needs_values and chosen is None
    plan: Plan | None = None
    try:
        with _transaction(connection, query, options, generic=generic):
            execute = _execute(query, chosen)
            plan = _plan(connection, _plan_options(version), execute)
            if refusal := _refusal(query, plan, options, generic=generic):
                return Explained(query=query, parameter_set=name, status=Status.PLANNED, plan=plan, reason=refusal)
            if options.warm_up:
                # what the warm-up changes is undone, so that the measured run meets the same rows
                _send(connection, "SAVEPOINT dbtune_warm_up")
                _send(connection, f"EXPLAIN (ANALYZE, TIMING OFF) {execute}")
                _send(connection, "ROLLBACK TO SAVEPOINT dbtune_warm_up")
            measured = _plan(connection, _analyze_options(version), execute)
            if not needs_values:
                measured = _with_planning(measured, plan)
            return Explained(query=query, parameter_set=name, status=Status.MEASURED, plan=measured)
    except DBAPIError as error:
        if is_lost(error):
            raise ServerError(f"the connection was lost during {query.name}: {reason(error)}") from None
        return _refused(query, name, plan, error, options)


def alternatives(connection: Connection, query: Query, options: Options) -> dict[str, Plan]:
    """Plan a query with each of its parameter sets and without any (:data:`GENERIC`); nothing is run.

    What the server refuses is left out.
    """
    if not lexer.parameter_count(query.statement):
        return {}
    plans: dict[str, Plan] = {}
    asked = _plan_options(server_version_num(connection))
    with suppress(DBAPIError), _transaction(connection, query, options, generic=False):
        for chosen in query.sets:
            plans[chosen.name] = _plan(connection, asked, _execute(query, chosen))
        _send(connection, "SET LOCAL plan_cache_mode = 'force_generic_plan'")
        plans[GENERIC] = _plan(connection, asked, _execute(query, query.sets[0] if query.sets else None))
    return plans


def index_paths(connection: Connection, query: Query, chosen: ParameterSet | None, options: Options) -> dict[str, bool]:
    """Return for each table of a query whether any index could look up its rows; nothing is run.

    The planner is asked with sequential scans discouraged, then also hash and merge joins, so that small tables and
    today's statistics do not hide an index that is there.
    """
    found: dict[str, bool] = {}
    asked = _plan_options(server_version_num(connection))
    generic = chosen is None and lexer.parameter_count(query.statement) > 0
    with suppress(DBAPIError), _transaction(connection, query, options, generic=generic):
        for settings in ((), ("enable_seqscan",), ("enable_hashjoin", "enable_mergejoin")):
            for name in settings:
                _send(connection, f"SET LOCAL {name} = off")
            for path in access_paths(_plan(connection, asked, _execute(query, chosen))):
                found[path.relation] = found.get(path.relation, False) or path.looks_up
    return found


def with_work_mem(
    connection: Connection, query: Query, chosen: ParameterSet | None, options: Options, work_mem_kb: int
) -> Explained:
    """Measure a query again with another work_mem, for this one execution; as :func:`explain` otherwise."""
    return explain(connection, query, chosen, replace(options, settings=(("work_mem", f"{work_mem_kb}kB"),)))


def _with_planning(measured: Plan, planned: Plan) -> Plan:
    """Return the measured plan with the first one's planning: without parameters the server plans but once."""
    planning = {key: planned.raw[key] for key in ("Planning", "Planning Time") if key in planned.raw}
    return replace(measured, raw={**measured.raw, **planning})


def _refused(query: Query, name: str | None, plan: Plan | None, error: DBAPIError, options: Options) -> Explained:
    """Return what to tell of a query that the server refused to plan or to run."""
    state = sqlstate(error) or ""
    said = reason(error)
    status = Status.SKIPPED if plan is None else Status.PLANNED
    fault: BadFile | None = None
    timed_out = False
    if state == "57014":
        timed_out = True
        said = f"took longer than {options.statement_timeout_ms / 1000:g} s (--timeout)"
    elif state == "55P03":
        timed_out = True
        said = f"waited longer than {options.lock_timeout_ms / 1000:g} s for a lock"
    elif query.path is not None and (state in _FILE_AT_FAULT or state.startswith(_VALUE_AT_FAULT)):
        line = _line_at_fault(query, error)
        fault = BadFile(query.path, f"parameter set {name!r}: {said}" if state.startswith("22") else said, line=line)
    return Explained(
        query=query,
        parameter_set=name,
        status=status,
        plan=plan,
        reason=said,
        fault=fault,
        timed_out=timed_out,
        sqlstate=state or None,
    )


def _line_at_fault(query: Query, error: DBAPIError) -> int:
    """Return the line of the query's file at which the server's error points, else where its statement starts."""
    position = getattr(getattr(error.orig, "diag", None), "statement_position", None)
    prefix = len(_prepare_prefix(query))
    if position is None or not prefix < int(position) <= prefix + len(query.statement) + 1:
        return query.line
    return query.line + lexer.line_of(query.statement, int(position) - prefix - 1) - 1


@contextmanager
def _transaction(connection: Connection, query: Query, options: Options, *, generic: bool) -> Iterator[None]:
    """Prepare the query in a transaction with limits, and leave nothing behind."""
    try:
        if not options.write_ok:
            _send(connection, "SET TRANSACTION READ ONLY")
        settings = {
            "statement_timeout": str(options.statement_timeout_ms),
            "lock_timeout": str(options.lock_timeout_ms),
            "idle_in_transaction_session_timeout": "60000",
            "standard_conforming_strings": "on",
            "plan_cache_mode": "force_generic_plan" if generic else "force_custom_plan",
            **dict(options.settings),
        }
        for name, value in settings.items():
            _send(connection, f"SET LOCAL {name} = {quote_literal(value)}")
        _send(connection, _prepare_prefix(query, marked=False) + query.statement)
        yield
    finally:
        # Against a broken connection both fail; what broke it is already on its way up.
        with suppress(DBAPIError):
            connection.rollback()
            _send(connection, f"DEALLOCATE {'ALL' if _is_only_ours(connection) else _NAME}")
        with suppress(DBAPIError):
            connection.rollback()


def _is_only_ours(connection: Connection) -> bool:
    """DEALLOCATE of a name that was never prepared is an error; psycopg 3 keeps prepared statements of its own."""
    return connection.dialect.driver == "psycopg2"


def _prepare_prefix(query: Query, *, marked: bool = True) -> str:
    types = f" ({', '.join(query.types)})" if query.types else ""
    return (f"{MARKER} " if marked else "") + f"PREPARE {_NAME}{types} AS "


def _execute(query: Query, chosen: ParameterSet | None) -> str:
    values = chosen.values if chosen else (None,) * lexer.parameter_count(query.statement)
    arguments = f" ({', '.join(map(quote_literal, values))})" if values else ""
    return f"EXECUTE {_NAME}{arguments}"


def _plan_options(version: int) -> str:
    return "VERBOSE, SETTINGS, BUFFERS, SUMMARY" + (", MEMORY" if version >= 170_000 else "")


def _analyze_options(version: int) -> str:
    return "ANALYZE, BUFFERS, VERBOSE, SETTINGS, WAL" + (", SERIALIZE TEXT, MEMORY" if version >= 170_000 else "")


def _plan(connection: Connection, options: str, execute: str) -> Plan:
    try:
        (document,) = _send(connection, f"EXPLAIN ({options}, FORMAT JSON) {execute}")
    except json.JSONDecodeError as error:
        # the JSON that the server prints of a MERGE into a partitioned table is broken; this reader is more lenient
        (document,) = documents(error.doc)
    (plan,) = parse(document)
    return plan


def _refusal(query: Query, plan: Plan, options: Options, *, generic: bool) -> str | None:
    """Return why a planned query must not be run, None if it may be."""
    if not options.analyze:
        return "as asked by --plan-only"
    if generic:
        return "generic plan, no parameter values are known"
    if not options.write_ok and (writers := {n.node_type for n in plan.walk()} & _WRITERS):
        what = "changes data" if "ModifyTable" in writers else "locks rows"
        return f"{what} (--write-ok runs it and rolls back)"
    if acting := sorted(lexer.called_functions(query.statement) & _ACTING):
        return f"calls {acting[0]}(), which acts on the server"
    return None


def _send(connection: Connection, statement: str) -> tuple[object, ...]:
    """Send one statement as it is, led by the marker; return its first row's columns, or nothing."""
    done = connection.exec_driver_sql(f"{MARKER} {statement}", execution_options={"no_parameters": True})
    if not done.returns_rows:
        return ()
    row = done.first()
    return tuple(row) if row is not None else ()

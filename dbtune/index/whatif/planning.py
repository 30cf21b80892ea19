"""Asking a server for one plan, fast: in a transaction that is open already, and never running the statement."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from dbtune.index.whatif.protocol import Question
from dbtune.plan.formats import documents
from dbtune.server.connection import MARKER
from dbtune.sql import quote_literal
from dbtune.workload.fingerprint import is_preparable
from dbtune.workload.lexer import Unterminated, parameter_count
from dbtune.workload.query import Query

_NAME = "dbtune_question"

STATEMENT_TIMEOUT_MS = 60_000
"""Planning takes milliseconds; a statement that takes this long to plan is refused."""

SESSION = (
    f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}",
    "SET lock_timeout = 2000",
    "SET standard_conforming_strings = on",
    "SET plan_cache_mode = force_custom_plan",
)
"""What a session that asks for plans sets first."""


def obstacle(query: Query) -> str | None:
    """Return why a query cannot be asked about, None if it can: it must be one statement that PREPARE takes."""
    return _obstacle(query.statement)


@lru_cache(maxsize=4096)
def _obstacle(statement: str) -> str | None:
    try:
        parameter_count(statement)
    except Unterminated as error:
        return str(error)
    return None if is_preparable(statement) else "it is no single statement that reads or changes rows"


_parameters = lru_cache(maxsize=4096)(parameter_count)


def explain(connection: Connection, question: Question) -> Mapping[str, Any]:
    """Return what EXPLAIN (VERBOSE, FORMAT JSON) prints of the question's statement; nothing is run.

    :raises sqlalchemy.exc.DBAPIError: the server refuses.
    """
    query = question.query
    count = _parameters(query.statement)
    if count == 0:
        return _document(connection, query.statement)
    values = question.values
    generic = values is None
    types = f" ({', '.join(query.types)})" if query.types else ""
    send(connection, f"PREPARE {_NAME}{types} AS {query.statement}")
    try:
        if generic:
            send(connection, "SET LOCAL plan_cache_mode = force_generic_plan")
        arguments = ", ".join(quote_literal(value) for value in values or (None,) * count)
        return _document(connection, f"EXECUTE {_NAME} ({arguments})")
    finally:
        # a plan that is kept would not notice that indexes were switched
        if not is_aborted(connection):
            send(connection, f"DEALLOCATE {_NAME}")


def forget(connection: Connection) -> None:
    """Remove what a refused question left prepared; the transaction must be over."""
    if connection.dialect.driver == "psycopg2":
        send(connection, "DEALLOCATE ALL")
    elif connection.exec_driver_sql(
        f"{MARKER} SELECT 1 FROM pg_catalog.pg_prepared_statements WHERE name = '{_NAME}'"
    ).first():
        send(connection, f"DEALLOCATE {_NAME}")
    connection.rollback()


def is_aborted(connection: Connection) -> bool:
    """Return whether the transaction failed, or was interrupted, so that nothing but a rollback is taken."""
    if connection.invalidated:
        return True
    info: Any = getattr(connection.connection.dbapi_connection, "info", None)
    return int(getattr(info, "transaction_status", 0)) == 3


def send(connection: Connection, statement: str) -> tuple[Any, ...]:
    """Send one statement as it is, led by the marker; return its first row, or nothing."""
    done = connection.exec_driver_sql(f"{MARKER} {statement}", execution_options={"no_parameters": True})
    if not done.returns_rows:
        return ()
    row = done.first()
    return tuple(row) if row is not None else ()


def _document(connection: Connection, statement: str) -> Mapping[str, Any]:
    try:
        (found,) = send(connection, f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}")
    except json.JSONDecodeError as error:
        # the JSON that the server prints of a MERGE into a partitioned table is broken; this reader is more lenient
        (found,) = documents(error.doc)
    document = found[0] if isinstance(found, list) else found
    assert isinstance(document, Mapping)
    return document


def used(document: Mapping[str, Any], ids: Mapping[tuple[str, str], int]) -> frozenset[int]:
    """Return which indexes a plan uses. ``ids`` are by schema and name, the schema being that of the index's table."""
    return frozenset(ids[name] for name in _names(document["Plan"], "") if name in ids)


def used_by_name(document: Mapping[str, Any], ids: Mapping[str, int]) -> frozenset[int]:
    """Return which of the indexes a plan uses whose names are like no other's, whatever their schema."""
    return frozenset(ids[name] for _, name in _names(document["Plan"], "") if name in ids)


def _names(root: Mapping[str, Any], schema: str) -> Iterator[tuple[str, str]]:
    """Yield schema and name of each index in a plan: a bitmap's index scan stands below the scan of its table."""
    waiting = [(root, schema)]
    while waiting:
        node, around = waiting.pop()
        schema = str(node.get("Schema", around))
        if "Index Name" in node:
            yield schema, str(node["Index Name"])
        waiting.extend((below, schema) for below in node.get("Plans", ()))

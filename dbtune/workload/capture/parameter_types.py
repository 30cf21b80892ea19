"""The types of a query's parameters, asked from the server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, CursorResult
from sqlalchemy.exc import DBAPIError

from dbtune.errors import ServerError
from dbtune.server.connection import MARKER, is_lost, reason, sqlstate
from dbtune.workload import lexer
from dbtune.workload.capture.values import UNKNOWN
from dbtune.workload.fingerprint import is_preparable
from dbtune.workload.lexer import Kind
from dbtune.workload.query import Query

_NAME = "dbtune_types"
_SETTINGS = ("standard_conforming_strings = on", "lock_timeout = '2s'")

# What a server says of GROUP BY, DISTINCT or ORDER BY when an expression comes back with another parameter in it.
_NOT_THE_SAME_EXPRESSION = ("42803", "42P10")


def resolve_types(connection: Connection, queries: Sequence[Query]) -> list[Query]:
    """Return ``queries`` with the types that the server finds for their parameters, as PREPARE takes them.

    A statement that the server cannot prepare keeps no types. Where it cannot because an expression of GROUP BY,
    DISTINCT or ORDER BY came with a second parameter for the same value, the two become one. Nothing is run; the
    transaction is rolled back if it was not already open.

    :raises ServerError: the connection is lost.
    """
    was_open = connection.in_transaction()
    try:
        with connection.begin_nested() as around:
            for setting in _SETTINGS:
                _send(connection, f"SET LOCAL {setting}")
            resolved = [_resolved(connection, query) for query in queries]
            around.rollback()
    except DBAPIError as error:
        raise ServerError(f"the types of the parameters cannot be found: {reason(error)}") from None
    finally:
        if not was_open:
            connection.rollback()
    return resolved


def _resolved(connection: Connection, query: Query) -> Query:
    untyped = replace(query, types=())
    if not is_preparable(query.statement) or not lexer.parameter_count(query.statement):
        return untyped
    for attempt in dict.fromkeys((query, untyped)):
        found, state = _attempt(connection, attempt)
        if found is None and state in _NOT_THE_SAME_EXPRESSION:
            unified = (_attempt(connection, each)[0] for each in _unified(attempt))
            found = next((each for each in unified if each is not None), None)
        if found is not None:
            return found
    return untyped


def _attempt(connection: Connection, query: Query) -> tuple[Query | None, str | None]:
    """Return the query with all its types; or None, and the SQLSTATE with which the server refuses it."""
    try:
        with connection.begin_nested():
            return replace(query, types=_prepared_types(connection, query)), None
    except DBAPIError as error:
        if is_lost(error):
            raise
        return None, sqlstate(error)


def _prepared_types(connection: Connection, query: Query) -> tuple[str, ...]:
    """Return the types of the parameters as the server's parser finds them (pg_prepared_statements)."""
    types = f" ({', '.join(query.types)})" if query.types else ""
    _send(connection, f"PREPARE {_NAME}{types} AS {query.statement}")
    found = _send(connection, f"SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = '{_NAME}'")
    _send(connection, f"DEALLOCATE {_NAME}")
    return tuple(found.scalar_one())


def _send(connection: Connection, statement: str) -> CursorResult[Any]:
    return connection.exec_driver_sql(f"{MARKER} {statement}", execution_options={"no_parameters": True})


def _unified(query: Query) -> Iterator[Query]:
    """Yield ``query`` with one parameter for those that have the same value in every set.

    The application's driver wrote constants, of which equal ones make equal expressions; ``$1`` and ``$2`` never do.
    First only those that also follow the same two words become one, then all.
    """
    said = [t for t in lexer.tokens(query.statement) if t.kind not in (Kind.SPACE, Kind.COMMENT)]
    near: defaultdict[object, list[int]] = defaultdict(list)
    anywhere: defaultdict[object, list[int]] = defaultdict(list)
    for index, token in enumerate(said):
        if token.kind is Kind.PARAMETER:
            number = int(token.text[1:])
            values = tuple(chosen.values[number - 1] for chosen in query.sets)
            type_ = query.types[number - 1] if query.types else UNKNOWN
            near[values, type_, *(t.text.lower() for t in said[max(index - 2, 0) : index])].append(number)
            anywhere[values, type_].append(number)
    for groups in (near, anywhere):
        yield _with_one_each(query, groups.values())


def _with_one_each(query: Query, groups: Iterable[Sequence[int]]) -> Query:
    """Return ``query`` with the first parameter of each group in the place of the others."""
    first: dict[int, int] = {}
    for group in groups:
        for number in group:
            first.setdefault(number, first.get(group[0], group[0]))
    kept: list[int] = []
    pieces: list[str] = []
    for token in lexer.tokens(query.statement):
        if token.kind is not Kind.PARAMETER:
            pieces.append(token.text)
            continue
        number = int(token.text[1:])
        number = first.get(number, number)
        if number not in kept:
            kept.append(number)
        pieces.append(f"${kept.index(number) + 1}")
    return replace(
        query,
        statement="".join(pieces),
        types=tuple(query.types[number - 1] for number in kept) if query.types else (),
        sets=tuple(replace(s, values=tuple(s.values[number - 1] for number in kept)) for s in query.sets),
    )

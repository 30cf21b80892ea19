"""What a SQLAlchemy engine really sends, recorded by events and turned into queries with parameter sets.

    with record(engine) as recorder:
        with recorder.route("GET /respondents/email"):
            ...                                     # the application at work
    with connect(target) as connection:
        queries = resolve_types(connection, collect(recorder.executions))

Record an ``AsyncEngine`` by its ``sync_engine``. Statements of dbtune's own, transaction control and other statements
that PREPARE cannot take are left out.
"""

from __future__ import annotations

import json
import re
import threading
import weakref
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from itertools import count
from math import isfinite
from time import perf_counter
from typing import Any, NamedTuple
from uuid import UUID

from psycopg2.extensions import AsIs
from sqlalchemy import Connection, CursorResult, Engine, event
from sqlalchemy.engine import Dialect, ExceptionContext
from sqlalchemy.exc import DBAPIError

from dbtune.errors import ServerError
from dbtune.server.connection import MARKER, is_lost, reason, sqlstate
from dbtune.workload import lexer
from dbtune.workload.fingerprint import LONGEST_NAME, fingerprint, is_preparable, layout, name, normalised
from dbtune.workload.lexer import Kind
from dbtune.workload.query import ParameterSet, Query

SOURCE = "sqlalchemy"
UNKNOWN = "unknown"
"""The type, in PREPARE's words, of a parameter whose type the server is to infer."""

_NAME = "dbtune_types"
_SETTINGS = ("standard_conforming_strings = on", "lock_timeout = '2s'")
_KEPT_ROWS = 100
_CANCELLED = "57014"
_ROUTES_SHOWN = 3
_PLACEHOLDER = re.compile(r"%(?:%|\((?P<name>[^)]*)\)[sbt]|[sbt])")
_TO_QUOTE = re.compile(r'[\s{}()\[\]",\\]')
_NUMBERS = ("integer", "bigint", "numeric")

# What a server says of GROUP BY, DISTINCT or ORDER BY when an expression comes back with another parameter in it.
_NOT_THE_SAME_EXPRESSION = ("42803", "42P10")

_route: ContextVar[str | None] = ContextVar("dbtune_route", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A statement as it was sent once, or ``calls`` times as a part of a long executemany.

    ``values`` are in PostgreSQL's text format, one for each ``$n``. ``types`` are those that the driver states along
    with the values (psycopg2 writes ``'2019-01-30'::date``), ``unknown`` where it leaves the type to the server.
    ``duration_ms`` is one call's time as the application saw it. ``rows`` were returned or affected, None where the
    driver does not know. ``error`` says that the server or driver refused, ``sqlstate`` why.
    """

    statement: str
    values: tuple[str | None, ...]
    types: tuple[str, ...]
    duration_ms: float
    rows: int | None
    route: str | None
    error: bool = False
    sqlstate: str | None = None
    calls: int = 1

    @property
    def ran(self) -> bool:
        """Whether it is evidence of a query: it succeeded, or a time limit ended it."""
        return not self.error or self.sqlstate == _CANCELLED


class _Begun(NamedTuple):
    """What the driver is about to be given; a tuple, because it is made while the application waits."""

    dialect: Dialect
    statement: str
    parameters: Any
    calls: int
    literal: bool
    started: float


class _Sent(NamedTuple):
    """The same when it is done; times are in seconds."""

    begun: _Begun
    ended: float
    rowcount: int
    route: str | None
    error: BaseException | None


class Recorder:
    """What an engine sent while :func:`record` was listening, in the order in which it was done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: weakref.WeakKeyDictionary[object, _Begun] = weakref.WeakKeyDictionary()
        self._sent: list[_Sent] = []
        self._executions: list[Execution] = []

    @contextmanager
    def route(self, name: str) -> Iterator[None]:
        """Label what this thread or task sends inside the block; the innermost label wins."""
        token = _route.set(name)
        try:
            yield
        finally:
            _route.reset(token)

    @property
    def executions(self) -> list[Execution]:
        """What was sent until now."""
        with self._lock:
            sent, self._sent = self._sent, []
            for one in sent:
                self._executions.extend(_executions(one))
            return list(self._executions)

    def _before(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        """Take the statement now: after a batch of a bulk INSERT, SQLAlchemy 2.0 tells another one than it sent."""
        many = isinstance(parameters, list)
        calls = len(parameters) if many else 1
        copied = [_copied(row) for row in parameters[:_KEPT_ROWS]] if many else _copied(parameters)
        literal = not parameters and bool(context.no_parameters)
        self._begun[context] = _Begun(connection.dialect, statement, copied, calls, literal, perf_counter())

    def _after(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        self._end(context, perf_counter(), getattr(cursor, "rowcount", -1), None)

    def _failed(self, failure: ExceptionContext) -> None:
        if failure.execution_context is not None:
            self._end(failure.execution_context, perf_counter(), -1, failure.original_exception)

    def _end(self, context: object, ended: float, rowcount: int, error: BaseException | None) -> None:
        begun = self._begun.pop(context, None)
        if begun is not None:
            sent = _Sent(begun, ended, rowcount, _route.get(), error)
            with self._lock:
                self._sent.append(sent)


@contextmanager
def record(engine: Engine) -> Iterator[Recorder]:
    """Record what ``engine`` sends during the block, on all its connections and threads."""
    recorder = Recorder()
    listeners: dict[str, Callable[..., None]] = {
        "before_cursor_execute": recorder._before,
        "after_cursor_execute": recorder._after,
        "handle_error": recorder._failed,
    }
    for event_name, listener in listeners.items():
        event.listen(engine, event_name, listener)
    try:
        yield recorder
    finally:
        for event_name, listener in listeners.items():
            event.remove(engine, event_name, listener)


def collect(executions: Iterable[Execution]) -> list[Query]:
    """Return the distinct statements in ``executions`` as queries in order of their names.

    Statements that differ only in the length of a list of parameters are one query: its text and parameter sets are
    those of the length that was sent most often, the longest among equals; ``calls``, ``mean_ms`` and ``route`` are
    of all lengths. ``route`` names up to three, the one with most calls first. What failed does not count, unless a
    time limit ended it.

    The sets are named for the rows that they really returned or affected: ``frequent`` gave most, ``rare`` fewest but
    some, ``absent`` none. ``frequent`` is also the first set where all gave the same, or the driver did not tell; an
    INSERT has no other. ``types`` holds what the driver stated; :func:`resolve_types` completes it.
    """
    groups: defaultdict[str, list[Execution]] = defaultdict(list)
    known: dict[str, str] = {}
    for execution in executions:
        if execution.ran:
            if execution.statement not in known:
                known[execution.statement] = fingerprint(execution.statement)
            groups[known[execution.statement]].append(execution)
    names = _names(groups)
    return sorted((_query(names[key], group) for key, group in groups.items()), key=lambda query: query.name)


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


def _copied(parameters: Any) -> Any:
    return dict(parameters) if isinstance(parameters, Mapping) else parameters


def _executions(sent: _Sent) -> Iterator[Execution]:
    """Yield what was sent: one execution for each row of parameters, the last kept one for all that were not kept."""
    begun = sent.begun
    if MARKER in begun.statement:
        return
    rows = begun.parameters if isinstance(begun.parameters, list) else [begun.parameters]
    for number, parameters in enumerate(rows, start=1):
        statement, given = _numbered(begun, parameters)
        if not _is_query(statement):
            return
        yield Execution(
            statement=statement,
            values=tuple(map(text_format, given)),
            types=tuple(_type_stated(value, begun.dialect.driver) for value in given),
            duration_ms=(sent.ended - begun.started) * 1000 / begun.calls,
            rows=sent.rowcount if sent.rowcount == 0 or (begun.calls == 1 and sent.rowcount > 0) else None,
            route=sent.route,
            error=sent.error is not None,
            sqlstate=_state(sent.error),
            calls=begun.calls - len(rows) + 1 if number == len(rows) else 1,
        )


@lru_cache(maxsize=4096)
def _is_query(statement: str) -> bool:
    """Return whether it is one statement that PREPARE takes."""
    return is_preparable(statement)


def _state(error: BaseException | None) -> str | None:
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return str(code) if code else None


def _numbered(begun: _Begun, parameters: Any) -> tuple[str, list[Any]]:
    """Return the statement with ``$1…$n`` and the values in that order.

    A tuple becomes as many parameters as psycopg2 writes constants for it (``IN %s``), SQL text stays text (AsIs).
    """
    if begun.literal:
        return begun.statement, []
    if begun.dialect.paramstyle == "numeric_dollar":
        return begun.statement, list(parameters or ())
    expands = begun.dialect.driver.startswith("psycopg2")
    positions = count()
    values: list[Any] = []
    written: dict[str, str] = {}

    def write(value: Any) -> str:
        if isinstance(value, AsIs):
            return str(value)
        if expands and isinstance(value, tuple):
            return f"({', '.join(map(write, value))})"
        values.append(value)
        return f"${len(values)}"

    def replaced(match: re.Match[str]) -> str:
        if match.group() == "%%":
            return "%"
        key = match["name"]
        if key is None:
            return write(parameters[next(positions)])
        if key not in written:
            written[key] = write(parameters[key])
        return written[key]

    return _PLACEHOLDER.sub(replaced, begun.statement), values


def text_format(value: Any) -> str | None:
    """Return ``value``, as the driver got it, in PostgreSQL's text format; None for NULL.

    A list is an array, a tuple a row, a dict JSON; an Enum is its name, or its value where that is its own kind
    (``class Status(str, Enum)``), as psycopg does it. What is not known is its ``str``.
    """
    value = _unwrapped(value)
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str():
            return str.__str__(value)
        case int():
            return int.__repr__(value)
        case float():
            return _float_text(value)
        case Decimal():
            return "NaN" if value.is_nan() else str(value)
        case bytes() | bytearray() | memoryview():
            return "\\x" + bytes(value).hex()
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return _interval_text(value)
        case dict():
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
        case list():
            return f"{{{','.join(_member_text(member) for member in value)}}}"
        case tuple():
            return f"({','.join(_quoted(text_format(field)) for field in value)})"
    if hasattr(value, "lower_inc"):
        return _range_text(value)
    if type(value).__name__ == "Multirange":  # psycopg's
        return f"{{{','.join(map(_range_text, value))}}}"
    return str(value)


def _unwrapped(value: Any) -> Any:
    """Return what a driver's wrapper (Json, Jsonb, Binary…) or an Enum stands for."""
    if isinstance(value, Enum):
        return value.value if issubclass(type(value), (str, int, float)) else value.name
    for attribute in ("adapted", "obj"):  # psycopg2's, psycopg's
        if hasattr(value, attribute) and any(kind.__module__.startswith("psycopg") for kind in type(value).__mro__):
            held = getattr(value, attribute)
            if not hasattr(value, "dumps"):
                return held
            dumped = (value.dumps or json.dumps)(held)
            return dumped.decode() if isinstance(dumped, bytes) else dumped
    return value


def _float_text(value: float) -> str:
    return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(text := float.__repr__(value), text)


def _interval_text(value: timedelta) -> str:
    """Return days and seconds, both signed, lest ``IntervalStyle = sql_standard`` take one minus for both."""
    fraction = f".{value.microseconds:06d}" if value.microseconds else ""
    if not value.days:
        return f"{value.seconds}{fraction} seconds"
    return f"{value.days:+d} days {value.seconds:+d}{fraction} seconds"


def _member_text(member: Any) -> str:
    """Return a member of an array literal (manual, 8.15.6); arrays within arrays are not quoted."""
    text = text_format(member)
    if text is None:
        return "NULL"
    return text if isinstance(member, list) else f'"{text}"' if text.upper() == "NULL" else _quoted(text)


def _quoted(text: str | None) -> str:
    """Return ``text`` as arrays, rows and ranges want it: in quotes where it needs them; nothing at all for NULL."""
    if text is None:
        return ""
    if text and not _TO_QUOTE.search(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _range_text(value: Any) -> str:
    """Return a range of any driver's class (manual, 8.17.5)."""
    if value.isempty:
        return "empty"
    bounds = f"{_quoted(text_format(value.lower))},{_quoted(text_format(value.upper))}"
    return f"{'[' if value.lower_inc else '('}{bounds}{']' if value.upper_inc else ')'}"


def _type_stated(value: Any, driver: str) -> str:
    """Return the type that the driver states with ``value`` in what it sends; ``unknown`` where it states none.

    psycopg2 writes constants, whose types are those of the manual's 4.1.2 unless it adds a cast; psycopg names types.
    Its smallint, for small numbers, is left at integer: every index that serves the one serves the other.
    """
    if not driver.startswith("psycopg"):
        return UNKNOWN
    writes_constants = driver.startswith("psycopg2")
    value = _unwrapped(value)
    match value:
        case bool():
            return "boolean"
        case int():
            return _integer_type(value)
        case float():
            return "numeric" if writes_constants and isfinite(value) else "double precision"
        case Decimal():
            is_integer = writes_constants and str(value).lstrip("-").isdecimal()
            return _integer_type(int(value)) if is_integer else "numeric"
        case bytes() | bytearray() | memoryview():
            return "bytea"
        case UUID():
            return "uuid"
        case datetime():
            return "timestamp without time zone" if value.tzinfo is None else "timestamp with time zone"
        case date():
            return "date"
        case time():
            return "time without time zone" if value.tzinfo is None else "time with time zone"
        case timedelta():
            return "interval"
        case list():
            return _array_type(value, driver)
    return UNKNOWN


def _integer_type(value: int) -> str:
    return "integer" if -(2**31) <= value < 2**31 else "bigint" if -(2**63) <= value < 2**63 else "numeric"


def _array_type(members: list[Any], driver: str) -> str:
    given = [member for member in _flattened(members) if member is not None]
    strings = "text" if driver.startswith("psycopg2") else UNKNOWN
    common = _common({strings if isinstance(member, str) else _type_stated(member, driver) for member in given})
    return UNKNOWN if common == UNKNOWN else f"{common}[]"


def _flattened(members: list[Any]) -> Iterator[Any]:
    for member in members:
        if isinstance(member, list):
            yield from _flattened(member)
        else:
            yield member


def _common(types: set[str]) -> str:
    """Return the type that serves values of all ``types``: numbers widen, others must agree."""
    if len(types) == 1:
        return next(iter(types))
    if types and types <= set(_NUMBERS):
        return max(types, key=_NUMBERS.index)
    if types and types <= {f"{number}[]" for number in _NUMBERS}:
        return f"{_common({each.removesuffix('[]') for each in types})}[]"
    return UNKNOWN


def _names(keys: Iterable[str]) -> dict[str, str]:
    """Return a name of its own for each fingerprint, the same whatever their order."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for key in sorted(keys):
        wanted = chosen = name(key)
        numbers = count(2)
        while chosen in taken:
            suffix = f"-{next(numbers)}"
            chosen = wanted[: LONGEST_NAME - len(suffix)].rstrip("-") + suffix
        taken.add(chosen)
        names[key] = chosen
    return names


def _query(called: str, executions: Sequence[Execution]) -> Query:
    """Return the query that ``executions``, all of one fingerprint, stand for."""
    chosen = _usual_length(executions)
    calls = sum(each.calls for each in executions)
    return Query(
        name=called,
        statement=layout(_alone(chosen[0].statement)),
        types=_types(chosen),
        sets=_sets(chosen),
        route=_routes(executions),
        calls=calls,
        mean_ms=round(sum(each.duration_ms * each.calls for each in executions) / calls, 3),
        source=SOURCE,
    )


def _alone(statement: str) -> str:
    """Return the statement without a semicolon after it."""
    (alone,) = lexer.statements(statement)
    return alone


def _usual_length(executions: Sequence[Execution]) -> list[Execution]:
    """Return the executions of the length that was sent most often, the longest among equals."""
    lengths: defaultdict[str, list[Execution]] = defaultdict(list)
    for each in executions:
        lengths[_normalised(each.statement)].append(each)
    return max(lengths.values(), key=lambda same: (sum(e.calls for e in same), len(same[0].values)))


@lru_cache(maxsize=4096)
def _normalised(statement: str) -> str:
    return normalised(statement)


def _routes(executions: Iterable[Execution]) -> str | None:
    calls: Counter[str] = Counter()
    for each in executions:
        if each.route is not None:
            calls[each.route] += each.calls
    routes = sorted(calls, key=lambda route: (-calls[route], route))
    if not routes:
        return None
    more = len(routes) - _ROUTES_SHOWN
    return ", ".join(routes[:_ROUTES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _types(executions: Sequence[Execution]) -> tuple[str, ...]:
    """Return the types that were stated for each parameter; nothing if there was none."""
    stated: list[set[str]] = [set() for _ in executions[0].values]
    for each in executions:
        for found, value, type_ in zip(stated, each.values, each.types, strict=True):
            if value is not None:
                found.add(type_)
    types = tuple(map(_common, stated))
    return types if any(type_ != UNKNOWN for type_ in types) else ()


def _sets(executions: Sequence[Execution]) -> tuple[ParameterSet, ...]:
    """Return the named sets; among equals the values that were sent first, for ``absent`` those with fewest NULLs."""
    if not executions[0].values:
        return ()
    rows: dict[tuple[str | None, ...], int] = {}  # most that the values gave; -1: never told
    for each in executions:
        rows[each.values] = max(rows.get(each.values, -1), -1 if each.rows is None else each.rows)
    found = {values: n for values, n in rows.items() if n > 0}
    untold = [values for values, n in rows.items() if n < 0]
    none = sorted((values for values, n in rows.items() if n == 0), key=lambda values: values.count(None))
    named: dict[str, tuple[str | None, ...]] = {}
    if executions[0].statement.lstrip()[:6].lower() == "insert":
        named["frequent"] = max(rows, key=rows.__getitem__)
    else:
        if found or untold:
            named["frequent"] = max(found, key=found.__getitem__) if found else untold[0]
        if others := [values for values in found if values != named["frequent"]]:
            named["rare"] = min(others, key=found.__getitem__)
        if none:
            named["absent"] = none[0]
    return tuple(ParameterSet(name=name, values=values) for name, values in named.items())


def _resolved(connection: Connection, query: Query) -> Query:
    untyped = replace(query, types=())
    if not _is_query(query.statement) or not lexer.parameter_count(query.statement):
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

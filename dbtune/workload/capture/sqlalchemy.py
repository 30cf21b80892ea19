"""What SQLAlchemy engines really send, recorded where they hand it to the driver.

    with record(engine) as recorder:
        with recorder.route("GET /respondents/email"):
            ...                                     # the application at work
    with connect(target) as connection:
        queries = resolve_types(connection, collect(recorder.executions, source=SOURCE))

Record an ``AsyncEngine`` by its ``sync_engine``. Statements of dbtune's own, transaction control and other statements
that PREPARE cannot take are left out.

This module runs inside applications: it needs SQLAlchemy and nothing else that is not Python's own.
"""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from random import Random
from time import perf_counter, time
from typing import Any, NamedTuple

from sqlalchemy import Engine, Pool
from sqlalchemy.engine import Dialect

from dbtune.server.connection import MARKER
from dbtune.workload.capture import checkout, dialects, origin
from dbtune.workload.capture.execution import Execution
from dbtune.workload.capture.values import PLAIN, text_format, type_stated
from dbtune.workload.fingerprint import is_preparable

SOURCE = "sqlalchemy"

_KEPT_ROWS = 100
_LONGEST_ERROR = 200
_PLACEHOLDER = re.compile(r"%(?:%|\((?P<name>[^)]*)\)[sbt]|[sbt])")


class _Begun(NamedTuple):
    """What the driver is about to be given; a tuple, because it is made while the application waits."""

    dialect: Dialect
    statement: str
    parameters: Any
    calls: int
    literal: bool
    started: float
    time: float | None = None
    route: str | None = None
    checkout: int | None = None
    waited: float | None = None


class _Sent(NamedTuple):
    """The same when it is done; times are in seconds."""

    begun: _Begun
    ended: float
    rowcount: int
    error: BaseException | None


class Call(NamedTuple):
    """What an :class:`Execution` tells, and the ``checkout`` that it belongs to; made for every statement, so a tuple.

    ``values`` are as the ``driver`` got them. ``time`` is in seconds since 1970.
    """

    statement: str
    driver: str
    values: list[Any]
    duration_ms: float
    rows: int | None
    calls: int
    route: str | None
    error: bool
    sqlstate: str | None
    time: float | None
    checkout: int | None
    wait_ms: float | None

    @property
    def execution(self) -> Execution:
        """The same as other sources tell it."""
        return Execution(
            statement=self.statement,
            values=tuple(map(text_format, self.values)),
            types=tuple([type_stated(value, self.driver) for value in self.values]),
            duration_ms=self.duration_ms,
            rows=self.rows,
            route=self.route,
            error=self.error,
            sqlstate=self.sqlstate,
            calls=self.calls,
            time=None if self.time is None else datetime.fromtimestamp(self.time, UTC),
            process=os.getpid(),
            pool_wait_ms=self.wait_ms,
        )


class Held(NamedTuple):
    """A connection went back to its pool: what was sent on it belongs to this ``checkout``."""

    checkout: int
    ms: float


class Denied(NamedTuple):
    """The application asked for a connection and got none: a time-out of the pool, or the server's refusal."""

    time: float
    ms: float
    route: str | None
    error: str


class Recorder:
    """What engines sent while somebody was listening, in the order in which it was done.

    ``sample`` is the part of the statements, between 0 and 1, that is recorded; each stands for its inverse of calls.
    ``on_pending`` is called when something was sent for the first time since :meth:`rearm`; what is sent while
    ``limit`` others wait to be drained is left out.
    """

    def __init__(self, sample: float = 1.0) -> None:
        self.sample = sample
        self.limit: int | None = None
        self.on_pending: Callable[[], None] | None = None
        self._is_armed = True
        self._random = Random()  # the application's own stays as it is
        self._lock = threading.Lock()
        self._heard: weakref.WeakSet[Dialect] = weakref.WeakSet()
        self._sent: deque[_Sent | Held | Denied] = deque()
        self._targets: list[Engine | type[Engine]] = []
        self._waits: dict[int, float] = {}  # by checkout, where what was sent first was no query
        self._executions: list[Execution] = []
        self._first_of: dict[int, int] = {}

    def route(self, name: str) -> Any:
        """Label what this thread or task sends inside the block; the innermost label wins."""
        return origin.label(name)

    @property
    def executions(self) -> list[Execution]:
        """What was sent until now."""
        with self._lock:
            for told in self.drain():
                if isinstance(told, Held):
                    first = self._first_of.pop(told.checkout, None)
                    if first is not None:
                        self._executions[first] = replace(self._executions[first], hold_ms=told.ms)
                    continue
                if isinstance(told, Denied):
                    continue
                if told.checkout is not None and told.wait_ms is not None:
                    self._first_of[told.checkout] = len(self._executions)
                self._executions.append(told.execution)
            return list(self._executions)

    def drain(self) -> Iterator[Call | Held | Denied]:
        """Yield what was sent since the last time, connections that went back, and those that were not given."""
        while self._sent:
            sent = self._sent.popleft()
            if isinstance(sent, Held | Denied):
                if isinstance(sent, Held):
                    self._waits.pop(sent.checkout, None)
                yield sent
                continue
            number, waited = sent.begun.checkout, sent.begun.waited
            if number is not None and not _is_query(sent.begun.statement):
                if waited is not None:
                    self._waits[number] = waited
                continue
            if number is not None and waited is None:
                waited = self._waits.pop(number, None)
            yield from _calls(sent, waited, self._calls_for_one)

    def rearm(self) -> None:
        """Let :attr:`on_pending` be called again; to be said before what is pending is drained."""
        self._is_armed = True

    def forget(self) -> None:
        """Start anew, as a forked process must: what it inherited is its parent's to tell."""
        self._is_armed = True
        self._lock = threading.Lock()
        self._random = Random()
        self._sent.clear()

    def held(self, checkout: int, seconds: float) -> None:
        """Take note that a connection went back to its pool."""
        self._sent.append(Held(checkout, seconds * 1000))

    def denied(self, pool: Pool, seconds: float, error: Exception) -> None:
        """Take note that a pool of an engine that is listened to gave no connection."""
        if not any(isinstance(each, type) or each.pool is pool for each in self._targets):
            return
        if self.limit is not None and len(self._sent) >= self.limit:
            return
        first, *_ = f"{error} ".splitlines()
        said = f"{type(error).__name__}: {first.strip()}"[:_LONGEST_ERROR]
        self._sent.append(Denied(time() - seconds, seconds * 1000, origin.origin(""), said))
        self._pending()

    @property
    def _calls_for_one(self) -> int:
        return max(1, round(1 / self.sample)) if self.sample > 0 else 1

    @contextmanager
    def listening(self, target: Engine | type[Engine]) -> Iterator[None]:
        """Hear what ``target`` sends during the block: an engine, or all of them where it is the class."""
        origin.label_asgi_routes()
        self._targets.append(target)
        if not isinstance(target, type):
            dialects.hear(target.dialect, self)
        with checkout.watching(self):
            try:
                yield
            finally:
                self._targets.remove(target)
                if isinstance(target, type):
                    for dialect in list(self._heard):
                        dialects.leave(dialect, self)
                else:
                    dialects.leave(target.dialect, self)

    def asked(self, pool: Pool) -> None:
        """Take note that a connection is asked for: of an engine that is new, if all of them are listened to."""
        dialect = dialects.of_pool(pool)
        if dialect is not None and dialect not in self._heard and any(isinstance(each, type) for each in self._targets):
            self._heard.add(dialect)
            dialects.hear(dialect, self)

    def before(self, dialect: Dialect, statement: str, parameters: Any, context: Any) -> _Begun | None:
        """Take note of what the driver is about to be given; None if it is not in the sample."""
        if self.sample < 1 and self._random.random() >= self.sample:
            return None
        try:
            stay = checkout.of(context.root_connection)
        except NotImplementedError:  # while a new connection is got to know SQLAlchemy asks something of its own
            return None
        many = isinstance(parameters, list)
        number = waited = None
        if stay is not None:
            number = stay.number
            if self not in stay.used_by:
                stay.used_by.append(self)
                waited = stay.waited
        return _Begun(
            dialect,
            statement,
            [_copied(row) for row in parameters[:_KEPT_ROWS]] if many else _copied(parameters),
            len(parameters) if many else 1,
            not parameters and bool(context.no_parameters),
            perf_counter(),
            time(),
            origin.origin(statement),
            number,
            waited,
        )

    def after(self, begun: _Begun | None, cursor: Any, error: BaseException | None) -> None:
        """Take note of what came of it."""
        if begun is None or (self.limit is not None and len(self._sent) >= self.limit):
            return
        self._sent.append(_Sent(begun, perf_counter(), -1 if error else getattr(cursor, "rowcount", -1), error))
        self._pending()

    def _pending(self) -> None:
        if self._is_armed and self.on_pending is not None:
            self._is_armed = False
            self.on_pending()


@contextmanager
def record(engine: Engine, *, sample: float = 1.0) -> Iterator[Recorder]:
    """Record in memory what ``engine`` sends during the block, on all its connections and threads."""
    recorder = Recorder(sample)
    with recorder.listening(engine):
        yield recorder


def _copied(parameters: Any) -> Any:
    if type(parameters) is dict:  # the usual case; to ask whether it is a Mapping takes ten times as long
        return parameters.copy()
    return dict(parameters) if isinstance(parameters, Mapping) else parameters


def _calls(sent: _Sent, waited: float | None, calls_for_one: int) -> Iterator[Call]:
    """Yield what was sent: one call for each row of parameters, the last kept one for all that were not kept.

    The first of them tells how many seconds were ``waited`` for the connection.
    """
    begun = sent.begun
    if not _is_query(begun.statement):
        return
    rows = begun.parameters if isinstance(begun.parameters, list) else [begun.parameters]
    driver = begun.dialect.driver
    duration_ms = (sent.ended - begun.started) * 1000 / begun.calls
    affected = sent.rowcount if sent.rowcount == 0 or (begun.calls == 1 and sent.rowcount > 0) else None
    wait_ms = None if waited is None else waited * 1000
    for number, parameters in enumerate(rows, start=1):
        statement, given = _numbered(begun, parameters)
        yield Call(
            statement,
            driver,
            given,
            duration_ms,
            affected,
            (begun.calls - len(rows) + 1 if number == len(rows) else 1) * calls_for_one,
            begun.route,
            sent.error is not None,
            None if sent.error is None else _state(sent.error),
            begun.time,
            begun.checkout,
            wait_ms if number == 1 else None,
        )


@lru_cache(maxsize=4096)
def _is_query(statement: str) -> bool:
    """Return whether it is one statement of the application that PREPARE takes, placeholders in it or not."""
    return MARKER not in statement and is_preparable(statement)


def _state(error: BaseException | None) -> str | None:
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return str(code) if code else None


def _numbered(begun: _Begun, parameters: Any) -> tuple[str, list[Any]]:
    """Return the statement with ``$1…$n`` and the values in that order, without a comment of tags.

    A tuple becomes as many parameters as psycopg2 writes constants for it (``IN %s``), SQL text stays text (AsIs).
    """
    if begun.literal:
        return _untagged(begun.statement), []
    if begun.dialect.paramstyle == "numeric_dollar":
        return _untagged(begun.statement), list(parameters or ())
    given = parameters.values() if isinstance(parameters, dict) else parameters
    if all(type(value) in PLAIN for value in given or ()):
        statement, keys = _placed(begun.statement)
        return statement, [parameters[key] for key in keys]
    return _written(begun, parameters)


@lru_cache(maxsize=4096)
def _untagged(statement: str) -> str:
    return origin.without_tags(statement)


@lru_cache(maxsize=4096)
def _placed(statement: str) -> tuple[str, tuple[Any, ...]]:
    """Return the statement with ``$1…$n``, and the key or position of each one's value."""
    keys: dict[Any, int] = {}
    positions = count()

    def replaced(match: re.Match[str]) -> str:
        if match.group() == "%%":
            return "%"
        key = next(positions) if match["name"] is None else match["name"]
        return f"${keys.setdefault(key, len(keys) + 1)}"

    return _PLACEHOLDER.sub(replaced, origin.without_tags(statement)), tuple(keys)


def _written(begun: _Begun, parameters: Any) -> tuple[str, list[Any]]:
    """Return what :func:`_numbered` does, for values that may stand for something else than one constant."""
    expands = begun.dialect.driver.startswith("psycopg2")
    positions = count()
    values: list[Any] = []
    written: dict[str, str] = {}

    def write(value: Any) -> str:
        kind: type = type(value)
        if _is_sql_text(kind):
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

    return _PLACEHOLDER.sub(replaced, origin.without_tags(begun.statement)), values


@lru_cache(maxsize=1024)
def _is_sql_text(kind: type) -> bool:
    """Return whether it is psycopg2's AsIs, without which applications may do."""
    return any(each.__name__ == "AsIs" and each.__module__.startswith("psycopg2") for each in kind.__mro__)

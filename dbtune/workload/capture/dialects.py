"""Where SQLAlchemy hands a statement to the driver: the ``do_execute`` methods of an engine's dialect.

Engine events tell the same, but make SQLAlchemy take a longer way through every statement, which alone costs a
percent or two of an application's time; and they come before other listeners have had their say about the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, Protocol

from sqlalchemy import Pool

_METHODS = ("do_execute", "do_executemany", "do_execute_no_params")
_lock = Lock()


class Hearer(Protocol):
    """Who hears of statements; what it returns before one is handed to it again when the driver is done."""

    def before(self, dialect: Any, statement: str, parameters: Any, context: Any) -> Any:
        """Take note of what the driver is about to be given."""

    def after(self, begun: Any, cursor: Any, error: BaseException | None) -> None:
        """Take note of what came of what ``before`` returned."""


def hear(dialect: Any, hearer: Hearer) -> None:
    """Let ``hearer`` hear what is sent through ``dialect`` from now on; once, however often this is said."""
    with _lock:
        hearers: tuple[Hearer, ...] = getattr(dialect, "_dbtune_hearers", ())
        if hearer in hearers:
            return
        dialect._dbtune_hearers = (*hearers, hearer)
        if not hearers:
            _wrap(dialect)


def leave(dialect: Any, hearer: Hearer) -> None:
    """Undo :func:`hear`; nothing happens where it was not said."""
    with _lock:
        before: tuple[Hearer, ...] = getattr(dialect, "_dbtune_hearers", ())
        if hearer not in before:
            return
        dialect._dbtune_hearers = tuple(each for each in before if each is not hearer)
        if not dialect._dbtune_hearers:
            for name in _METHODS:
                del vars(dialect)[name]
            vars(dialect).update(dialect._dbtune_before)


def of_pool(pool: Pool) -> Any | None:
    """Return the dialect of the engine that the pool is of; None for a pool without one."""
    found = getattr(pool, "_dialect", None)
    return found if hasattr(found, "do_execute") else None


def _wrap(dialect: Any) -> None:
    # what is here already is somebody else's instrumentation, and comes back afterwards
    dialect._dbtune_before = {name: vars(dialect)[name] for name in _METHODS if name in vars(dialect)}
    for name in _METHODS:
        setattr(dialect, name, _told(dialect, getattr(dialect, name), 0 if name == "do_execute_no_params" else 1))


def _told(dialect: Any, method: Callable[..., Any], parameters: int) -> Callable[..., Any]:
    """Return the method with its hearers told; ``given`` are the parameters, if it has such, and the context."""

    def execute(cursor: Any, statement: str, *given: Any, **named: Any) -> Any:
        context = given[parameters] if len(given) > parameters else named.get("context")
        heard = [
            (each, _begun(each, dialect, statement, given[:parameters], context)) for each in dialect._dbtune_hearers
        ]
        try:
            result = method(cursor, statement, *given, **named)
        except BaseException as error:
            _ended(heard, cursor, error)
            raise
        _ended(heard, cursor, None)
        return result

    return execute


def _begun(hearer: Hearer, dialect: Any, statement: str, parameters: tuple[Any, ...], context: Any) -> Any:
    try:
        return hearer.before(dialect, statement, parameters[0] if parameters else None, context)
    except Exception:  # an application must not suffer from being watched
        return None


def _ended(heard: Sequence[tuple[Hearer, Any]], cursor: Any, error: BaseException | None) -> None:
    for hearer, begun in heard:
        with suppress(Exception):
            hearer.after(begun, cursor, error)

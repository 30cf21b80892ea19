"""Where SQLAlchemy hands a statement to the driver: the ``do_execute`` methods of an engine's dialect.

Engine events tell the same, but make SQLAlchemy take a longer way through every statement, which alone costs a
percent or two of an application's time; and they come before other listeners have had their say about the text.
"""

from __future__ import annotations

from collections.abc import Callable
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
        hearers = tuple(each for each in getattr(dialect, "_dbtune_hearers", ()) if each is not hearer)
        dialect._dbtune_hearers = hearers
        if not hearers:
            for name in _METHODS:
                dialect.__dict__.pop(name, None)


def of_pool(pool: Pool) -> Any | None:
    """Return the dialect of the engine that the pool is of; None for a pool without one."""
    found = getattr(pool, "_dialect", None)
    return found if hasattr(found, "do_execute") else None


def _wrap(dialect: Any) -> None:
    for name in _METHODS:
        setattr(dialect, name, _told(dialect, getattr(dialect, name)))


def _told(dialect: Any, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method with its hearers told; ``given`` are the parameters, where it has any, and the context."""

    def execute(cursor: Any, statement: str, *given: Any) -> Any:
        parameters, context = given if len(given) == 2 else (None, given[0])
        heard = [(each, each.before(dialect, statement, parameters, context)) for each in dialect._dbtune_hearers]
        try:
            result = method(cursor, statement, *given)
        except BaseException as error:
            for hearer, begun in heard:
                hearer.after(begun, cursor, error)
            raise
        for hearer, begun in heard:
            hearer.after(begun, cursor, None)
        return result

    return execute

"""How long an application waits for a connection of a pool, and how long it keeps it.

No event of SQLAlchemy's tells the first: the pool's own ``connect`` is timed while anybody watches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from threading import Lock
from time import perf_counter, time
from typing import Any, Protocol

from sqlalchemy import Connection, Pool, event

_KEY = "dbtune_checkout"
_numbers = count(1)
_lock = Lock()
_watchers: list[Watcher] = []
_original: Callable[[Pool], Any] = Pool.connect


class Watcher(Protocol):
    """Who wants to hear when a connection is asked for and goes back, or when a pool has none to give."""

    def asked(self, pool: Pool) -> None:
        """Take note that the pool is asked for a connection."""

    def held(self, checkout: int, seconds: float) -> None:
        """Take note that the connection of that checkout was kept for so long."""

    def denied(self, pool: Pool, seconds: float, error: Exception) -> None:
        """Take note that after so long the pool gave no connection."""


class Checkout:
    """A connection's stay with the application.

    ``waited`` is how many seconds the pool took to hand it over, or to begin to open a new one: the time to open is
    no wait for the pool. A ``pool_pre_ping`` counts. ``used_by`` are the watchers that saw a statement on it.
    """

    __slots__ = ("number", "since", "used_by", "waited")

    def __init__(self, waited: float, since: float) -> None:
        self.number = next(_numbers)
        self.waited = waited
        self.since = since
        self.used_by: list[Watcher] = []


def of(connection: Connection) -> Checkout | None:
    """Return the stay that ``connection`` has; None for one that nobody saw begin."""
    found: Checkout | None = connection.connection.info.get(_KEY)
    return found


def watch(watcher: Watcher) -> None:
    """Time every pool's checkouts from now on, those of engines to come too, until :func:`unwatch`."""
    global _original
    with _lock:
        _watchers.append(watcher)
        if len(_watchers) == 1:
            _original = Pool.connect
            Pool.connect = _timed_connect  # type: ignore[method-assign, assignment]
            event.listen(Pool, "checkin", _returned)


def unwatch(watcher: Watcher) -> None:
    """Undo one :func:`watch`."""
    with _lock:
        _watchers.remove(watcher)
        if not _watchers:
            event.remove(Pool, "checkin", _returned)
            Pool.connect = _original  # type: ignore[method-assign, assignment]


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Watch during the block."""
    watch(watcher)
    try:
        yield
    finally:
        unwatch(watcher)


def _timed_connect(pool: Pool) -> Any:
    for watcher in tuple(_watchers):
        with suppress(Exception):  # an application must not suffer from being watched
            watcher.asked(pool)
    clock, started = time(), perf_counter()
    try:
        fairy = _original(pool)
    except Exception as error:
        waited = perf_counter() - started
        for watcher in tuple(_watchers):
            with suppress(Exception):
                watcher.denied(pool, waited, error)
        raise
    ended = perf_counter()
    record = getattr(fairy, "_connection_record", None)
    opened = getattr(record, "starttime", 0.0)
    waited = opened - clock if opened >= clock else ended - started
    if record is not None:
        record.info[_KEY] = Checkout(waited, ended)
    return fairy


def _returned(dbapi_connection: Any, record: Any) -> None:
    found: Checkout | None = record.info.pop(_KEY, None)
    if found is not None:
        kept = perf_counter() - found.since
        for watcher in found.used_by:
            watcher.held(found.number, kept)

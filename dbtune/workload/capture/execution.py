"""One statement as it was sent: what every source of queries, whatever it reads, makes of what it saw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

CANCELLED = "57014"
"""The SQLSTATE with which the server ends what ran into a time limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A statement with ``$1…$n`` as it was sent once, or ``calls`` times where a source tells of several at once.

    ``values`` are in PostgreSQL's text format, one for each ``$n``; None where the source does not tell them.
    ``types`` are those stated along with the values (psycopg2 writes ``'2019-01-30'::date``), ``unknown`` where the
    type is left to the server; empty where nothing is known. ``duration_ms`` is one call's time, as the application
    or the server saw it. ``rows`` were returned or affected, None where the source does not know. ``error`` says that
    the server or driver refused, ``sqlstate`` why.

    ``time`` is when it began and ``process`` who sent it: the application's process id where the source is the
    application, the server's where it is the server. ``pool_wait_ms`` is how long the application waited for the
    connection, on the first statement after it got one; ``hold_ms``, on the same, how long it kept the connection.
    ``plan`` is auto_explain's document. ``last`` is when the last of several calls began, None where that is ``time``.
    """

    statement: str
    values: tuple[str | None, ...] | None
    types: tuple[str, ...] = ()
    duration_ms: float
    rows: int | None
    route: str | None = None
    error: bool = False
    sqlstate: str | None = None
    calls: int = 1
    time: datetime | None = None
    process: int | None = None
    application: str | None = None
    pool_wait_ms: float | None = None
    hold_ms: float | None = None
    plan: dict[str, Any] | None = None
    last: datetime | None = None

    @property
    def ran(self) -> bool:
        """Whether it is evidence of a query: it succeeded, or a time limit ended it."""
        return not self.error or self.sqlstate == CANCELLED

"""The transaction in which a snapshot is read: read-only, repeatable read, and no lock held beyond its statement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dbtune import sql
from dbtune.errors import GaveUp
from dbtune.server.connection import MARKER, server_version_num, sqlstate

Row = RowMapping

LOCK_SECONDS = 5
"""How long a statement waits for a table that somebody alters; meanwhile others may have to wait behind it."""

_DENIED = "42501"
_LOCKED = "55P03"
_CHANGED = frozenset({"XX000", "42P01", "42704", "42883", "3F000"})
"""Errors of functions such as pg_get_viewdef about objects that went away: they see the catalogs as they are now."""

_SAVEPOINT = "dbtune_snapshot"
_OUTPUT = (
    "search_path = ''",  # so that definitions name the schema of everything
    "lock_timeout = '{seconds}s'",
    "jit = off",
    "quote_all_identifiers = off",
    "standard_conforming_strings = on",
    "bytea_output = hex",
    "extra_float_digits = 1",
    "lc_monetary = 'C'",
    "TimeZone = 'UTC'",
    "DateStyle = 'ISO, YMD'",
    "IntervalStyle = 'postgres'",
    "xmlbinary = base64",
)
"""How values and definitions are printed, whatever the role or the database is set to."""

_SINCE: Mapping[str, tuple[int, str]] = {
    "/* last_idx_scan */ NULL::timestamptz": (160_000, "s.last_idx_scan"),
    "/* range_length_histogram */ NULL::text": (170_000, "s.range_length_histogram::text"),
    "/* range_empty_frac */ NULL::real": (170_000, "s.range_empty_frac"),
    "/* range_bounds_histogram */ NULL::text": (170_000, "s.range_bounds_histogram::text"),
    "/* stxdinherit */ false": (150_000, "d.stxdinherit"),
    "/* inherited */ false": (150_000, "s.inherited"),
}
"""What newer versions know, by what stands in the statement's file for all of 13+."""


class Changed(Exception):
    """The schema changed while it was read."""


class Session:
    """Reads the statements of dbtune/sql in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.version = server_version_num(connection)

    def rows(self, name: str, **parameters: Any) -> Sequence[Row]:
        """Return the rows of ``dbtune/sql/NAME.sql``; locks that it took are given back.

        :raises GaveUp: a table is locked by somebody who alters it.
        :raises Changed: an object went away meanwhile.
        """
        statement = sql.load(name)
        for mark, (version, column) in _SINCE.items():
            if self.version >= version:
                statement = statement.replace(mark, column)
        self._send(f"SAVEPOINT {_SAVEPOINT}")
        try:
            return self.connection.execute(text(statement), parameters).mappings().all()
        except DBAPIError as error:
            state = sqlstate(error)
            if state == _LOCKED:
                raise GaveUp(
                    f"a table was locked for {LOCK_SECONDS} s by another session, which alters, truncates or rewrites "
                    "it (see pg_locks); take the snapshot when that is done"
                ) from None
            if state in _CHANGED:
                raise Changed(str(error.orig).splitlines()[0]) from None
            raise
        finally:
            if not self.connection.invalidated and not self.connection.closed:
                self._release()

    def rows_if_allowed(self, name: str, **parameters: Any) -> Sequence[Row] | None:
        """Return the rows of that statement, None where the role may not read them."""
        try:
            return self.rows(name, **parameters)
        except DBAPIError as error:
            if sqlstate(error) != _DENIED:
                raise
            return None

    def print_alike(self) -> None:
        """From here on print values and definitions the same way for every role; settings must be read before."""
        for setting in _OUTPUT:
            self._send(f"SET LOCAL {setting.format(seconds=LOCK_SECONDS)}")

    def _release(self) -> None:
        try:
            self._send(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        except SQLAlchemyError:
            return  # the connection broke; the first error tells
        self._send(f"RELEASE SAVEPOINT {_SAVEPOINT}")

    def _send(self, statement: str) -> None:
        self.connection.exec_driver_sql(f"{MARKER} {statement}", execution_options={"no_parameters": True})


@contextmanager
def opened(connection: Connection) -> Iterator[Session]:
    """Open a read-only transaction that sees one state of the catalogs, and roll it back at the end.

    Whatever the connection had begun before is rolled back.
    """
    connection.rollback()
    with _readable(connection):
        session = Session(connection)
        try:
            session._send("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield session
        finally:
            connection.rollback()


@contextmanager
def _readable(connection: Connection) -> Iterator[None]:
    """Within the block, texts of a database without an encoding (SQL_ASCII) are read a character a byte, as LATIN1.

    Such a database does not say what its bytes mean, and psycopg2 refuses those that are not ASCII.
    """
    raw: Any = connection.connection.dbapi_connection
    setter = getattr(raw, "set_client_encoding", None)
    before = raw.info.parameter_status("client_encoding")
    if setter is None or not before or raw.info.parameter_status("server_encoding") != "SQL_ASCII":
        yield
        return
    setter("LATIN1")
    try:
        yield
    finally:
        if not raw.closed:
            setter(before)

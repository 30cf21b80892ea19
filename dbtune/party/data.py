"""Loading the party service's data: all of them in one transaction, or none.

What a database holds is known by its row counts and by a comment on the schema, written in the same transaction, that
names the scale they were invented for.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from dbtune.errors import GaveUp, Unsafe
from dbtune.party import rows, schema
from dbtune.party.models import SCHEMA
from dbtune.party.rows import Register, Scale
from dbtune.server.connection import MARKER, sqlstate
from dbtune.sql import quote_literal

STEPS = len(rows.COLUMNS)
"""How often :func:`load` reports progress: once a table."""

_NOTE = "Loaded by dbtune: "
_TABLES = ", ".join(f"{SCHEMA}.{table}" for table in rows.COLUMNS)
_PIECE_BYTES = 4_000_000
_LOCK_SECONDS = 10
_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What the schema holds: rows of each table, and the scale that the comment names, None where it names none."""

    counts: dict[str, int]
    scale: str | None

    @property
    def empty(self) -> bool:
        """Whether no table has a row."""
        return not any(self.counts.values())

    def are(self, scale: Scale) -> bool:
        """Return whether these are the data of ``scale``, as far as row counts can tell."""
        return self.scale == str(scale) and self.counts == scale.counts

    def __str__(self) -> str:
        """Return what there is in a few words."""
        counts = ", ".join(f"{count:,} {table}" for table, count in self.counts.items() if count)
        return f"{counts} ({f'loaded as {self.scale}' if self.scale else 'not loaded by dbtune'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """How a load ended. ``size_bytes`` counts tables and indexes; ``already`` says that there was nothing to do."""

    counts: dict[str, int]
    size_bytes: int
    seconds: float
    already: bool


def load(
    connection: Connection,
    scale: Scale,
    *,
    replace: bool = False,
    progress: Callable[[str], None] = lambda table: None,
) -> Loaded:
    """Make the tables if there are none, and fill them, unless they hold just these data already.

    ``connection`` must not be in a transaction, and this must not run within
    :func:`dbtune.server.interrupt.cancelling`, which cannot COPY.

    :raises Unsafe: there are other data, and ``replace`` does not say that they may go.
    :raises GaveUp: another session keeps a table locked.
    """
    start = time.perf_counter()
    schema.upgrade(connection)
    with _patiently(), connection.begin():
        connection.execute(text(f"{MARKER} SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
        connection.execute(text(f"{MARKER} LOCK TABLE {_TABLES} IN SHARE ROW EXCLUSIVE MODE"))
        found = _contents(connection)
        already = found.are(scale) and not replace
        if not (found.empty or already or replace):
            raise Unsafe(f"{SCHEMA} holds other data: {found}; say --replace to remove them, or name another database")
        if not already:
            if not found.empty:
                connection.execute(text(f"{MARKER} TRUNCATE {_TABLES}"))
            _fill(connection, scale, progress)
    if not already:
        vacuum(connection)
    size = connection.scalar(
        text(f"{MARKER} SELECT sum(pg_total_relation_size(name)) FROM unnest(CAST(:names AS regclass[])) AS name"),
        {"names": [f"{SCHEMA}.{table}" for table in rows.COLUMNS]},
    )
    connection.rollback()
    return Loaded(counts=scale.counts, size_bytes=int(size or 0), seconds=time.perf_counter() - start, already=already)


def vacuum(connection: Connection) -> None:
    """Vacuum and analyze the tables: no plan should depend on when autovacuum comes by.

    ``connection`` must not be in a transaction.
    """
    before = connection.get_isolation_level()
    connection.rollback()
    connection.execution_options(isolation_level="AUTOCOMMIT")
    try:
        connection.execute(text(f"{MARKER} VACUUM (ANALYZE) {_TABLES}"))
    finally:
        connection.rollback()
        connection.execution_options(isolation_level=before)


def contents(connection: Connection) -> Contents | None:
    """Return what the schema holds, or None where tables are missing."""
    for table in rows.COLUMNS:
        if connection.scalar(text(f"{MARKER} SELECT to_regclass(:name)"), {"name": f"{SCHEMA}.{table}"}) is None:
            return None
    return _contents(connection)


def _contents(connection: Connection) -> Contents:
    comment = connection.scalar(
        text(f"{MARKER} SELECT obj_description(to_regnamespace(:name), 'pg_namespace')"), {"name": SCHEMA}
    )
    return Contents(
        counts={
            table: int(connection.scalar(text(f"{MARKER} SELECT count(*) FROM {SCHEMA}.{table}")) or 0)
            for table in rows.COLUMNS
        },
        scale=comment.removeprefix(_NOTE) if comment and comment.startswith(_NOTE) else None,
    )


def _fill(connection: Connection, scale: Scale, progress: Callable[[str], None]) -> None:
    register = Register(scale)
    for table, columns in rows.COLUMNS.items():
        progress(table)
        copy = f"{MARKER} COPY {SCHEMA}.{table} ({', '.join(columns)}) FROM STDIN (ENCODING 'UTF8')"
        _copy(connection, copy, rows.copy_text(register.rows(table), _PIECE_BYTES))
        if columns[0] == "id":
            connection.execute(
                text(f"{MARKER} SELECT setval(pg_get_serial_sequence(:name, 'id'), :rows)"),
                {"name": f"{SCHEMA}.{table}", "rows": scale.counts[table]},
            )
    connection.execute(text(f"{MARKER} COMMENT ON SCHEMA {SCHEMA} IS {quote_literal(f'{_NOTE}{scale}')}"))


def _copy(connection: Connection, statement: str, pieces: Iterator[bytes]) -> None:
    """Send each of ``pieces`` to a COPY of its own, by psycopg2 or psycopg 3.

    psycopg2 makes an error of its own of what is raised while it reads, such as Ctrl-C; reading from memory raises
    nothing, and Ctrl-C waits for the end of a piece.

    :raises DBAPIError: the server refuses.
    """
    driver = connection.connection.driver_connection
    assert driver is not None
    try:
        with driver.cursor() as cursor:
            for piece in pieces:
                if hasattr(cursor, "copy_expert"):
                    cursor.copy_expert(statement, io.BytesIO(piece), len(piece))
                else:
                    with cursor.copy(statement) as copy:
                        copy.write(piece)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(statement, None, error) from error


@contextmanager
def _patiently() -> Iterator[None]:
    """Turn the end of lock_timeout into an error that says so."""
    try:
        yield
    except DBAPIError as error:
        if sqlstate(error) != _LOCK_NOT_AVAILABLE:
            raise
        message = (
            f"another session has kept a table of {SCHEMA} locked for {_LOCK_SECONDS} s; try again when it is done"
        )
        raise GaveUp(message) from None

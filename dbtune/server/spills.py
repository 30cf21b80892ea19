"""Which statements write temporary files, where pg_stat_statements is there to tell."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from dbtune import sql
from dbtune.server import sessions
from dbtune.server.connection import is_lost

_BLOCK_BYTES = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Spill:
    """A statement and the bytes that it wrote to temporary files since the extension's counters were reset."""

    queryid: int | None
    query: str
    calls: int
    temp_bytes: int


def read(connection: Connection) -> tuple[Spill, ...] | None:
    """Return the statements that wrote most, at most three; None where the extension is missing or not loaded."""
    extension = connection.execute(text(sql.load("statements_extension"))).mappings().first()
    connection.rollback()
    if extension is None:
        return None
    schema = f"{sql.quote_identifier(extension['nspname'])}."
    try:
        rows = connection.execute(text(sql.load("spills").replace("/* schema */", schema))).mappings().all()
    except DBAPIError as error:
        if is_lost(error):
            raise
        return None
    finally:
        if not connection.invalidated:
            connection.rollback()
    return tuple(
        Spill(
            queryid=row["queryid"],
            query=sessions.shown(row["query"]),
            calls=row["calls"],
            temp_bytes=int(row["blocks"]) * _BLOCK_BYTES,
        )
        for row in rows
    )

"""TPC-H on a server: its data, made by duckdb's generator, and its queries as a folder that dbtune reads."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
from sqlalchemy import Connection, text

LEFT_OUT = (2, 17, 20)
"""Queries that would outweigh all others together where no index is there."""


def load(connection: Connection, scale: float) -> None:
    """Make the tables with their rows and without any index, in the schema ``public``, and gather statistics."""
    source = duckdb.connect()
    source.execute("LOAD tpch")
    source.execute(f"CALL dbgen(sf={scale})")
    with tempfile.TemporaryDirectory(prefix="dbtune-tpch-") as folder:
        for (table,) in source.execute("SELECT table_name FROM information_schema.tables ORDER BY 1").fetchall():
            described = source.execute(f"DESCRIBE {table}").fetchall()
            columns = ", ".join(f"{row[0]} {row[1].replace('BIGINT', 'INTEGER')}" for row in described)
            path = Path(folder) / f"{table}.csv"
            source.execute(f"COPY {table} TO '{path}' (HEADER false)")
            connection.execute(text(f"CREATE TABLE public.{table} ({columns})"))
            cursor = connection.connection.cursor()
            with path.open() as rows:
                cursor.copy_expert(f"COPY public.{table} FROM STDIN (FORMAT csv)", rows)
            path.unlink()
    connection.commit()
    connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM (ANALYZE)"))


def heap_bytes(connection: Connection) -> int:
    """Return the size of all tables together, in bytes."""
    found = connection.execute(
        text(
            "SELECT sum(pg_relation_size(oid)) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
    ).scalar_one()
    connection.rollback()
    return int(found)


def write_queries(folder: Path, *, left_out: tuple[int, ...] = LEFT_OUT) -> list[Path]:
    """Write a plain .sql file for each query; return the files."""
    source = duckdb.connect()
    source.execute("LOAD tpch")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, statement in source.execute("FROM tpch_queries()").fetchall():
        if number not in left_out:
            path = folder / f"q{number:02}.sql"
            path.write_text(statement.strip().rstrip(";") + "\n")
            written.append(path)
    return written

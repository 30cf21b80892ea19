"""What CREATE INDEX CONCURRENTLY takes, and what ``dbtune migrate plan`` says of it before.

    python benchmarks/migration_builds.py [--rows 1000000] [--memory 64MB] [--workers 2] [--pg-bindir DIR]

A server of the benchmark's own has one table, in memory by then. Each index is built, measured and dropped: its size,
the WAL that was written meanwhile, the temporary files, the time. Beside each stands what was said; a range of times
is that from a fast machine to a busy one. Temporary files are counted as pg_stat_database.temp_bytes does, which adds
up those of the build and those of its second reading of the table; what is said is the most at one time. Times are of
this machine, and of what else ran on it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import Connection, make_url, text
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1]))

from dbtune.migration.preflight import cost, server, words
from dbtune.migration.statement import parse_definition
from dbtune.server import binaries
from dbtune.server.connection import Target, connect, server_version_num
from dbtune.server.embedded import EmbeddedServer
from dbtune.snapshot.read import read

TABLE = """
CREATE TABLE orders AS
SELECT g AS id, (hashint8(g) & 2147483647) % 100000 AS customer, md5(g::text) AS note, g % 5 AS state,
       ARRAY[g % 1000, hashint8(g) % 1000] AS tags, timestamp '2020-01-01' + g * interval '1 min' AS made,
       point(g % 1000, hashint8(g) % 1000) AS spot
  FROM generate_series(1, {rows}) AS g
"""
TARGETS = (
    "(id)",
    "(customer)",
    "(note)",
    "(customer, note)",
    "(state)",
    "(id) WHERE state = 1 AND customer < 1000",
    "(lower(note))",
    "USING gin (tags)",
    "USING brin (made)",
    "USING hash (note)",
    "USING gist (spot)",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--memory", default="64MB", help="maintenance_work_mem")
    parser.add_argument("--workers", type=int, default=2, help="max_parallel_maintenance_workers")
    parser.add_argument("--pg-bindir", type=Path, help="PostgreSQL's programs; else those that came with dbtune")
    arguments = parser.parse_args()
    programs = binaries.at(arguments.pg_bindir.absolute()) if arguments.pg_bindir else binaries.find()
    with tempfile.TemporaryDirectory(prefix="dbtune-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        embedded = EmbeddedServer(folder / "server", programs)
        embedded.start()
        try:
            target = Target(make_url(embedded.url()).set(drivername="postgresql+psycopg2"), "benchmark")
            rows = measured(target, arguments)
        finally:
            embedded.reset()
    print(f"PostgreSQL {programs.version}, {arguments.rows:,} rows, maintenance_work_mem {arguments.memory}")
    headers = ("Index", "Size", "said", "WAL", "said", "Temporary", "said", "Seconds", "said")
    print(tabulate(rows, headers, tablefmt="pipe", disable_numparse=True))


def measured(target: Target, arguments: argparse.Namespace) -> list[tuple[str, ...]]:
    """Build each index, and return what it took beside what was said."""
    with connect(target) as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        run(connection, f"ALTER DATABASE {target.url.database} SET maintenance_work_mem = '{arguments.memory}'")
        run(
            connection,
            f"ALTER DATABASE {target.url.database} SET max_parallel_maintenance_workers = {arguments.workers}",
        )
        run(connection, TABLE.format(rows=arguments.rows))
        run(connection, "VACUUM ANALYZE orders")
    with connect(target) as connection:
        snapshot = read(connection)
        facts = server.read(connection, target)
        connection.execution_options(isolation_level="AUTOCOMMIT")
        table = snapshot.table("public", "orders")
        assert table is not None
        found: list[tuple[str, ...]] = []
        for each in TARGETS:
            definition = parse_definition(f"CREATE INDEX built ON orders {each}")
            said = cost.cost(definition, [table], snapshot, facts, concurrently=True)
            before = counted(connection)
            began = time.perf_counter()
            run(connection, definition.ddl(concurrently=True))
            seconds = time.perf_counter() - began
            temporary, wal, size = (after - earlier for after, earlier in zip(counted(connection), before, strict=True))
            run(connection, "DROP INDEX built")
            found.append(
                (
                    each,
                    words.size(size),
                    words.size(said.bytes),
                    words.size(wal),
                    words.size(said.wal),
                    words.size(temporary),
                    words.size(said.temporary),
                    f"{seconds:.1f}",
                    f"{said.seconds[0]:.1f} to {said.seconds[1]:.1f}",
                )
            )
        return found


def counted(connection: Connection) -> tuple[int, int, int]:
    """Return bytes of temporary files and of WAL so far, and of the index, if it is there."""
    if server_version_num(connection) >= 150_000:
        run(connection, "SELECT pg_stat_force_next_flush()")
    else:
        time.sleep(1.2)
    row = connection.execute(
        text(
            "SELECT temp_bytes, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint,"
            " coalesce(pg_relation_size(to_regclass('built')), 0)"
            " FROM pg_stat_database WHERE datname = current_database()"
        )
    ).one()
    return int(row[0]), int(row[1]), int(row[2])


def run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


if __name__ == "__main__":
    main()

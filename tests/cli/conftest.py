"""Commands are run as users run them: as processes, on a database with one table of 50,000 rows."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from dbtune.server.connection import server_version_num
from tests.command import dbtune

Run = Callable[..., "subprocess.CompletedProcess[str]"]

QUERIES = {
    "by-owner": """-- dbtune: 1
-- route: GET /items?owner=
-- calls: 40
-- types: [integer]
-- sets:
--   frequent: [3]
--   absent: [-1]
SELECT * FROM item WHERE owner = $1
""",
    "by-id": """-- dbtune: 1
-- route: GET /items/{id}
-- types: [integer]
-- sets:
--   one: [7]
SELECT * FROM item WHERE id = $1
""",
    "change-owner": """-- dbtune: 1
-- route: PUT /items/{id}
-- types: [integer, integer]
-- sets:
--   one: [4, 7]
UPDATE item SET owner = $1 WHERE id = $2
""",
}


@pytest.fixture
def items(db: Connection) -> Connection:
    db.exec_driver_sql("CREATE TABLE item (id int PRIMARY KEY, owner int, code text)")
    db.exec_driver_sql("INSERT INTO item SELECT g, mod(g, 5000), repeat('x', 60) FROM generate_series(1, 50000) AS g")
    db.exec_driver_sql("ANALYZE item")
    db.commit()
    return db


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    folder = tmp_path / "queries"
    folder.mkdir()
    for name, text in QUERIES.items():
        (folder / f"{name}.sql").write_text(text)
    return folder


@pytest.fixture
def environment(items: Connection, database_url: str) -> Iterator[dict[str, str]]:
    """An environment in which DBTUNE_URL names the database, at 80 columns."""
    yield {**os.environ, "DBTUNE_URL": database_url, "COLUMNS": "80"}


@pytest.fixture
def run(environment: dict[str, str], queries: Path, tmp_path: Path) -> Run:
    """Run dbtune in a folder that holds queries/, and return what it printed."""

    def run_dbtune(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return dbtune(*arguments, cwd=tmp_path, env=environment | variables)

    return run_dbtune


def settle(connection: Connection) -> None:
    """Make the server tell its counters now: a session reports them at most once a second, and when it is idle."""
    if server_version_num(connection) >= 150_000:
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        connection.commit()
    else:
        time.sleep(1.1)
        connection.exec_driver_sql("SELECT 1")
        connection.commit()
        time.sleep(0.7)

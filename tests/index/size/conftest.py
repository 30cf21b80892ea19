"""One database with all the shapes, for the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_postgresql.janitor import DatabaseJanitor
from sqlalchemy import make_url

from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer
from tests.index.cataloged import snapshot
from tests.index.size.built import Shapes
from tests.index.size.shapes import SETUP


@pytest.fixture(scope="session")
def shapes(server: EmbeddedServer) -> Iterator[Shapes]:
    url = make_url(server.url())
    janitor = DatabaseJanitor(
        user=url.username or "", host=str(url.query["host"]), port=str(url.query["port"]), dbname="test_shapes"
    )
    target = Target(url.set(drivername="postgresql+psycopg2", database="test_shapes"), "test")
    with janitor, connect(target) as connection:
        for extension in ("pageinspect", "pg_trgm", "btree_gin", "btree_gist"):
            connection.exec_driver_sql(f"CREATE EXTENSION {extension}")
        for statement in SETUP:
            connection.exec_driver_sql(statement.replace("%", "%%"))
        connection.commit()
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM (ANALYZE)")
        connection.rollback()
        connection.execution_options(isolation_level="READ COMMITTED")
        taken = snapshot(connection)
        connection.rollback()
        yield Shapes(connection, taken)

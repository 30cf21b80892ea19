"""A source server's database with data, its snapshot, and a twin of it, once for all tests that change neither."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, make_url

from dbtune.index.whatif.twin import Twin, raise_twin
from dbtune.server.binaries import Binaries
from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer
from dbtune.snapshot.read import read
from dbtune.snapshot.value import Snapshot
from tests.index.whatif.twin import source

NAME = "twin_source"


@pytest.fixture(scope="session")
def source_target(server: EmbeddedServer) -> Target:
    url = make_url(server.url()).set(drivername="postgresql+psycopg2")
    with connect(Target(url, "test")) as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(f"CREATE DATABASE {NAME}")
    target = Target(url.set(database=NAME), "test")
    with connect(target) as connection:
        source.fill(connection)
    return target


@pytest.fixture(scope="session")
def programs(server: EmbeddedServer) -> Binaries:
    """The twin runs what the source runs."""
    return server.programs


@pytest.fixture(scope="session")
def source_snapshot(source_target: Target) -> Snapshot:
    with connect(source_target) as connection:
        return read(connection)


@pytest.fixture
def production(source_target: Target) -> Iterator[Connection]:
    with connect(source_target) as connection:
        yield connection


@pytest.fixture(scope="session")
def twin(source_snapshot: Snapshot, programs: Binaries) -> Iterator[Twin]:
    """Candidates may be added; whoever does so leaves everything else as it is."""
    with raise_twin(source_snapshot, bindir=programs.bindir) as raised:
        yield raised

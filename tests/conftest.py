"""Fixtures for tests on a real server: the embedded PostgreSQL 18, or another one with --pg-bindir."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_postgresql.janitor import DatabaseJanitor
from sqlalchemy import Connection, create_engine, make_url

from dbtune import config
from dbtune.server import binaries, connection
from dbtune.server.embedded import EmbeddedServer

# Hundreds of tests start commands: each would compile dbtune anew where bytecode is not kept.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_ON_A_SERVER = {"server", "pytestconfig"}
"""Of the fixtures of a test on a server, it has one: the server of all, or the option that says which to start."""

_names = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pg-bindir", type=Path, help="run the tests on a server on the PostgreSQL whose programs are in this folder"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a named PostgreSQL, run what depends on it only: the rest would say the same again."""
    if config.getoption("--pg-bindir"):
        chosen = [item for item in items if _ON_A_SERVER & set(getattr(item, "fixturenames", ()))]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
        items[:] = chosen


def pytest_report_header(config: pytest.Config) -> str:
    return f"PostgreSQL {_programs(config).version}"


def _programs(config: pytest.Config) -> binaries.Binaries:
    bindir = config.getoption("--pg-bindir")
    return binaries.at(bindir.absolute()) if bindir else binaries.find()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own settings change no test."""
    for variable in (
        *config.URL_VARIABLES,
        config.DATA_DIR_VARIABLE,
        config.PG_BINDIR_VARIABLE,
        config.SERVER_USER_VARIABLE,
        "COLUMNS",
        "PGHOST",
        "PGPORT",
        "PGUSER",
        "PGPASSWORD",
        "PGDATABASE",
    ):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    """A folder for servers that every user can enter (pytest's own temporary folder is private to root)."""
    folder = Path(tempfile.mkdtemp(prefix="dbtune-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(data_dir: Path, pytestconfig: pytest.Config) -> Iterator[EmbeddedServer]:
    """A running server for the whole session."""
    embedded = EmbeddedServer(data_dir, _programs(pytestconfig))
    embedded.start()
    _quieten(embedded)
    yield embedded
    embedded.reset()


def _quieten(embedded: EmbeddedServer) -> None:
    """Keep autovacuum from beginning while tests count: its transactions are the database's too."""
    url = make_url(embedded.url()).set(drivername="postgresql+psycopg2")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as opened:
        opened.exec_driver_sql("ALTER SYSTEM SET autovacuum_naptime = '1d'")
        opened.exec_driver_sql("SELECT pg_reload_conf()")
    engine.dispose()


@pytest.fixture
def database_url(server: EmbeddedServer) -> Iterator[str]:
    """The URL of an empty database of its own."""
    url = make_url(server.url())
    janitor = DatabaseJanitor(
        user=url.username or "",
        host=str(url.query["host"]),
        port=str(url.query["port"]),
        dbname=f"test_{next(_names)}",
    )
    with janitor:
        yield url.set(drivername="postgresql+psycopg2", database=janitor.dbname).render_as_string()


@pytest.fixture
def db(database_url: str) -> Iterator[Connection]:
    """A connection to an empty database, as superuser."""
    with connection.connect(connection.Target(make_url(database_url), "test")) as opened:
        yield opened

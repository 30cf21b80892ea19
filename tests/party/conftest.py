"""A database with the party service's data, loaded once for each module that only reads or rolls back."""

from __future__ import annotations

import itertools
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, make_url

from dbtune import config
from dbtune.party import data
from dbtune.party.rows import Scale
from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer

SMALL = Scale(businesses=300)

_names = itertools.count(1)


@pytest.fixture(scope="session")
def scale() -> Scale:
    """The scale of :func:`party_url`'s data."""
    return SMALL


@pytest.fixture(scope="module")
def party_url(server: EmbeddedServer) -> Iterator[str]:
    """The URL of a database with the small data and the schema of January 2019; leave it as it is."""
    name = f"party_{next(_names)}"
    with _maintenance(server) as run:
        run(f"CREATE DATABASE {name}")
    url = make_url(server.url()).set(drivername="postgresql+psycopg2", database=name).render_as_string()
    with connect(Target(make_url(url), "test")) as connection:
        data.load(connection, SMALL)
    yield url
    with _maintenance(server) as run:
        run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def party(party_url: str) -> Iterator[Connection]:
    """A connection to that database."""
    with connect(Target(make_url(party_url), "test")) as opened:
        yield opened


@contextmanager
def _maintenance(server: EmbeddedServer) -> Iterator[Callable[[str], None]]:
    opened = psycopg2.connect(server.url())
    try:
        opened.autocommit = True
        with opened.cursor() as cursor:
            yield cursor.execute
    finally:
        opened.close()


Alembic = Callable[..., str]


@pytest.fixture
def alembic(database_url: str, tmp_path: Path) -> Alembic:
    """Alembic's own commands on the empty database: ``alembic("upgrade", "head", sql=True)`` returns the output."""

    def run(name: str, *arguments: str, **options: object) -> str:
        output = tmp_path / "output"
        with output.open("w") as file:
            made = Config(cmd_opts=Namespace(x=[f"url={database_url}"]), output_buffer=file, stdout=file)
            made.set_main_option("script_location", str(config.migrations_dir()))
            getattr(command, name)(made, *arguments, **options)
        return output.read_text()

    return run

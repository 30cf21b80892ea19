"""A database with one of everything, and an empty one beside it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from pytest_postgresql.janitor import DatabaseJanitor
from sqlalchemy import Connection, make_url

from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer
from tests.snapshot import rich

_numbers = itertools.count(1)


@pytest.fixture
def made(db: Connection) -> Connection:
    rich.make(db)
    return db


@pytest.fixture
def empty(server: EmbeddedServer) -> Iterator[Connection]:
    """A connection to another empty database."""
    url = make_url(server.url())
    janitor = DatabaseJanitor(
        user=url.username or "",
        host=str(url.query["host"]),
        port=str(url.query["port"]),
        dbname=f"rebuilt_{next(_numbers)}",
    )
    with (
        janitor,
        connect(Target(url.set(drivername="postgresql+psycopg2", database=janitor.dbname), "test")) as opened,
    ):
        yield opened

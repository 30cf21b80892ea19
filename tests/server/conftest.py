"""Sessions of others, which these tests look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg2
import pytest
from psycopg2 import extensions
from sqlalchemy import Connection, make_url

from dbtune.server.connection import Target, connect

Opened = Callable[..., extensions.connection]


@pytest.fixture
def session(database_url: str) -> Iterator[Opened]:
    """Opens sessions to the test's database; keywords go to libpq."""
    url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with ExitStack() as opened:

        def open_session(**arguments: Any) -> extensions.connection:
            made: extensions.connection = psycopg2.connect(url, **arguments)
            opened.callback(made.close)
            return made

        yield open_session


@pytest.fixture
def plain(db: Connection, database_url: str) -> Iterator[Connection]:
    """A connection of a role without any right, which goes with the database."""
    name = f"plain_{make_url(database_url).database}"
    db.exec_driver_sql(f"CREATE ROLE {name} LOGIN")
    db.commit()
    try:
        with connect(Target(make_url(database_url).set(username=name), "test")) as opened:
            yield opened
    finally:
        db.rollback()
        db.exec_driver_sql(f"DROP ROLE {name}")
        db.commit()

"""Hosts for revisions: Alembic projects as ``alembic init`` makes them, on an empty database of their own."""

from __future__ import annotations

import itertools
import re
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg2
import pytest
from alembic import command
from alembic.config import Config
from pytest_postgresql.janitor import DatabaseJanitor
from sqlalchemy import Connection, make_url

from dbtune.errors import DbtuneError
from dbtune.migration import asked, statement
from dbtune.migration.evidence import Evidence
from dbtune.migration.project import Project, Written
from dbtune.migration.step import Change
from dbtune.server import binaries
from dbtune.server.embedded import EmbeddedServer
from dbtune.workload import lexer

Run = Callable[[str], list[Any]]

SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.item (
    id int PRIMARY KEY, owner int, name text, note text, tags int[], "Mixed Case" text, made timestamp DEFAULT now(),
    spot point
);
INSERT INTO shop.item (id, owner, name, note) SELECT g, mod(g, 7), 'n' || g, 'x' FROM generate_series(1, 50) AS g;
"""


@contextmanager
def session(url: str) -> Iterator[Run]:
    """A session of its own, outside of transactions unless it begins one."""
    opened = psycopg2.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
    opened.autocommit = True

    def run(sql: str) -> list[Any]:
        with opened.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    try:
        yield run
    finally:
        opened.close()


@dataclass(frozen=True)
class Host:
    """An Alembic project that works on ``url``."""

    folder: Path
    url: str

    @property
    def ini(self) -> Path:
        return self.folder / "alembic.ini"

    def alembic(self, name: str, *arguments: str, **options: object) -> str:
        """Run one of Alembic's own commands and return what it prints."""
        output = self.folder / "output"
        with output.open("w") as file:
            config = Config(str(self.ini), cmd_opts=Namespace(quiet=True), output_buffer=file, stdout=file)
            getattr(command, name)(config, *arguments, **options)
        return output.read_text()

    def new(self, text: str | Change, connection: Connection | None = None, **options: Any) -> list[Written]:
        """Write a statement as revisions, as ``dbtune migrate new`` does."""
        changes = asked.changes(statement.parse(text), connection) if isinstance(text, str) else [text]
        return Project(self.ini).write([(change, Evidence()) for change in changes], **options)

    def set(self, **options: str) -> None:
        """Set options in alembic.ini."""
        text = self.ini.read_text()
        for name, value in options.items():
            text = re.sub(rf"(?m)^# *{name} *=.*$|^{name} *=.*\n", "", text)
            text = text.replace("[alembic]\n", f"[alembic]\n{name} = {value}\n")
        self.ini.write_text(text)


@pytest.fixture
def host(tmp_path: Path, database_url: str) -> Host:
    """A project of the generic template, in a database with the table shop.item."""
    return make_host(tmp_path / "host", database_url)


def make_host(folder: Path, url: str, template: str = "generic") -> Host:
    """Make a project as Alembic does."""
    folder.mkdir()
    config = Config(str(folder / "alembic.ini"), cmd_opts=Namespace(quiet=True))
    command.init(config, str(folder / "alembic"), template=template)
    made = Host(folder, url)
    made.set(
        **{"sqlalchemy.url": url.replace("%", "%%")},
        script_location="%(here)s/alembic",
        prepend_sys_path="%(here)s",
        path_separator="os",
    )
    made.ini.write_text(re.sub(r"(?s)\[loggers\].*", "", made.ini.read_text()))
    env = folder / "alembic" / "env.py"
    env.write_text(
        env.read_text()
        .replace("fileConfig(config.config_file_name)", "pass")
        .replace("target_metadata=target_metadata", "target_metadata=target_metadata, transaction_per_migration=True")
    )
    return made


@pytest.fixture
def run(database_url: str) -> Iterator[Run]:
    """A session in that database, which has the table shop.item."""
    with session(database_url) as opened:
        opened(SHOP)
        yield opened


@pytest.fixture(scope="session")
def own_server(data_dir: Path, pytestconfig: pytest.Config) -> Iterator[EmbeddedServer]:
    """A server beside the one of all tests, to be crashed and followed by a standby; it has prepared transactions."""
    bindir = pytestconfig.getoption("--pg-bindir")
    server = EmbeddedServer(data_dir / "own", binaries.at(bindir.absolute()) if bindir else None)
    server.start()
    with session(server.url()) as opened:
        opened("ALTER SYSTEM SET max_prepared_transactions = 2")
    server.stop()
    server.start()
    yield server
    server.reset()


@pytest.fixture
def own_host(own_server: EmbeddedServer, tmp_path: Path) -> Iterator[Host]:
    """A project in a database of its own on that server, with the table shop.item."""
    wait_for(lambda: serves(own_server), 60)
    url = make_url(own_server.url()).set(drivername="postgresql+psycopg2", database=f"own_{next(_names)}")
    with DatabaseJanitor(
        user=url.username or "", host=str(url.query["host"]), port=str(url.query["port"]), dbname=url.database or ""
    ):
        with session(url.render_as_string()) as opened:
            opened(SHOP)
        yield make_host(tmp_path / "own", url.render_as_string())
        wait_for(lambda: serves(own_server), 60)


_names = itertools.count(1)


def serves(server: EmbeddedServer) -> bool:
    """Start the server if it is down, and return whether it takes connections."""
    with suppress(DbtuneError, psycopg2.OperationalError):
        server.start()
        with session(server.url()):
            return True
    return False


def indexes(run: Run) -> dict[str, str]:
    """The definitions of the indexes on the tables of ``shop`` that no constraint made."""
    return dict(
        run(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'shop' AND NOT EXISTS ("
            " SELECT FROM pg_constraint WHERE conindid = format('%I.%I', schemaname, indexname)::regclass)"
        )
    )


def state(run: Run, name: str) -> tuple[bool, str | None]:
    """Whether an index of ``shop`` is valid, ready and live, and the comment on it."""
    rows = run(
        "SELECT indisvalid AND indisready AND indislive, obj_description(indexrelid, 'pg_class') FROM pg_index"
        f" WHERE indexrelid = 'shop.{name}'::regclass"
    )
    return rows[0]  # type: ignore[no-any-return]


def version(run: Run, table: str = "alembic_version") -> str | None:
    """The revision that the database is noted to be at."""
    rows = run(f"SELECT version_num FROM {table}")
    return rows[0][0] if rows else None


def psql(run: Run, script: str, *, stop: bool) -> list[str]:
    """Send a script as psql does, statement by statement, and return the errors; ``stop`` is ON_ERROR_STOP."""
    errors: list[str] = []
    for sql in lexer.statements(script):
        try:
            run(sql)
        except psycopg2.Error as error:
            errors.append(str(error.diag.message_primary))
            if stop:
                break
    return errors


def wait_for(found: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something is so, and fail if it does not become so."""
    deadline = monotonic() + seconds
    while not found():
        assert monotonic() < deadline
        sleep(0.02)

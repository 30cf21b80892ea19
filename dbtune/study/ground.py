"""The server that a study runs on: made for it in a folder of its own, removed after it, whatever happens.

A study that was killed leaves its folder and its server behind; the next one removes them (:func:`sweep`).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alembic import command
from sqlalchemy import Connection, make_url, text

from dbtune.errors import EmbeddedError
from dbtune.party import data, schema
from dbtune.party.models import SCHEMA
from dbtune.party.rows import Scale
from dbtune.party.web import serving
from dbtune.server.connection import Target, connect, parse_url
from dbtune.server.embedded import EmbeddedServer

ROLE = "party"
"""Whom the service connects as: no superuser, who could take the reserved connections."""

_OWN = 1
"""The connection by which the study watches the others."""

_NICE = 5
_PREFIX = "dbtune-study-"
_EOF = "unexpected EOF on client connection with an open transaction"
_TOO_MANY = re.compile(r"FATAL: .*(too many clients|connection slots are reserved)")


class Ground:
    """A running server; databases are made when an arm first asks for its data."""

    def __init__(self, server: EmbeddedServer, usable: int, version: str) -> None:
        self.server = server
        self.usable = usable
        self.version = version
        self._made: dict[Scale, str] = {}
        self._indexed: dict[Scale, bool] = {}

    def prepare(self, scale: Scale, indexes: bool, tell: Callable[[str], None] = lambda text: None) -> str:
        """Make sure that the data are there, with the service's indexes or without; return the service's URL."""
        if scale not in self._made:
            self._made[scale] = name = f"party_{len(self._made) + 1}"
            tell(f"loading {scale.counts['business_attributes']:,} versions of {scale.businesses:,} businesses")
            with self.connected() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(f"CREATE DATABASE {name}"))
            with self.connected(name) as connection:
                data.load(connection, scale)
                connection.execute(text(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {ROLE}"))
                connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {ROLE}"))
                connection.commit()
            self._indexed[scale] = False
        name = self._made[scale]
        if self._indexed[scale] != indexes:
            tell("adding the indexes" if indexes else "dropping the indexes")
            with self.connected(name) as connection:
                if indexes:
                    schema.upgrade(connection, "head")
                else:
                    command.downgrade(schema.alembic_config(connection), schema.FIRST)
                    connection.commit()
                data.vacuum(connection)
            self._indexed[scale] = indexes
        return self.url(name, ROLE)

    def database(self, scale: Scale) -> str:
        """Return the name of the database with data of a scale that was prepared."""
        return self._made[scale]

    def url(self, database: str, user: str) -> str:
        """Return the URL of a database for psycopg2."""
        url = make_url(self.server.url()).set(drivername="postgresql+psycopg2", database=database, username=user)
        return url.render_as_string(hide_password=False)

    @contextmanager
    def connected(self, database: str = "postgres") -> Iterator[Connection]:
        """Open a connection of the superuser's."""
        url = make_url(self.server.url()).set(database=database)
        target = Target(parse_url(url.render_as_string(hide_password=False), "embedded"), "embedded")
        with connect(target) as connection:
            yield connection

    def log_size(self) -> int:
        """Return how long the server's log is, for :meth:`logged`."""
        return self.server.log.stat().st_size

    def logged(self, since: int) -> tuple[int, int]:
        """Return how many sessions broke off in a transaction, and how many were refused, by the log from there on."""
        with self.server.log.open("rb") as file:
            file.seek(since)
            lines = file.read().decode(errors="replace").splitlines()
        return sum(_EOF in line for line in lines), sum(bool(_TOO_MANY.search(line)) for line in lines)


@contextmanager
def ground(max_connections: int, tell: Callable[[str], None] = lambda text: None) -> Iterator[Ground]:
    """Start a server, and remove it at the end.

    :raises EmbeddedError: it cannot be started.
    """
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    folder.chmod(0o755)  # the server may run as another user
    server = EmbeddedServer(folder / "server")
    try:
        tell("making a server")
        server.start()
        made = Ground(server, 0, "")
        with made.connected() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text(f"ALTER SYSTEM SET max_connections = {max_connections:d}"))
            connection.execute(text(f"CREATE ROLE {ROLE} LOGIN"))
        server.stop()
        server.start()
        yielding(server.status().pid)
        with made.connected() as connection:
            reserved = (
                "SELECT current_setting('superuser_reserved_connections')::int"
                " + coalesce(current_setting('reserved_connections', true)::int, 0), current_setting('server_version')"
            )
            held, version = connection.execute(text(reserved)).one()
        yield Ground(server, max_connections - held - _OWN, version)
    finally:
        try:
            _remove(folder)
        except KeyboardInterrupt:  # whatever came in between: nothing is left
            _remove(folder)
            raise


def yielding(pid: int | None) -> None:
    """Let a process and its children to come give way to the generator, which stands for other machines."""
    if pid is not None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, _NICE)
        with suppress(OSError):
            os.setpriority(os.PRIO_PGRP, pid, _NICE)


def sweep() -> None:
    """Stop and remove what studies left that were killed, and their services."""
    serving.sweep()
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        found = re.fullmatch(rf"{_PREFIX}(\d+)-\w+", folder.name)
        if found and folder.stat().st_uid == os.getuid() and not Path(f"/proc/{found[1]}").exists():
            _remove(folder)


def _remove(folder: Path) -> None:
    with suppress(EmbeddedError):
        EmbeddedServer(folder / "server").reset()
    shutil.rmtree(folder, ignore_errors=True)

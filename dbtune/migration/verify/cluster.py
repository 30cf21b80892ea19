"""The throw-away server, and a database on it that is made anew for each fault.

Server and folder are the twin's: gone when their maker is, however that ends. Here it is also started again when a
fault has ended it.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2

from dbtune.errors import EmbeddedError
from dbtune.index.whatif.twin import cluster as twin
from dbtune.migration.verify import guard
from dbtune.migration.verify.address import Address
from dbtune.server import binaries
from dbtune.server.binaries import Binaries
from dbtune.server.connection import MARKER
from dbtune.sql import quote_identifier, quote_literal

Run = Callable[[str], list[Any]]
"""Sends one statement, or several in a transaction of their own, and returns the rows of the last one."""

APPLICATION = "dbtune verify"
TEMPLATE = "dbtune_template"
_SECONDS = 60.0
_POLL_SECONDS = 0.01

_SETTINGS = {
    "restart_after_crash": "on",
    # a crash must lose nothing that was committed; of the machine's own nobody needs to be afraid
    "synchronous_commit": "on",
    "wal_level": "replica",
    "track_activities": "on",
    "track_activity_query_size": "16kB",
    "max_connections": "100",
    "max_prepared_transactions": "4",
    "allow_system_table_mods": "off",
    "check_function_bodies": "on",
    "timezone": "UTC",
}


class Cluster:
    """See :func:`start`. ``database`` is the name of the database that revisions run in."""

    def __init__(self, server: twin.Cluster, database: str, word: str) -> None:
        self._server = server
        self.home = server.home
        self.programs = server.programs
        self.word = word
        self.address = Address(host=str(server.home), port=twin.PORT, user=twin.ROLE, database=database)

    def stop(self) -> None:
        """End the server and remove all there is of it."""
        self._server.stop()

    def open(self, database: str | None = None) -> Any:
        """Return a new connection of psycopg2's in autocommit, to the database by default.

        No limit that a fault puts on the role or the database counts in it.
        """
        opened = psycopg2.connect(
            host=self.address.host,
            port=self.address.port,
            user=self.address.user,
            dbname=database or self.address.database,
            application_name=APPLICATION,
            options="-c lock_timeout=0 -c statement_timeout=0 -c temp_file_limit=-1 -c client_min_messages=error",
        )
        opened.autocommit = True
        return opened

    @contextmanager
    def session(self, database: str | None = None) -> Iterator[Run]:
        """Open a session for the block. A server that went down meanwhile is no error at its end."""
        opened = self.open(database)
        try:
            yield runner(opened)
        finally:
            with suppress(psycopg2.Error):
                opened.close()

    @contextmanager
    def maintenance(self) -> Iterator[Run]:
        """Open a session in another database: it holds nothing that a build would wait for."""
        with self.session(twin.DATABASE) as run:
            yield run

    def create(self) -> None:
        """Make the database, empty."""
        with self.maintenance() as run:
            run(f"{MARKER} CREATE DATABASE {quote_identifier(self.address.database)}")

    def keep(self) -> None:
        """Keep the database as it is, to be had again by :meth:`restore`, and make it."""
        with self.maintenance() as run:
            run(f"{MARKER} DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")
            run(f"{MARKER} ALTER DATABASE {quote_identifier(self.address.database)} RENAME TO {TEMPLATE}")
        self.restore()

    def restore(self) -> None:
        """Make the database anew, as it was kept, with the settings that revisions gave it."""
        name = self.address.database
        with self.maintenance() as run:
            run(f"{MARKER} DROP DATABASE IF EXISTS {quote_identifier(name)} WITH (FORCE)")
            run(f"{MARKER} CREATE DATABASE {quote_identifier(name)} TEMPLATE {TEMPLATE}")
            run(
                f"{MARKER} INSERT INTO pg_catalog.pg_db_role_setting (setdatabase, setrole, setconfig)"
                " SELECT d.oid, s.setrole, s.setconfig FROM pg_catalog.pg_db_role_setting AS s"
                " JOIN pg_catalog.pg_database AS t ON t.oid = s.setdatabase CROSS JOIN pg_catalog.pg_database AS d"
                f" WHERE t.datname = '{TEMPLATE}' AND d.datname = {quote_literal(name)}"
            )

    def unkeep(self) -> None:
        """Go back to the database as it was kept, to change it before it is kept again."""
        with self.maintenance() as run:
            run(f"{MARKER} DROP DATABASE IF EXISTS {quote_identifier(self.address.database)} WITH (FORCE)")
            run(f"{MARKER} ALTER DATABASE {TEMPLATE} RENAME TO {quote_identifier(self.address.database)}")

    def stop_immediately(self) -> None:
        """Do what ``pg_ctl stop -m immediate`` does, and return when nobody is left; it starts again by itself."""
        pid = self._postmaster()
        if pid is None:
            raise EmbeddedError("the throw-away server does not run")
        os.kill(pid, signal.SIGQUIT)
        deadline = time.monotonic() + _SECONDS
        while self._postmaster() == pid and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def await_up(self) -> None:
        """Return when the server takes connections to the database.

        :raises EmbeddedError: it does not come back.
        """
        deadline = time.monotonic() + _SECONDS
        while True:
            with suppress(psycopg2.OperationalError), self.session() as run:
                run("SELECT 1")
                return
            if time.monotonic() > deadline or not self._server.runs:
                raise EmbeddedError("the throw-away server did not come back after it was stopped")
            time.sleep(_POLL_SECONDS)

    def _postmaster(self) -> int | None:
        with suppress(OSError, ValueError, IndexError):
            return int((self._server.data / "postmaster.pid").read_text().splitlines()[0])
        return None


@contextmanager
def start(database: str, bindir: Path | None = None, folder: Path | None = None) -> Iterator[Cluster]:
    """Run a server with ``database``, still empty, for the block; nothing is left of it afterwards.

    It runs the programs in ``bindir``, else those of ``$DBTUNE_PG_BINDIR``, else the embedded ones; its folder is in
    ``folder``, else in the system's temporary one.

    :raises EmbeddedError: it cannot be made or started.
    """
    programs = binaries.at(bindir.absolute()) if bindir is not None else binaries.find()
    word = secrets.token_hex(16)
    server = twin.start(
        programs, _locale(programs), folder=folder, settings={**_SETTINGS, guard.SETTING: word}, name="verification"
    )
    made = Cluster(server, database, word)
    try:
        server.keep_up()
        made.create()
        yield made
    finally:
        made.stop()


def runner(opened: Any) -> Run:
    """Return what sends statements on a connection of psycopg2's, which looks for no parameters in them."""

    def run(statement: str) -> list[Any]:
        with opened.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    return run


def _locale(programs: Binaries) -> tuple[str, ...]:
    """Return initdb's options: UTF-8 as the embedded server has it."""
    builtin = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8") if programs.major >= 17 else ()
    return ("--encoding=UTF8", "--locale=C", *builtin)

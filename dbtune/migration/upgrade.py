"""Alembic's own upgrade in a thread, which tells how far it is and asks before it begins a build."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event, text

from dbtune.migration import build as builds
from dbtune.migration import environment
from dbtune.migration.build import Build
from dbtune.migration.events import Done, Pending
from dbtune.migration.lasting import KEEPALIVES
from dbtune.migration.project import Project
from dbtune.server.connection import MARKER

_LOOKS_S = 0.2


class Stopped(Exception):
    """The upgrade was told to stop, and began nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A build that session ``pid`` begins as soon as ``granted`` is set."""

    build: Build
    pid: int
    granted: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Ended:
    """The upgrade is over; see :attr:`Upgrade.error`."""


class Upgrade(threading.Thread):
    """``alembic upgrade`` in a thread of its own. ``pids`` are the server processes of the connections it opened.

    ``done`` are the revisions that were run, ``built`` the builds that each began. ``ended`` is set at its end: an
    exception of a signal's within ``join()`` makes ``is_alive()`` tell an untruth.
    """

    def __init__(self, project: Project, revision: str) -> None:
        super().__init__(name="alembic upgrade", daemon=True)
        self._project = project
        self._revision = revision
        self._said: SimpleQueue[Pending | Ask | Ended] = SimpleQueue()
        self._stops = threading.Event()
        self.now: str | None = None
        self.pids: list[int] = []
        self.done: list[Done] = []
        self.built: list[tuple[str | None, Build]] = []
        self.error: BaseException | None = None
        self.ended = threading.Event()

    def said(self, timeout: float) -> Pending | Ask | Ended | None:
        """Return the revision that begins, the build that is asked for, or the end; None where nothing was said."""
        try:
            return self._said.get(timeout=timeout)
        except Empty:
            return None

    def stop(self) -> None:
        """Begin no other revision and no other build; what runs goes on."""
        self._stops.set()

    def run(self) -> None:
        """Upgrade; what goes wrong is in ``error``."""
        try:
            with self._listening():
                self._upgrade()
        except BaseException as error:
            self.error = error
        finally:
            self.ended.set()
            self._said.put(Ended())

    def _upgrade(self) -> None:
        """Do as alembic.command.upgrade() does."""
        directory = ScriptDirectory.from_config(self._project.config)

        def upgrade(heads: Any, context: Any) -> Iterator[Any]:
            for step in environment.steps(directory, self._revision, heads):
                self._go_on()
                told = environment.told(step)
                self.now = told.revision
                self._said.put(told)
                began = time.monotonic()
                yield step
                self.done.append(
                    Done(
                        revision=told.revision,
                        title=told.title,
                        expected_bytes=told.expected_bytes,
                        seconds=time.monotonic() - began,
                    )
                )

        with EnvironmentContext(
            self._project.config, directory, fn=upgrade, as_sql=False, destination_rev=self._revision
        ):
            directory.run_env()

    def _go_on(self) -> None:
        if self._stops.is_set():
            raise Stopped("the upgrade was told to stop")

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Hear of what the thread does through SQLAlchemy."""
        heard = (("do_connect", self._connects), ("connect", self._connected), ("before_cursor_execute", self._sends))
        for name, hear in heard:
            event.listen(Engine, name, hear)
        try:
            yield
        finally:
            for name, hear in heard:
                event.remove(Engine, name, hear)

    def _connects(self, dialect: Any, record: Any, arguments: Any, named: dict[str, Any]) -> None:
        """Let libpq find out when the server is gone: nothing is heard on the connection while an index is built."""
        if threading.current_thread() is self and dialect.driver in ("psycopg2", "psycopg", "psycopg_async"):
            for name, value in KEEPALIVES.items():
                named.setdefault(name, value)

    def _connected(self, connection: Any, record: Any) -> None:
        if threading.current_thread() is self:
            self.pids.append(_pid(connection))

    def _sends(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        if threading.current_thread() is not self or (build := builds.begun_by(statement)) is None:
            return
        self._go_on()
        self.built.append((self.now, build))
        ask = Ask(build=build, pid=_pid(connection.connection.dbapi_connection))
        self._said.put(ask)
        if ask.granted.wait(_LOOKS_S):
            return
        with _idle_for_long(connection):
            while not ask.granted.wait(_LOOKS_S):
                self._go_on()
        self._go_on()


@contextmanager
def _idle_for_long(connection: Connection) -> Iterator[None]:
    """Keep idle_session_timeout from ending the session, from PostgreSQL 14 on."""
    name = "idle_session_timeout"
    change = text(f"{MARKER} SELECT pg_catalog.set_config(:name, :value, false)")
    before = connection.scalar(text(f"{MARKER} SELECT pg_catalog.current_setting(:name, true)"), {"name": name})
    if before is None:
        yield
        return
    connection.scalar(change, {"name": name, "value": "0"})
    yield
    connection.scalar(change, {"name": name, "value": before})


def _pid(connection: Any) -> int:
    driver = getattr(connection, "driver_connection", connection)
    if hasattr(driver, "get_server_pid"):  # asyncpg
        return int(driver.get_server_pid())
    return int(driver.info.backend_pid)

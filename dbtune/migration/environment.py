"""The host's env.py, asked where the database is and what it is at, and told to upgrade it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from alembic import command
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Engine, event
from sqlalchemy.exc import DBAPIError

from dbtune.errors import ServerError, UsageError
from dbtune.migration.project import Project, translated
from dbtune.server.connection import reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A revision that an upgrade would run: its id and the first line of its docstring."""

    revision: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The database that env.py opens, the revisions it is noted at, and those that an upgrade would run, in order."""

    url: URL
    heads: tuple[str, ...]
    pending: tuple[Pending, ...]


def ask(project: Project, revision: str = "head") -> Found:
    """Run env.py as ``alembic current`` does, which changes nothing, and return what it says.

    :raises UsageError: Alembic does not know the revision, or env.py upgrades no or several databases.
    :raises ServerError: the server is unreachable, or refuses.
    """
    found: list[Found] = []
    with translated(project.path):
        directory = ScriptDirectory.from_config(project.config)

        def look(heads: Any, context: Any) -> list[Any]:
            at = tuple(heads) if isinstance(heads, tuple | list) else (heads,) if heads else ()
            steps = directory._upgrade_revs(revision, at)  # type: ignore[arg-type]  # a tuple, as env.py's own does
            pending = tuple(
                Pending(revision=each.revision.revision, title=(each.revision.doc or "").partition("\n")[0])
                for each in steps
            )
            found.append(Found(url=context.connection.engine.url, heads=at, pending=pending))
            return []

        try:
            with EnvironmentContext(project.config, directory, fn=look, dont_mutate=True):
                directory.run_env()
        except DBAPIError as error:
            raise ServerError(f"{project.path}: env.py: {reason(error)}") from None
    if len(found) != 1:
        raise UsageError(
            f"{project.path}: env.py ran migrations {len(found)} times; one database at a time is upgraded"
        )
    return found[0]


class Upgrade(threading.Thread):
    """``alembic upgrade`` in a thread of its own. ``pids`` are the server processes of the connections it opened.

    ``ended`` is set at its end. An exception of a signal's within ``join()`` makes ``is_alive()`` tell an untruth.
    """

    def __init__(self, project: Project, revision: str) -> None:
        super().__init__(name="alembic upgrade", daemon=True)
        self._project = project
        self._revision = revision
        self.pids: list[int] = []
        self.error: BaseException | None = None
        self.ended = threading.Event()

    def run(self) -> None:
        """Upgrade; what goes wrong is in ``error``."""
        try:
            with _connections(self):
                command.upgrade(self._project.config, self._revision)
        except BaseException as error:
            self.error = error
        finally:
            self.ended.set()


@contextmanager
def _connections(upgrade: Upgrade) -> Iterator[None]:
    """Note the server process of every connection that the upgrade's thread opens."""

    def opened(connection: Any, record: Any) -> None:
        if threading.current_thread() is upgrade:
            upgrade.pids.append(_pid(connection))

    event.listen(Engine, "connect", opened)
    try:
        yield
    finally:
        event.remove(Engine, "connect", opened)


def _pid(connection: Any) -> int:
    driver = getattr(connection, "driver_connection", connection)
    if hasattr(driver, "get_server_pid"):  # asyncpg
        return int(driver.get_server_pid())
    return int(driver.info.backend_pid)

"""The tools of the faults: clients, transactions that others have to wait for, and a look at who waits."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2

from dbtune.migration.verify import inventory
from dbtune.migration.verify.cluster import APPLICATION, Cluster, Run, runner
from dbtune.migration.verify.inventory import Inventory
from dbtune.migration.verify.process import Client, Ended, Launcher
from dbtune.migration.verify.subject import Subject
from dbtune.server.connection import MARKER
from dbtune.sql import quote_literal

_SECONDS = 30.0
_POLL_SECONDS = 0.01
_STEP_SECONDS = 0.0004
_IDLE = 300
_LOOK_SECONDS = 0.25

ALEMBIC, APPLY = "alembic upgrade", "migrate apply"
"""The two ways to run a revision."""


class NotMet(Exception):
    """The fault could not be put in, and why; nothing can be said of it."""


class Hold:
    """An open transaction that others wait for."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        self.run = runner(opened)

    def release(self) -> None:
        """Roll it back; once is enough."""
        with suppress(psycopg2.Error):  # the server may be down by now
            self._opened.close()


class Scene:
    """One fault's stage: a fresh database, and what is done in it."""

    def __init__(
        self, cluster: Cluster, launcher: Launcher, subject: Subject, version_table: str, down: str | None, way: str
    ) -> None:
        self.cluster = cluster
        self.launcher = launcher
        self.subject = subject
        self.version_table = version_table
        self.down = down
        self.way = way
        self.reset()

    def reset(self) -> None:
        """Forget the fault before."""
        self.before: Inventory | None = None
        self.foreign: set[int] = set()
        self.notes: list[str] = []
        self.problems: list[str] = []
        self._clients: list[Client] = []

    @property
    def is_apply(self) -> bool:
        """Whether revisions are run by ``dbtune migrate apply``."""
        return self.way == APPLY

    @property
    def table(self) -> str:
        """The table that the revision touches, as SQL."""
        return self.subject.table.full_name

    @property
    def built_on(self) -> str:
        """The table on which an index is built, as SQL: a partition of a partitioned one."""
        index = self.subject.index
        return self.subject.before.things[index.of_table or 0].full_name if index is not None else self.table

    def start(self, lock_budget: str = "60s") -> Client:
        """Start the upgrade in a process of its own. What there is before the first one is remembered."""
        if self.before is None:
            self.before = self.inventory()
        if self.is_apply:
            client = self.launcher.apply(self.subject.revision, lock_budget, "110s")
        else:
            client = self.launcher.alembic("upgrade", self.subject.revision)
        return self.keep(client)

    def keep(self, client: Client) -> Client:
        """Have the client killed at the end, if it still runs."""
        self._clients.append(client)
        return client

    def end(self) -> None:
        """Kill what still runs."""
        for client in self._clients:
            if client.runs:
                client.kill()

    def inventory(self) -> Inventory:
        """Return what the database holds now."""
        with self.cluster.session() as run:
            return inventory.read(run, self.version_table)

    def is_foreign(self, schema: str, name: str) -> None:
        """Have what bears that name now looked upon as somebody else's, which must stay as it is."""
        found = next(each for each in self.inventory().things.values() if (each.schema, each.name) == (schema, name))
        self.foreign.add(found.oid)

    @contextmanager
    def hold(self, *statements: str) -> Iterator[Hold]:
        """Send statements in a transaction that stays open until it is released, at the end of the block at last."""
        held = Hold(self.cluster.open())
        try:
            held.run(f"{MARKER} {statements[0] if statements[0].startswith('BEGIN') else 'BEGIN'}")
            for statement in statements:
                if not statement.startswith("BEGIN"):
                    held.run(f"{MARKER} {statement}")
            yield held
        finally:
            held.release()

    def writer(self, table: str | None = None) -> AbstractContextManager[Hold]:
        """Return a transaction that has written to the table, as far as locks tell; that of the build by default."""
        return self.hold(f"LOCK TABLE {table or self.built_on} IN ROW EXCLUSIVE MODE")

    def waiting(self, client: Client, phase: str = "", longer_than: float = 0.0) -> int | None:
        """Wait until one of the client's server processes waits for a lock, and return its pid.

        ``phase`` is how its progress has to begin, ``longer_than`` the seconds that its statement has run. None where
        the client ended before.

        :raises NotMet: neither happened in half a minute.
        """
        with self.cluster.maintenance() as run:
            deadline = time.monotonic() + _SECONDS
            while True:
                for pid, seen, seconds in run(self._sessions("a.wait_event_type = 'Lock'")):
                    if (seen or "").startswith(phase) and seconds >= longer_than:
                        return int(pid)
                if not client.runs:
                    return None
                if time.monotonic() > deadline:
                    raise NotMet(f"it did not come to wait{f' ({phase})' if phase else ''} in {_SECONDS:.0f} s")
                time.sleep(_POLL_SECONDS)

    def held_up(self, client: Client, phase: str = "") -> int:
        """Return the pid that :meth:`waiting` finds.

        :raises NotMet: the client ended without waiting.
        """
        pid = self.waiting(client, phase)
        if pid is None:
            raise NotMet(f"it did not wait, and ended with {client.end().code}: {client.end().said}")
        return pid

    def orphan(self) -> str:
        """Return what a server process does whose client is gone; an empty text where there is none."""
        with self.cluster.maintenance() as run:
            rows = run(self._sessions("a.state = 'active'"))
        if not rows:
            return ""
        return "its statement runs on" if rows[0][1] is None else "still being built"

    def step_into(self, pid: int, phase: str, begin: Callable[[], None]) -> bool:
        """Let a server process go on after ``begin``, a little at a time, until its progress says ``phase``.

        It is stopped then, and the caller lets it go on or ends it. Return False, with the process going on, where it
        was not seen there before it had nothing more to do.
        """
        look = self._sessions(f"a.pid = {pid} AND a.state = 'active'")
        idle = 0
        with self.cluster.maintenance() as run, ThreadPoolExecutor(1) as aside:
            os.kill(pid, signal.SIGSTOP)
            try:
                begin()
                while idle < _IDLE:
                    os.kill(pid, signal.SIGCONT)
                    time.sleep(_STEP_SECONDS)
                    os.kill(pid, signal.SIGSTOP)
                    looking = aside.submit(run, look)
                    try:
                        rows = looking.result(_LOOK_SECONDS)
                    except TooSlow:  # it was stopped with a lock in its hands that the look needs
                        os.kill(pid, signal.SIGCONT)
                        looking.result()
                        continue
                    if rows and (rows[0][1] or "").startswith(phase):
                        return True
                    idle = 0 if rows else idle + 1
            except ProcessLookupError:
                return False
            go_on(pid)
            return False

    @contextmanager
    def in_validation(self) -> Iterator[tuple[Client, int, Callable[[], None]]]:
        """Bring a build CONCURRENTLY to the look through its index, and hold it there by a lock on the index.

        Yield the client, the pid and what lets the build go on.

        :raises NotMet: it is built in another way.
        """
        with ExitStack() as stack:
            first = stack.enter_context(self.writer())
            client = self.start()
            self.held_up(client)
            if self._phase() is None:
                raise NotMet("no index is built CONCURRENTLY: there is no validation")
            second = stack.enter_context(self.writer())
            first.release()
            self.held_up(client, "waiting for writers before validation")
            with self.cluster.maintenance() as run:
                ((oid,),) = run(self._builds("index_relid"))
            # a no-op that takes an ACCESS EXCLUSIVE lock on the index alone
            last = stack.enter_context(self.hold("SET LOCAL lock_timeout = '5s'"))
            ((name,),) = last.run(f"SELECT {oid}::pg_catalog.regclass::text")
            last.run(f"{MARKER} ALTER INDEX {name} SET TABLESPACE pg_default")
            second.release()
            yield client, self.held_up(client, "index validation"), last.release

    def limit(self, **settings: str) -> Callable[[], None]:
        """Put settings on the role in this database, and return what takes them away."""
        role, database = (f'"{name}"' for name in (self.cluster.address.user, self.cluster.address.database))
        where = f"ALTER ROLE {role} IN DATABASE {database}"

        def reset() -> None:
            with self.cluster.maintenance() as run:
                for name in settings:
                    run(f"{MARKER} {where} RESET {name}")

        with self.cluster.maintenance() as run:
            for name, value in settings.items():
                run(f"{MARKER} {where} SET {name} = {quote_literal(value)}")
        return reset

    def file(self, name: str) -> Path:
        """Return a path for a file that goes with the server."""
        return self.cluster.home / name

    def _phase(self) -> str | None:
        with self.cluster.maintenance() as run:
            rows = run(self._builds("phase"))
            return rows[0][0] if rows else None

    def _builds(self, column: str) -> str:
        database = quote_literal(self.cluster.address.database)
        return f"{MARKER} SELECT {column} FROM pg_catalog.pg_stat_progress_create_index WHERE datname = {database}"

    def _sessions(self, condition: str) -> str:
        return (
            f"{MARKER} SELECT a.pid, p.phase,"
            " extract(epoch FROM pg_catalog.clock_timestamp() - a.query_start)::float8"
            " FROM pg_catalog.pg_stat_activity AS a"
            " LEFT JOIN pg_catalog.pg_stat_progress_create_index AS p ON p.pid = a.pid"
            f" WHERE a.datname = {quote_literal(self.cluster.address.database)}"
            f" AND a.application_name <> '{APPLICATION}' AND a.backend_type = 'client backend' AND {condition}"
        )


def go_on(pid: int) -> None:
    """Let a process that was stopped go on, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def ends(clients: list[Client]) -> list[Ended]:
    """Wait for all of them."""
    return [client.end() for client in clients]


__all__ = ["ALEMBIC", "APPLY", "Client", "Ended", "Hold", "NotMet", "Run", "Scene", "ends", "go_on"]

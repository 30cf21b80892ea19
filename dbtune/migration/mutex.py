"""One deployer at a time: a lock of the database, held by a session of its own, which is also the one that looks on."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Self

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from dbtune import sql
from dbtune.errors import GaveUp, ServerError
from dbtune.migration import watch
from dbtune.migration.block import lock_key
from dbtune.migration.events import Event
from dbtune.migration.lasting import lasting
from dbtune.migration.progress import Meter
from dbtune.migration.watch import Activity
from dbtune.server import connection as server
from dbtune.server.connection import MARKER, Target

KEY = lock_key("every upgrade")
WAITS = "not begun: waiting for another deployer"

_GONE = "not begun: waiting for the server to come back"
_POLL_S = 0.5
_RETURNS_S = 30.0
_LIMITS = ("statement_timeout", "lock_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout")


class Mutex:
    """The lock, and the session that it belongs to, which is in autocommit and has no time limits.

    Its ``connection`` may be asked anything that is over quickly: what holds a snapshot is waited for by builds.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._stack = ExitStack()
        self._connection: Connection | None = self._connect()

    @property
    def connection(self) -> Connection:
        """The session.

        :raises ServerError: it was lost, and there is no other one.
        """
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._connection is not None:
            with suppress(SQLAlchemyError):
                self._connection.execute(text(f"{MARKER} SELECT pg_catalog.pg_advisory_unlock(:key)"), {"key": KEY})
        self._close()

    def take(self, budget_s: float, tell: Callable[[Event], None] = lambda event: None) -> None:
        """Take the lock; at once where it is ours. It is polled for: a session that waits for a lock holds a snapshot.

        A server that is gone is waited for too: after a crash it is back in a moment.

        :raises GaveUp: another deployer had it for longer than ``budget_s``.
        :raises ServerError: the server did not come back.
        """
        since = time.monotonic()
        meter = Meter()
        while not self._is_there(since):
            tell(meter.read(Activity(pid=None, phase=_GONE, waits_for=(str(self.target),)), time.monotonic(), None))
            time.sleep(_POLL_S)
        while not self.is_ours() and not self._try():
            now = time.monotonic()
            holders = watch.named(self.connection, self._holders())
            seen = Activity(pid=None, phase=WAITS, waits_for=holders or ("one that has just begun",))
            if now - since > budget_s:
                raise GaveUp(
                    f"another deployer held the lock for {now - since:.0f} s: {'; '.join(holders)}; nothing was"
                    " changed, run it again"
                )
            tell(meter.read(seen, now, None))
            time.sleep(_POLL_S * random.uniform(0.5, 1.5))  # no secret

    def is_ours(self) -> bool:
        """Return whether this session holds the lock."""
        here = self.connection.scalar(text(f"{MARKER} SELECT pg_catalog.pg_backend_pid()"))
        return here in self._holders()

    def usable(self) -> Connection:
        """Return the session, or a new one where that is lost or in the middle of something; without the lock then."""
        try:
            self.connection.scalar(text(f"{MARKER} SELECT 1"))
        except SQLAlchemyError:  # not only of the driver: a signal in the middle of a statement spoils the session
            self._close()
        return self.connection

    def regain(self) -> bool:
        """Return whether the lock is ours, after connecting again and asking for it once, if need be."""
        self.usable()
        return self.is_ours() or self._try()

    def _is_there(self, since: float) -> bool:
        try:
            self.usable()
        except ServerError:
            if time.monotonic() - since > _RETURNS_S:
                raise
            return False
        return True

    def _try(self) -> bool:
        got = self.connection.scalar(text(f"{MARKER} SELECT pg_catalog.pg_try_advisory_lock(:key)"), {"key": KEY})
        return bool(got)

    def _holders(self) -> list[int]:
        rows = self.connection.execute(text(f"{MARKER}\n{sql.load('migration_advisory')}"), {"key": KEY})
        return list(rows.scalars())

    def _connect(self) -> Connection:
        opened = self._stack.enter_context(server.connect(lasting(self.target)))
        opened.execution_options(isolation_level="AUTOCOMMIT")
        opened.execute(
            text(
                f"{MARKER} SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings"
                " WHERE name = ANY (:names)"
            ),
            {"names": list(_LIMITS)},
        )
        return opened

    def _close(self) -> None:
        self._connection = None
        with suppress(SQLAlchemyError):
            self._stack.close()
        self._stack = ExitStack()

"""One upgrade, watched until it ends: builds begin when nobody is ahead of them, and are cancelled over a budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtune.errors import DbtuneError, GaveUp, ServerError
from dbtune.migration import cancel, watch
from dbtune.migration.ahead import Ahead
from dbtune.migration.duration import spoken
from dbtune.migration.events import Event, Notice, Pending, Revision
from dbtune.migration.mutex import Mutex
from dbtune.migration.progress import Meter, Progress
from dbtune.migration.standbys import Standbys
from dbtune.migration.upgrade import Ask, Ended, Upgrade
from dbtune.migration.watch import Activity
from dbtune.server import connection as server

WAITS_FOR_WRITERS = "not begun: waiting for transactions that wrote to the table"
WAITS_FOR_STANDBYS = "not begun: waiting for standbys"

_POLL_S = 0.5
_ENDS_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Seconds: ``lock`` of one wait for somebody else, ``total`` of everything. ``attempts`` count the first."""

    lock: float = 300.0
    total: float = 3600.0
    attempts: int = 3


class Attempt:
    """Watching ``upgrade``. ``began`` is when everything began, on the monotonic clock.

    Unless ``at_once``, a build waits for who is ahead before it begins.
    """

    def __init__(
        self,
        mutex: Mutex,
        upgrade: Upgrade,
        budget: Budget,
        began: float,
        standbys: Standbys,
        tell: Callable[[Event], None],
        *,
        at_once: bool = False,
    ) -> None:
        self._mutex = mutex
        self._upgrade = upgrade
        self._budget = budget
        self._began = began
        self._standbys = standbys
        self._tell = tell
        self._at_once = at_once
        self._meter = Meter()
        self._asked: tuple[Ask, Ahead] | None = None
        self._built: int | None = None
        self._builds = False
        self._latest = Progress(revision=None, pid=None)

    def run(self) -> BaseException | None:
        """Upgrade once and return what went wrong within.

        :raises GaveUp: a budget ran out, or standbys are too far behind; the upgrade was cancelled.
        """
        self._upgrade.start()
        try:
            while True:
                match self._upgrade.said(_POLL_S):
                    case Ended():
                        return self._upgrade.error
                    case Pending() as begins:
                        self._tell(Revision(revision=begins.revision, title=begins.title))
                        continue
                    case Ask() as ask:
                        self._asked = ask, Ahead(ask.build, ask.pid)
                try:
                    self._look(self._mutex.connection)
                except DBAPIError as error:
                    if not server.is_lost(error):
                        raise
                    self._look_again()
        except BaseException as error:
            left = self._stop()
            if isinstance(error, DbtuneError):
                raise type(error)(f"{error}; {left}; run it again") from None
            self._tell(Notice(text=left, revision=self._upgrade.now))
            raise

    def _look_again(self) -> None:
        """Connect again and take the lock again, whose session was lost."""
        try:
            is_ours = self._mutex.regain()
        except ServerError:
            if self._upgrade.ended.wait(_ENDS_S):  # the whole server went down, and the upgrade says so itself
                return
            raise
        if not is_ours:
            raise ServerError("the session that held the deployers' lock was lost, and another one has it now")
        self._tell(Notice(text="the session that looks on was lost; connected again"))

    def _look(self, connection: Connection) -> None:
        now = time.monotonic()
        seen = self._before(connection) if self._asked else watch.look(connection, self._upgrade.pids)
        self._builds = seen is not None and seen.phase is not None and self._asked is None and not seen.waits_for
        if seen is None:
            self._latest = Progress(revision=self._upgrade.now, pid=None)
        else:
            self._built = seen.oid or self._built
            self._latest = self._meter.read(seen, now, self._upgrade.now)
            if self._latest.says_something:
                self._tell(self._latest)
        for danger in self._standbys.endangered(connection):
            self._tell(Notice(text=danger, revision=self._upgrade.now))
        self._check(connection, now)

    def _before(self, connection: Connection) -> Activity | None:
        """Let a build begin if nobody is ahead of it; else return whom it waits for."""
        assert self._asked is not None
        ask, ahead = self._asked
        pids = () if self._at_once else ahead.left(connection)
        waits_for, phase = watch.named(connection, pids), WAITS_FOR_WRITERS
        if not waits_for:
            waits_for, phase = self._standbys.behind(connection), WAITS_FOR_STANDBYS
        if waits_for:
            build = ask.build
            return Activity(
                pid=ask.pid,
                relation=build.table,
                index=build.index,
                phase=phase,
                waits_for=waits_for,
                blockers=pids,
            )
        if snapshots := ahead.snapshots(connection):
            what = ask.build.index or ask.build.table
            told = f"{what}: the build will wait at its end for snapshots that are old already: {'; '.join(snapshots)}"
            self._tell(Notice(text=told, revision=self._upgrade.now))
        self._asked = None
        ask.granted.set()
        return None

    def _check(self, connection: Connection, now: float) -> None:
        """Give up where a budget ran out; what only waits writes no WAL, and is no burden for standbys."""
        latest = self._latest
        if now - self._began > self._budget.total:
            raise GaveUp(f"gave up after {spoken(now - self._began)} (--total-budget): {latest.line}")
        if latest.waiting_s is not None and latest.waiting_s > self._budget.lock:
            raise GaveUp(f"gave up after {spoken(latest.waiting_s)} (--lock-budget): {latest.line}")
        if self._builds and (behind := self._standbys.too_long(connection, now)):
            raise GaveUp(
                f"gave up: {'; '.join(behind)}, over the limit of --max-replica-lag;"
                f" a build cannot be paused, only cancelled: {latest.line}"
            )

    def _stop(self) -> str:
        """Cancel the upgrade and return what is left of it. It is done aside, so that signals are heard meanwhile."""
        told: list[str] = []
        over = threading.Event()

        def stop() -> None:
            try:
                told.append(cancel.cancel(self._mutex, self._upgrade, self._built))
            except DbtuneError as error:
                told.append(f"it could not be cancelled ({error}), and may go on there")
            finally:
                over.set()

        threading.Thread(target=stop, name="cancel", daemon=True).start()
        while not over.wait(_POLL_S):
            pass
        return told[0] if told else "it may go on there"

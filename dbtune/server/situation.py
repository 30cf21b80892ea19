"""All that a server tells of its connections, read at once or watched for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, text

from dbtune import sql
from dbtune.errors import ServerError
from dbtune.server import counters, limits, pgbouncer, sessions, spills, traffic
from dbtune.server.connection import Target, server_version_num
from dbtune.server.counters import Counters, Reading
from dbtune.server.limits import Limits
from dbtune.server.pgbouncer import Bouncer, Console, Pool, Work
from dbtune.server.sessions import Snapshot
from dbtune.server.spills import Spill
from dbtune.server.traffic import Observation

_POOLS_SECONDS = 1.0
"""PgBouncer's waiting clients are asked for no more often; its console is served by the one thread that does all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """PgBouncer before and after the time that was watched, and its pools at each look in between."""

    first: Bouncer
    last: Bouncer
    looks: tuple[tuple[Pool, ...], ...]

    @property
    def seconds(self) -> float:
        """Seconds between the two, 0 where there was one look only."""
        return self.last.read_at - self.first.read_at

    def done(self) -> dict[str, Work]:
        """Return what clients did by database: in that time, or since PgBouncer began where there was one look only."""
        if self.first is self.last:
            return dict(self.last.work)
        before = self.first.work
        return {name: done.since(before[name]) if name in before else done for name, done in self.last.work.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A server's connections. Times with a zone are the server's.

    ``observation`` is what went on within an interval, None where none was asked for; ``reading`` is what was counted
    since the statistics' reset. ``bouncer_lost`` is why PgBouncer told nothing. ``spills`` is None where nobody tells
    or nothing was written.
    """

    server: str
    version: str
    version_num: int
    at: datetime
    started: datetime
    in_recovery: bool
    database: str
    role: str
    reads_stats: bool
    limits: Limits
    snapshot: Snapshot
    reading: Reading
    observation: Observation | None = None
    bouncer: Watched | None = None
    bouncer_lost: str | None = None
    spills: tuple[Spill, ...] | None = None

    @property
    def used(self) -> int:
        """How many of max_connections are taken now."""
        return len(self.snapshot.clients)

    @property
    def peak(self) -> int:
        """The most that were taken at any look, that of this session included."""
        samples = self.observation.samples if self.observation is not None else ()
        return max([self.used, *(1 + sum(group.count for group in sample) for sample in samples)])

    @property
    def counted(self) -> Counters:
        """What was counted in this database: within the interval, else since the statistics' reset."""
        if self.observation is not None:
            return self.observation.traffic().added
        return self.reading.counters[self.database]

    @property
    def counted_since(self) -> datetime | None:
        """When the counting of :attr:`reading` began in this database; None: since ever."""
        return self.reading.resets[self.database]

    @property
    def counted_s(self) -> float | None:
        """Seconds over which :attr:`counted` was counted; None where nobody knows."""
        if self.observation is not None:
            return self.observation.traffic().seconds
        since = self.counted_since
        return None if since is None else max(0.0, (self.reading.at - since).total_seconds())


class _Bouncer:
    """PgBouncer while it is watched; it may go away meanwhile, and the server be there still."""

    def __init__(self, console: Console | None, lost: str | None = None) -> None:
        self.lost = lost
        self._console = console
        self._looks: list[tuple[Pool, ...]] = []
        self._looked_at = time.monotonic()
        with self._told():
            self._first = console.read() if console is not None else None
            self._looks += [self._first.pools] if self._first is not None else []

    def look(self) -> None:
        """Take another look, if it is time."""
        with self._told():
            if self._console is not None and time.monotonic() - self._looked_at >= _POOLS_SECONDS:
                self._looks.append(self._console.pools())
                self._looked_at = time.monotonic()

    def seen(self, *, again: bool) -> Watched | None:
        """Return what was seen; ``again``: time has passed since the first look."""
        with self._told():
            if self._console is not None and self._first is not None:
                last = self._console.read() if again else self._first
                return Watched(first=self._first, last=last, looks=(*self._looks, *([last.pools] if again else [])))
        return None

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except ServerError as error:
            self._console, self._first, self.lost = None, None, str(error)


@contextmanager
def _bouncer(where: Target | None) -> Iterator[_Bouncer]:
    if where is None:
        yield _Bouncer(None)
        return
    with ExitStack() as stack:
        try:
            console, lost = stack.enter_context(pgbouncer.opened(where)), None
        except ServerError as error:
            console, lost = None, str(error)
        yield _Bouncer(console, lost)


def read(
    connection: Connection,
    target: Target,
    seconds: float | None,
    pooler: Target | None = None,
    tell: Callable[[float], None] = lambda passed: None,
) -> Situation:
    """Read everything, after watching for ``seconds`` if any are given; ``tell`` gets the seconds that passed.

    What becomes of PgBouncer at ``pooler`` does not matter to the rest.

    :raises sqlalchemy.exc.DBAPIError: the connection is lost.
    :raises UsageError: there is a database where PgBouncer's console should be.
    """
    with _bouncer(pooler) as bouncer:

        def look(passed: float) -> None:
            tell(passed)
            bouncer.look()

        observation = traffic.observe(connection, seconds, look) if seconds is not None else None
        watched = bouncer.seen(again=observation is not None)
    row = connection.execute(text(sql.load("situation"))).mappings().one()
    connection.rollback()
    found = Situation(
        server=str(target),
        version_num=server_version_num(connection),
        limits=limits.read(connection),
        snapshot=sessions.read(connection),
        reading=counters.read(connection),
        observation=observation,
        bouncer=watched,
        bouncer_lost=bouncer.lost,
        **row,
    )
    return replace(found, spills=spills.read(connection)) if found.counted.temp_bytes else found

"""Everybody who takes connections: services in pods and processes with their engines, poolers, and the rest.

Every number is a :class:`Fact`: it knows who said it, so that a sum that does not fit names the line to change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Generic, TypeVar

from dbtune.pool.kinds import DEFAULTS, Kind

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Fact(Generic[T_co]):
    """A value and who said it: ``config.py:12``, ``--max-connections``, ``SQLAlchemy's default``.

    ``assumed``: nobody said it, so it may be wrong.
    """

    value: T_co
    source: str
    assumed: bool = False


def assumed(value: int, why: str) -> Fact[int]:
    """Return a number that nobody said."""
    return Fact(value, f"assumed: {why}", assumed=True)


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of pods, or a percentage of them, as Kubernetes writes maxSurge."""

    number: int
    is_percent: bool = False

    def up(self, pods: int) -> int:
        """Return how many of ``pods`` that is, rounded up as maxSurge is."""
        return math.ceil(self.number * pods / 100) if self.is_percent else self.number

    def down(self, pods: int) -> int:
        """Return how many of ``pods`` that is, rounded down as maxUnavailable is."""
        return self.number * pods // 100 if self.is_percent else self.number

    def __str__(self) -> str:
        return f"{self.number}%" if self.is_percent else str(self.number)


_NONE = Fact(Amount(0), "not stated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """How a deploy replaces pods. ``terminating`` are old pods that still hold connections; maxSurge leaves them out.

    Old and new pods are each as many as the service has at most, so a deploy at most doubles them.
    """

    surge: Fact[Amount] = _NONE
    unavailable: Fact[Amount] = _NONE
    terminating: Fact[int] = Fact(0, "not stated")

    def extra(self, pods: int) -> int:
        """Return how many pods there are during a deploy beyond ``pods``."""
        return min(pods, self.surge.value.up(pods) + self.terminating.value)

    def wave(self, pods: int) -> int:
        """Return how many old pods may be ending at once, if those of one step of the deploy end together."""
        step = self.surge.value.up(pods) + self.unavailable.value.down(pods)
        return min(pods, step) if step else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One pool in every process; see :func:`engine` for its kind's defaults.

    ``pool_size`` and ``max_overflow`` are SQLAlchemy's; another kind of pool has its maximum as ``pool_size`` and no
    overflow. Times in seconds; ``pool_timeout`` None means for ever. ``named_statements`` is whether the driver
    prepares statements on the server, None where nobody said.
    """

    name: str
    kind: Kind
    pool_size: Fact[int]
    max_overflow: Fact[int]
    pool_timeout: Fact[float] | None
    pool_recycle: Fact[float] | None = None
    pool_pre_ping: Fact[bool] | None = None
    driver: Fact[str] | None = None
    user: Fact[str] | None = None
    database: Fact[str] | None = None
    statement_timeout: Fact[float] | None = None
    named_statements: Fact[bool] | None = None
    source: str = ""

    @property
    def is_uncapped(self) -> bool:
        """Return whether SQLAlchemy's pool opens as many as are asked: pool_size=0, or max_overflow=-1."""
        return self.kind is Kind.SQLALCHEMY and (self.pool_size.value == 0 or self.max_overflow.value < 0)

    @property
    def is_per_thread(self) -> bool:
        """Return whether each thread has a connection of its own, as without a pool."""
        return self.kind in (Kind.NULL_POOL, Kind.DJANGO)

    def most(self, threads: int | None) -> int | None:
        """Return how many connections one process opens at most; ``threads`` is how many requests it serves at once.

        None where nothing limits it.
        """
        if self.is_uncapped or self.is_per_thread:
            return threads
        return self.pool_size.value + self.max_overflow.value


def engine(
    kind: Kind = Kind.SQLALCHEMY,
    name: str = "engine",
    *,
    pool_size: Fact[int] | None = None,
    max_overflow: Fact[int] | None = None,
    source: str = "",
) -> Engine:
    """Return an engine with what its kind does by default where nothing is said."""
    usual = DEFAULTS[kind]
    said = f"{usual.of} default"
    return Engine(
        name=name,
        kind=kind,
        pool_size=pool_size or Fact(usual.pool_size, said),
        max_overflow=max_overflow or Fact(usual.max_overflow, said),
        pool_timeout=None if usual.pool_timeout is None else Fact(usual.pool_timeout, said),
        pool_recycle=None if usual.pool_recycle is None else Fact(usual.pool_recycle, said),
        source=source,
    )


class WorkerKind(StrEnum):
    """What serves requests in a process, by how it does several at once."""

    SYNC = "sync"
    GTHREAD = "gthread"
    GEVENT = "gevent"
    EVENTLET = "eventlet"
    ASYNCIO = "asyncio"
    TASKS = "task worker"
    DEVELOPMENT = "development server"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """How requests are served. ``timeout`` kills a worker, in seconds, 0 for never; None where there is none."""

    kind: WorkerKind
    program: str = ""
    timeout: Fact[float] | None = None
    preload: Fact[bool] | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Pods that all run the same. ``pods`` is the autoscaler's maximum; ``threads`` None means without a bound.

    ``via`` names the pooler that it connects through, ``role`` the one that it logs in as. A service with
    ``is_deploy_only`` runs while others are deployed, as migrations do. ``rate`` is how many requests a second all pods
    together have at their most, ``hold`` the seconds that each keeps a connection; None where nobody said.
    """

    name: str
    pods: Fact[int]
    processes: Fact[int]
    threads: Fact[int | None]
    engines: tuple[Engine, ...]
    rollout: Rollout = field(default_factory=Rollout)
    worker: Worker | None = None
    via: str | None = None
    role: Fact[str] | None = None
    is_deploy_only: bool = False
    rate: Fact[float] | None = None
    hold: Fact[float] | None = None
    source: str = ""

    @property
    def per_process(self) -> int | None:
        """Return how many connections one process opens at most, of all its engines; None where nothing limits it."""
        total = 0
        for each in self.engines:
            most = each.most(self.threads.value)
            if most is None:
                return None
            total += most
        return total

    def connections(self, pods: int) -> int | None:
        """Return how many connections ``pods`` of it open at most, None where nothing limits it."""
        each = self.per_process
        if pods == 0 or self.processes.value == 0:
            return 0
        return None if each is None else pods * self.processes.value * each

    @property
    def at_rest(self) -> int | None:
        """Return how many connections it opens at most when nothing is deployed."""
        return 0 if self.is_deploy_only else self.connections(self.pods.value)

    @property
    def in_deploy(self) -> int | None:
        """Return how many connections it opens at most while it is deployed."""
        return self.connections(self.pods.value + self.rollout.extra(self.pods.value))

    def with_pods(self, pods: int, source: str) -> Service:
        """Return it with another number of pods."""
        return replace(self, pods=Fact(pods, source))


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """Connections beside the services': migrations, cron, psql, monitoring, LISTEN."""

    name: str
    connections: Fact[int]
    is_deploy_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pooler's connections to one database: ``users`` pools, with ``most`` for all of them where that is limited."""

    database: str
    pool_size: Fact[int]
    reserve: Fact[int] = Fact(0, "PgBouncer's default")
    users: Fact[int] = Fact(1, "assumed: one user a database", assumed=True)
    most: Fact[int] | None = None

    @property
    def connections(self) -> int:
        """Return how many connections one process of the pooler opens at most."""
        wanted = self.users.value * (self.pool_size.value + self.reserve.value)
        return wanted if self.most is None else min(wanted, self.most.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooler:
    """A pooler between services and server, as PgBouncer. ``idle_timeout`` ends idle server connections, seconds.

    ``prepared`` is how many prepared statements it follows in transaction mode: 0 for none, None where nobody said.
    """

    name: str
    mode: Fact[str]
    pools: tuple[Pool, ...]
    max_client_conn: Fact[int]
    processes: Fact[int] = Fact(1, "one process, unless so_reuseport is used")
    pods: Fact[int] = Fact(1, "assumed: one", assumed=True)
    rollout: Rollout = field(default_factory=Rollout)
    prepared: Fact[int] | None = None
    idle_timeout: Fact[float] | None = None
    client_idle_timeout: Fact[float] | None = None
    source: str = ""

    @property
    def per_process(self) -> int:
        """Return how many server connections one process opens at most."""
        return sum(each.connections for each in self.pools)

    @property
    def at_rest(self) -> int:
        """Return how many server connections it opens at most when nothing is deployed."""
        return self.pods.value * self.processes.value * self.per_process

    @property
    def in_deploy(self) -> int:
        """Return how many server connections it opens at most while it is deployed itself."""
        return (self.pods.value + self.rollout.extra(self.pods.value)) * self.processes.value * self.per_process

    @property
    def clients(self) -> int:
        """Return how many clients may connect to it."""
        return self.pods.value * self.processes.value * self.max_client_conn.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """How many connections one role, or all to one database, may have: rolconnlimit, datconnlimit."""

    kind: str
    name: str
    most: Fact[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How many may connect. ``provider`` are connections that a hosting provider keeps for itself."""

    max_connections: Fact[int] = Fact(100, "PostgreSQL's default", assumed=True)
    superuser_reserved_connections: Fact[int] = Fact(3, "PostgreSQL's default")
    reserved_connections: Fact[int] = Fact(0, "PostgreSQL's default")
    provider: Fact[int] = Fact(0, "not stated")
    caps: tuple[Cap, ...] = ()
    statement_timeout: Fact[float] | None = None
    idle_session_timeout: Fact[float] | None = None

    @property
    def usable(self) -> int:
        """Return how many connections ordinary roles have together."""
        held = self.superuser_reserved_connections.value + self.reserved_connections.value + self.provider.value
        return max(0, self.max_connections.value - held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All who connect to one server."""

    services: tuple[Service, ...]
    server: Server = field(default_factory=Server)
    extras: tuple[Extra, ...] = ()
    poolers: tuple[Pooler, ...] = ()

    def pooler(self, name: str | None) -> Pooler | None:
        """Return the pooler of that name."""
        return next((each for each in self.poolers if each.name == name), None)

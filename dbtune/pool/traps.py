"""Settings that look harmless and are not: what each does, where it is, and what to write in its place.

Only what is said counts: a trap that would rest on a number that nobody gave is not told. Sources: SQLAlchemy's
"Connection Pooling" and its error pages (3o7r), gunicorn's "Settings", PgBouncer's "Config" and "Features",
Flask-Caching's ``cached``, gevent's and psycogreen's documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from dbtune.health.finding import Severity
from dbtune.pool.clues import ROUTE_THREADS, Clues
from dbtune.pool.fleet import Engine, Fact, Fleet, Service, Worker, WorkerKind
from dbtune.pool.kinds import Kind

_GREEN = (WorkerKind.GEVENT, WorkerKind.EVENTLET)
_BLOCKING = ("psycopg2",)
_NAMING = ("asyncpg", "psycopg")
_BOUNDED = (WorkerKind.GTHREAD, WorkerKind.ASYNCIO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """A trap: a stable id, how soon to look, the places that make it, what happens, and what to do."""

    id: str
    severity: Severity
    places: tuple[str, ...]
    what: str
    remedy: str


def find(fleet: Fleet, clues: Clues) -> tuple[Trap, ...]:
    """Return the traps of a fleet, the worst first; the same at several places is one trap."""
    found: dict[str, Trap] = {}
    for trap in (trap for each in _TRAPS for trap in each(fleet, clues)):
        same = found.setdefault(f"{trap.id} {trap.what}", trap)
        found[f"{trap.id} {trap.what}"] = replace(same, places=tuple(dict.fromkeys([*same.places, *trap.places])))
    return tuple(sorted(found.values(), key=lambda trap: -trap.severity))


def _uncapped(fleet: Fleet, clues: Clues) -> Iterator[Trap]:
    for service, each in _engines(fleet):
        if not each.is_uncapped:
            continue
        fact = each.pool_size if each.pool_size.value == 0 else each.max_overflow
        name = "pool_size=0" if each.pool_size.value == 0 else f"max_overflow={fact.value}"
        yield Trap(
            id="uncapped-pool",
            severity=Severity.CRITICAL if each.most(service.threads.value) is None else Severity.WARNING,
            places=(fact.source,),
            what=f"{service.name}: {name} does not mean none or few: SQLAlchemy opens as many connections as are asked"
            " for",
            remedy="Write pool_size and max_overflow that fit, or poolclass=NullPool where no pool is wanted.",
        )


def _blocking_driver(fleet: Fleet, clues: Clues) -> Iterator[Trap]:
    for service in fleet.services:
        worker = service.worker
        if worker is None or not _blocks(service, clues):
            continue
        most = max((each.most(service.threads.value) or 0 for each in service.engines), default=0)
        pool = f", so of the pool's {most} connections one is at work" if most > 1 else ""
        yield Trap(
            id="gevent-blocking-driver",
            severity=Severity.WARNING,
            places=tuple(dict.fromkeys([worker.source, *_drivers(service, clues)])),
            what=f"{service.name}: psycopg2 waits without yielding to {worker.kind}: each worker has one request at the"
            f" database at a time{pool}, and all others of the worker stand still meanwhile",
            remedy="Call psycogreen.gevent.patch_psycopg() when a worker starts, or use gthread workers.",
        )


def _timeouts(fleet: Fleet, clues: Clues) -> Iterator[Trap]:
    proxy = clues.proxy_timeout
    for service in fleet.services:
        worker = service.worker
        kills = _kills(service, worker, clues)
        for each in service.engines:
            statement = each.statement_timeout or fleet.server.statement_timeout
            if proxy is not None and _waits(service, each, clues) and _outlives(each.pool_timeout, proxy):
                assert each.pool_timeout is not None
                yield _order(
                    f"{service.name}: pool_timeout {_s(each.pool_timeout)} outlives the proxy's {_s(proxy)}: the client"
                    " is answered by the proxy while its request still waits for a connection, then works for nobody",
                    "Let the pool give up well before the proxy does.",
                    (each.pool_timeout, proxy),
                )
            if kills is not None and statement is not None and statement.value >= kills.value:
                yield _order(
                    f"{service.name}: statement_timeout {_s(statement)} outlives the worker's {_s(kills)}: gunicorn"
                    " kills the worker in the middle of the statement, which goes on in the server",
                    "Set statement_timeout below gunicorn's --timeout.",
                    (statement, kills),
                )
        if proxy is not None and kills is not None and kills.value > proxy.value:
            yield _order(
                f"{service.name}: the worker's timeout {_s(kills)} outlives the proxy's {_s(proxy)}: slow requests keep"
                " their workers after their clients were answered",
                "Set gunicorn's --timeout to what the proxy waits, or below.",
                (kills, proxy),
            )


def _cached_paths(fleet: Fleet, clues: Clues) -> Iterator[Trap]:
    for each in clues.cached_routes:
        yield Trap(
            id="path-keyed-cache",
            severity=Severity.CRITICAL,
            places=(each.source, each.reads),
            what=f"{each.function} is cached by its path alone and reads the query string: whoever asks second gets the"
            " first one's answer",
            remedy="Write @cache.cached(query_string=True), or a make_cache_key of its own.",
        )


def _start_up(fleet: Fleet, clues: Clues) -> Iterator[Trap]:
    if not clues.startup:
        return
    for service in fleet.services:
        worker = service.worker
        if worker is None:
            continue
        if worker.preload is not None and worker.preload.value and clues.disposes is None:
            yield Trap(
                id="shared-after-fork",
                severity=Severity.CRITICAL,
                places=(*clues.startup, worker.preload.source),
                what=f"{service.name}: the application connects when it is imported, and is preloaded before the"
                " workers are forked: they all speak on the same connection",
                remedy="Call engine.dispose(close=False) in gunicorn's post_fork, or connect in the workers only.",
            )
        elif worker.kind in _GREEN:
            yield Trap(
                id="start-up-session",
                severity=Severity.WARNING,
                places=clues.startup,
                what=f"{service.name}: each of {service.processes.value} processes takes a connection when it starts; a"
                " session of that greenlet that is not closed keeps it, idle in transaction",
                remedy="Close what is opened at start-up: with engine.begin() as connection: …",
            )


def _prepared(fleet: Fleet, clues: Clues) -> Iterator[Trap]:
    for service, each in _engines(fleet):
        pooler = fleet.pooler(service.via)
        if pooler is None or pooler.mode.value == "session" or pooler.prepared is None or pooler.prepared.value > 0:
            continue
        driver = each.driver
        names = each.named_statements
        if (names is not None and names.value) or (names is None and driver is not None and driver.value in _NAMING):
            yield Trap(
                id="prepared-statements-behind-pooler",
                severity=Severity.CRITICAL,
                places=tuple(
                    fact.source for fact in (names or driver, pooler.mode, pooler.prepared) if fact is not None
                ),
                what=f"{service.name}: its driver prepares statements, and {pooler.name} hands each transaction to any"
                " connection: prepared statement does not exist, or exists already",
                remedy="Set max_prepared_statements above 0 (PgBouncer 1.21), or switch the driver's off.",
            )


def _more_threads(fleet: Fleet, clues: Clues) -> Iterator[Trap]:
    for service in fleet.services:
        worker, threads = service.worker, service.threads
        for each in service.engines:
            most = None if each.is_uncapped or each.is_per_thread else each.most(None)
            if most is None or worker is None or _blocks(service, clues):
                continue
            if clues.plain_routes and worker.kind is WorkerKind.ASYNCIO and most < ROUTE_THREADS:
                yield Trap(
                    id="more-threads-than-connections",
                    severity=Severity.WARNING,
                    places=(each.pool_size.source, clues.plain_routes[0]),
                    what=f"{service.name}: FastAPI runs {ROUTE_THREADS} plain routes of a process at once, on {most}"
                    " connections: where a dependency holds one and the route asks again, all wait for each other",
                    remedy=f"Let pool_size + max_overflow be {ROUTE_THREADS}, or lower AnyIO's thread limiter.",
                )
            elif worker.kind in _BOUNDED and not threads.assumed and threads.value is not None and threads.value > most:
                yield Trap(
                    id="more-threads-than-connections",
                    severity=Severity.INFO,
                    places=(threads.source, each.pool_size.source),
                    what=f"{service.name}: {threads.value} requests of a process are at work at once, on {most}"
                    f" connections: {threads.value - most} may wait, up to pool_timeout",
                    remedy="Let threads and connections be equal, so that the queue is in front of the service.",
                )


def _idle(fleet: Fleet, clues: Clues) -> Iterator[Trap]:
    for service, each in _engines(fleet):
        if each.pool_recycle is None or (each.pool_pre_ping is not None and each.pool_pre_ping.value):
            continue
        pooler = fleet.pooler(service.via)
        ends = pooler.client_idle_timeout if pooler is not None else fleet.server.idle_session_timeout
        if ends is None or ends.value <= 0 or 0 <= each.pool_recycle.value < ends.value:
            continue
        kept = "for ever" if each.pool_recycle.value < 0 else f"for {each.pool_recycle.value:g} s"
        yield Trap(
            id="idle-connection-ended",
            severity=Severity.WARNING,
            places=(each.pool_recycle.source, ends.source),
            what=f"{service.name}: idle connections are ended after {_s(ends)}, and the pool keeps them {kept}: the"
            " next request on one fails",
            remedy=f"Set pool_recycle below {ends.value:g}, or pool_pre_ping=True.",
        )


def _development(fleet: Fleet, clues: Clues) -> Iterator[Trap]:
    for service in fleet.services:
        if service.worker is not None and service.worker.kind is WorkerKind.DEVELOPMENT:
            yield Trap(
                id="development-server",
                severity=Severity.WARNING,
                places=(service.worker.source,),
                what=f"{service.name}: the development server starts a thread for every request, without a bound: all"
                " of them queue for the pool, and share one processor",
                remedy="Use gunicorn with gthread workers, as many threads as connections.",
            )


_TRAPS: tuple[Callable[[Fleet, Clues], Iterator[Trap]], ...] = (
    _uncapped,
    _blocking_driver,
    _timeouts,
    _cached_paths,
    _start_up,
    _prepared,
    _more_threads,
    _idle,
    _development,
)


def _engines(fleet: Fleet) -> Iterator[tuple[Service, Engine]]:
    for service in fleet.services:
        for each in service.engines:
            yield service, each


def _drivers(service: Service, clues: Clues) -> Iterator[str]:
    """Yield where it is said that the driver is one that blocks; SQLAlchemy takes psycopg2 where no URL names one."""
    for each in service.engines:
        if each.driver is not None:
            if each.driver.value in _BLOCKING:
                yield each.driver.source
        elif each.kind is Kind.PSYCOPG2_POOL:
            yield each.source
        else:
            yield from (clues.packages[name].source for name in _BLOCKING if name in clues.packages)


def _blocks(service: Service, clues: Clues) -> bool:
    """Return whether a worker made for many requests at once is held up by each statement."""
    if service.worker is None or service.worker.kind not in _GREEN or clues.psycogreen is not None:
        return False
    return any(True for _ in _drivers(service, clues))


def _kills(service: Service, worker: Worker | None, clues: Clues) -> Fact[float] | None:
    """Return after how long a slow request costs the worker its life: only those that cannot tell that they live."""
    if worker is None or worker.timeout is None or worker.timeout.value <= 0:
        return None
    return worker.timeout if worker.kind is WorkerKind.SYNC or _blocks(service, clues) else None


def _waits(service: Service, each: Engine, clues: Clues) -> bool:
    """Return whether requests ever wait for the pool: not where a process has one at a time."""
    if each.is_uncapped or each.is_per_thread or _blocks(service, clues):
        return False
    most = each.most(None)
    return most is not None and (service.threads.value is None or service.threads.value > most)


def _outlives(one: Fact[float] | None, other: Fact[float]) -> bool:
    return one is not None and one.value >= other.value


def _order(what: str, remedy: str, facts: tuple[Fact[float], ...]) -> Trap:
    places = tuple(dict.fromkeys(fact.source for fact in facts))
    return Trap(id="timeout-order", severity=Severity.WARNING, places=places, what=what, remedy=remedy)


def _s(fact: Fact[float]) -> str:
    return f"{fact.value:g} s"

"""Traps of settings: each is found where it is, told with its numbers, and not where it is not."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import Engine as Made
from sqlalchemy import create_engine

from dbtune.health.finding import Severity
from dbtune.pool import traps
from dbtune.pool.clues import CachedRoute, Clues
from dbtune.pool.fleet import Engine, Fact, Fleet, Pool, Pooler, Server, Service, Worker, WorkerKind, engine
from dbtune.pool.kinds import Kind
from dbtune.pool.traps import Trap


def said(value: float, source: str = "app.py:1") -> Fact[float]:
    return Fact(value, source)


def pool(size: int = 5, overflow: int = 10, driver: str | None = None) -> Engine:
    made = engine(pool_size=Fact(size, "db.py:3"), max_overflow=Fact(overflow, "db.py:4"))
    return made if driver is None else replace(made, driver=Fact(driver, "db.py:5"))


def service(
    *engines: Engine, kind: WorkerKind = WorkerKind.GTHREAD, threads: int | None = 4, timeout: float | None = None
) -> Service:
    worker = Worker(kind=kind, timeout=None if timeout is None else said(timeout, "Procfile:1"), source="Procfile:1 -k")
    return Service(
        name="web",
        pods=Fact(2, "k8s.yaml:3"),
        processes=Fact(4, "Procfile:1 -w"),
        threads=Fact(threads, "Procfile:1 --threads"),
        engines=engines or (pool(),),
        worker=worker,
    )


def found(
    *services: Service, clues: Clues | None = None, server: Server | None = None, poolers: tuple[Pooler, ...] = ()
) -> list[Trap]:
    fleet = Fleet(services=services, server=server or Server(), poolers=poolers)
    return list(traps.find(fleet, clues or Clues()))


def ids(
    *services: Service, clues: Clues | None = None, server: Server | None = None, poolers: tuple[Pooler, ...] = ()
) -> list[str]:
    return [each.id for each in found(*services, clues=clues, server=server, poolers=poolers)]


def test_settings_without_a_trap() -> None:
    clues = Clues(
        packages={"psycopg2": Fact("2.9", "requirements.txt:3")}, proxy_timeout=said(60), disposes="gunicorn.conf.py:3"
    )
    assert found(service(pool(4, 0, "psycopg2")), service(kind=WorkerKind.SYNC, threads=1), clues=clues) == []


@pytest.mark.parametrize(("size", "overflow", "place"), [(0, 10, "db.py:3"), (5, -1, "db.py:4")])
def test_a_pool_without_a_cap(size: int, overflow: int, place: str) -> None:
    (trap,) = found(service(pool(size, overflow), threads=None))
    assert (trap.id, trap.severity, trap.places) == ("uncapped-pool", Severity.CRITICAL, (place,))
    (bounded,) = found(service(pool(size, overflow), threads=8))
    assert bounded.severity is Severity.WARNING  # no more than there are threads


@pytest.mark.parametrize("settings", [{"pool_size": 0}, {"max_overflow": -1}])
def test_such_a_pool_has_no_cap_indeed(database_url: str, settings: dict[str, int]) -> None:
    made: Made = create_engine(database_url, **settings)
    opened = [made.connect() for _ in range(20)]
    for each in opened:
        each.close()
    made.dispose()


def test_a_driver_that_blocks_under_gevent() -> None:
    green = service(pool(5, 10, "psycopg2"), kind=WorkerKind.GEVENT, threads=1000)
    (trap,) = found(green)
    assert trap.id == "gevent-blocking-driver"
    assert trap.places == ("Procfile:1 -k", "db.py:5")
    assert "15 connections one is at work" in trap.what
    required = Clues(packages={"psycopg2": Fact("2.9", "requirements.txt:3")})
    plain = service(pool(), kind=WorkerKind.GEVENT, threads=1000)
    assert ids(plain) == []  # nobody said which driver
    assert [each.places[-1] for each in found(plain, clues=required)] == ["requirements.txt:3"]
    assert ids(green, clues=Clues(psycogreen="wsgi.py:2")) == []
    assert ids(service(pool(5, 10, "psycopg2"))) == []


def test_a_pool_that_outlives_its_proxy() -> None:
    (trap,) = found(service(threads=40), clues=Clues(proxy_timeout=said(30, "nginx.conf:8")))[:1]
    assert trap.id == "timeout-order"
    assert "pool_timeout 30 s outlives the proxy's 30 s" in trap.what
    assert trap.places == ("SQLAlchemy's default", "nginx.conf:8")
    longer = Clues(proxy_timeout=said(31))
    assert "timeout-order" not in ids(service(threads=40), clues=longer)
    assert "timeout-order" not in ids(service(threads=4), clues=Clues(proxy_timeout=said(30)))  # nobody waits


def test_statements_that_outlive_their_worker() -> None:
    slow = replace(pool(), statement_timeout=said(30, "db.py:9"))
    (trap,) = found(service(slow, kind=WorkerKind.SYNC, threads=1, timeout=30))
    assert "statement_timeout 30 s outlives the worker's 30 s" in trap.what
    assert ids(service(slow, kind=WorkerKind.SYNC, threads=1, timeout=31)) == []
    assert ids(service(slow, kind=WorkerKind.SYNC, threads=1, timeout=0)) == []  # never killed
    assert ids(service(slow, timeout=30)) == []  # a gthread worker says that it lives, whatever its threads do
    server = Server(statement_timeout=said(40, "postgresql.conf"))
    assert ids(service(kind=WorkerKind.SYNC, threads=1, timeout=30), server=server) == ["timeout-order"]


def test_a_worker_that_outlives_its_proxy() -> None:
    (trap,) = found(service(kind=WorkerKind.SYNC, threads=1, timeout=120), clues=Clues(proxy_timeout=said(60)))
    assert "the worker's timeout 120 s outlives the proxy's 60 s" in trap.what


def test_a_cache_that_knows_the_path_only() -> None:
    route = CachedRoute(function="businesses", source="views.py:8", reads="views.py:11")
    (trap,) = found(service(), clues=Clues(cached_routes=(route,)))
    assert (trap.id, trap.severity) == ("path-keyed-cache", Severity.CRITICAL)
    assert trap.places == ("views.py:8", "views.py:11")


def test_connections_at_start_up() -> None:
    clues = Clues(startup=("app.py:30",))
    assert ids(service(kind=WorkerKind.GEVENT, threads=1000), clues=clues) == ["start-up-session"]
    assert ids(service(), clues=clues) == []
    preloaded = service()
    assert preloaded.worker is not None
    preloaded = replace(preloaded, worker=replace(preloaded.worker, preload=Fact(True, "gunicorn.conf.py:2")))
    (trap,) = found(preloaded, clues=clues)
    assert (trap.id, trap.severity) == ("shared-after-fork", Severity.CRITICAL)
    assert trap.places == ("app.py:30", "gunicorn.conf.py:2")
    assert ids(preloaded, clues=replace(clues, disposes="gunicorn.conf.py:9")) == []


@pytest.mark.parametrize(
    ("driver", "named", "mode", "prepared", "is_trap"),
    [
        ("asyncpg", None, "transaction", 0, True),
        ("psycopg", None, "transaction", 0, True),
        ("psycopg", False, "transaction", 0, False),
        ("psycopg2", None, "transaction", 0, False),
        ("asyncpg", None, "session", 0, False),
        ("asyncpg", None, "transaction", 200, False),
        ("asyncpg", None, "transaction", None, False),
    ],
)
def test_prepared_statements_behind_a_pooler(
    driver: str, named: bool | None, mode: str, prepared: int | None, is_trap: bool
) -> None:
    pooler = Pooler(
        name="bouncer",
        mode=Fact(mode, "pgbouncer.ini:4"),
        pools=(Pool(database="*", pool_size=Fact(20, "")),),
        max_client_conn=Fact(100, ""),
        prepared=None if prepared is None else Fact(prepared, "pgbouncer.ini:9"),
    )
    made = replace(pool(2, 0, driver), named_statements=None if named is None else Fact(named, "db.py:7"))
    behind = replace(service(made, threads=2), via="bouncer")
    assert ids(behind, poolers=(pooler,)) == (["prepared-statements-behind-pooler"] if is_trap else [])


def test_more_threads_than_connections() -> None:
    (trap,) = found(service(pool(2, 1), threads=8))
    assert (trap.id, trap.severity) == ("more-threads-than-connections", Severity.INFO)
    assert "5 may wait" in trap.what
    assert ids(service(pool(8, 0), threads=8)) == []
    routes = Clues(plain_routes=("api.py:4",))
    (trap,) = found(service(pool(5, 10), kind=WorkerKind.ASYNCIO, threads=None), clues=routes)
    assert "40 plain routes of a process at once, on 15" in trap.what
    assert ids(service(pool(40, 0), kind=WorkerKind.ASYNCIO, threads=None), clues=routes) == []


def test_idle_connections_that_are_ended() -> None:
    server = Server(idle_session_timeout=said(600, "postgresql.conf"))
    (trap,) = found(service(), server=server)
    assert trap.id == "idle-connection-ended"
    assert "ended after 600 s, and the pool keeps them for ever" in trap.what
    assert ids(service(replace(pool(), pool_recycle=said(300))), server=server) == []
    assert ids(service(replace(pool(), pool_recycle=said(900))), server=server) == ["idle-connection-ended"]
    assert ids(service(replace(pool(), pool_pre_ping=Fact(True, ""))), server=server) == []
    assert ids(service(engine(Kind.NULL_POOL)), server=server) == []


def test_the_development_server() -> None:
    assert ids(service(kind=WorkerKind.DEVELOPMENT, threads=None)) == ["development-server"]


def test_the_worst_comes_first_and_one_trap_has_all_its_places() -> None:
    twice = (replace(pool(0), pool_size=Fact(0, "a.py:1")), replace(pool(0), pool_size=Fact(0, "b.py:1")))
    told = found(service(*twice, kind=WorkerKind.DEVELOPMENT, threads=None))
    assert [each.id for each in told] == ["uncapped-pool", "development-server"]
    assert told[0].places == ("a.py:1", "b.py:1")


def test_threads_beyond_the_pool_wait_indeed(database_url: str) -> None:
    made = create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    failed: list[str] = []

    def ask() -> None:
        try:
            made.connect().close()
        except Exception as error:
            failed.append(type(error).__name__)

    with made.connect():
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    made.dispose()
    assert failed == ["TimeoutError"]

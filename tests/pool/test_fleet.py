"""The arithmetic of fleets, with the sums of incidents that were published."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbtune.pool.budget import Budget, Moment, budget
from dbtune.pool.fleet import (
    Amount,
    Cap,
    Engine,
    Extra,
    Fact,
    Fleet,
    Pool,
    Pooler,
    Rollout,
    Server,
    Service,
    engine,
)
from dbtune.pool.kinds import Kind


def said(value: int) -> Fact[int]:
    return Fact(value, "test")


def service(
    name: str = "web",
    pods: int = 1,
    processes: int = 1,
    *engines: Engine,
    threads: int | None = None,
    surge: str = "0",
    terminating: int = 0,
    via: str | None = None,
    role: str | None = None,
) -> Service:
    amount = Amount(int(surge.rstrip("%")), is_percent=surge.endswith("%"))
    return Service(
        name=name,
        pods=said(pods),
        processes=said(processes),
        threads=Fact(threads, "test"),
        engines=engines or (engine(),),
        rollout=Rollout(surge=Fact(amount, "test"), terminating=said(terminating)),
        via=via,
        role=None if role is None else Fact(role, "test"),
    )


def pool(size: int, overflow: int = 0) -> Engine:
    return engine(pool_size=said(size), max_overflow=said(overflow))


def fleet(*services: Service, most: int = 100, reserved: int = 3, extras: tuple[Extra, ...] = ()) -> Fleet:
    server = Server(max_connections=said(most), superuser_reserved_connections=said(reserved))
    return Fleet(services=services, server=server, extras=extras)


def totals(found: Budget) -> tuple[int | None, int | None, int]:
    rest, deploy = found.server(Moment.REST), found.server(Moment.DEPLOY)
    return rest.total, deploy.total, rest.usable


INCIDENTS = {
    "party service, January 2019": (fleet(service("party", 1, 8)), (120, 120, 97), False),
    "party service, later": (fleet(service("party", 1, 6, surge="1")), (90, 180, 97), False),
    "ten old and ten new tasks": (
        fleet(service("api", 10, 1, pool(19), surge="100%"), most=240),
        (190, 380, 237),
        False,
    ),
    "the same, as it was mended": (fleet(service("api", 10, 1, pool(19)), most=240), (190, 190, 237), True),
    "sixteen workers with two engines": (
        fleet(service("hawk", 1, 16, pool(5, 20), pool(5, 20)), most=100),
        (800, 800, 97),
        False,
    ),
    "twelve instances of five workers": (
        fleet(service("api", 12, 5, pool(10, 10)), most=1003),
        (1200, 1200, 1000),
        False,
    ),
    "twelve instances of four workers": (
        fleet(service("api", 12, 4, pool(15, 10)), most=1003),
        (1200, 1200, 1000),
        False,
    ),
    "a pool without a cap": (fleet(service("oep", 1, 13, pool(0, 200))), (None, None, 97), False),
}


@pytest.mark.parametrize(("asked", "sums", "holds"), INCIDENTS.values(), ids=list(INCIDENTS))
def test_incidents(asked: Fleet, sums: tuple[int | None, int | None, int], holds: bool) -> None:
    found = budget(asked)
    assert totals(found) == sums
    assert found.holds is holds


def test_poolers_surge_too() -> None:
    """Six poolers with 50 connections and 25 in reserve, and one more while they are replaced, on 500."""
    pooler = Pooler(
        name="pgbouncer",
        mode=Fact("transaction", "test"),
        pools=(Pool(database="app", pool_size=said(50), reserve=said(25), users=said(1)),),
        max_client_conn=said(1000),
        pods=said(6),
        rollout=Rollout(surge=Fact(Amount(1), "test")),
    )
    web = service("web", 20, 4, via="pgbouncer")
    server = Server(max_connections=said(500), superuser_reserved_connections=said(0))
    found = budget(Fleet(services=(web,), server=server, poolers=(pooler,)))
    assert totals(found) == (450, 525, 500)
    clients = next(each for each in found.inequalities if each.of == "max_client_conn of pgbouncer")
    assert (clients.total, clients.usable) == (1200, 6000)
    assert [each.who for each in found.squeezed] == ["pgbouncer"]
    smaller = replace(pooler, pools=(replace(pooler.pools[0], reserve=said(20)),))
    mended = budget(Fleet(services=(web,), server=server, poolers=(smaller,)))
    assert (mended.server(Moment.DEPLOY).total, mended.holds) == (490, True)


def test_who_is_squeezed_and_how_far_each_may_grow() -> None:
    web = service("web", 4, 2, pool(5, 5), surge="25%", role="app")  # 80 at rest, 100 in a deploy
    jobs = service("jobs", 1, 3, pool(2))
    found = budget(fleet(web, jobs, most=113, extras=(Extra(name="psql", connections=said(2)),)))
    assert totals(found) == (88, 108, 110)
    assert not found.squeezed
    assert {each.service: (each.pods, each.cap) for each in found.room} == {"web": (4, 10), "jobs": (1, 2)}
    assert [each.statement for each in found.role_limits] == [
        'ALTER ROLE "app" CONNECTION LIMIT 100;',
        "ALTER ROLE the_role CONNECTION LIMIT 6;",
    ]
    tighter = budget(fleet(web, jobs, most=106, extras=(Extra(name="psql", connections=said(2)),)))
    assert [(each.who, each.asks, each.left) for each in tighter.squeezed] == [
        ("web", 100, 95),
        ("jobs", 6, 1),
        ("psql", 2, 0),
    ]
    assert tighter.role_limits == ()
    assert {each.service: (each.pods, each.cap) for each in tighter.room} == {"web": (3, 9), "jobs": (0, 0)}


def test_migrations_count_during_a_deploy_only() -> None:
    extras = (Extra(name="migrations", connections=said(1), is_deploy_only=True),)
    assert totals(budget(fleet(service(), extras=extras))) == (15, 16, 97)


def test_a_role_that_two_services_share_is_limited_once() -> None:
    server = Server(caps=(Cap(kind="role", name="app", most=said(20)), Cap(kind="role", name="other", most=said(1))))
    both = (service("web", role="app"), service("jobs", role="app"))
    found = budget(Fleet(services=both, server=server))
    limited = found.broken
    assert [(each.of, each.total, each.usable) for each in limited] == [("connection limit of role app", 30, 20)]
    assert {each.service: (each.pods, each.cap) for each in found.room} == {"web": (0, 5), "jobs": (0, 5)}


def test_a_deploy_at_most_doubles() -> None:
    assert [Rollout(surge=Fact(Amount(25, is_percent=True), "")).extra(pods) for pods in (1, 4, 10)] == [1, 1, 3]
    assert Rollout(surge=Fact(Amount(5), ""), terminating=said(4)).extra(3) == 3
    default = Rollout(surge=Fact(Amount(25, is_percent=True), ""), unavailable=Fact(Amount(25, is_percent=True), ""))
    assert default.wave(10) == 5


@pytest.mark.parametrize(
    ("one", "threads", "most"),
    [
        (engine(), 1, 15),
        (engine(Kind.NULL_POOL), 4, 4),
        (engine(Kind.NULL_POOL), None, None),
        (engine(Kind.DJANGO), 2, 2),
        (engine(Kind.DJANGO_POOL), 2, 4),
        (engine(Kind.ASYNCPG), None, 10),
        (engine(Kind.STATIC_POOL), 50, 1),
        (engine(max_overflow=said(-1)), None, None),
        (engine(max_overflow=said(-1)), 8, 8),
        (engine(pool_size=said(0), max_overflow=said(10)), None, None),
    ],
)
def test_most_of_a_process(one: Engine, threads: int | None, most: int | None) -> None:
    assert one.most(threads) == most


def test_nothing_and_everything() -> None:
    assert totals(budget(fleet())) == (0, 0, 97)
    assert totals(budget(fleet(service(pods=0)))) == (0, 0, 97)
    assert budget(fleet(service(), most=2)).server(Moment.REST).usable == 0
    endless = budget(fleet(service("web", 1, 1, pool(0)), service("jobs")))
    assert [(each.who, each.asks, each.left) for each in endless.squeezed] == [("web", None, 82), ("jobs", 15, 0)]

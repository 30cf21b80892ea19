"""The terms of a fleet's sum in words: which numbers make each of them, and who said every number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dbtune.pool.fleet import Engine, Extra, Fact, Fleet, Pool, Pooler, Server, Service
from dbtune.pool.kinds import Kind

_MOST_ENGINES = 4
"""More are not told one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number of a term: its name, its value as people write it, who said it, and whether nobody did."""

    name: str
    value: str
    source: str
    assumed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What one of the fleet asks for at most; None where nothing limits it. ``formula`` is that of a deploy."""

    who: str
    at_rest: int | None
    in_deploy: int | None
    formula: str
    numbers: tuple[Number, ...]


def terms(fleet: Fleet) -> tuple[Term, ...]:
    """Return what the server is asked for, in the order of the fleet; who goes through a pooler is left out."""
    found = [service(each) for each in fleet.services if fleet.pooler(each.via) is None]
    return (*found, *(_pooler(each) for each in fleet.poolers), *(_extra(each) for each in fleet.extras))


def service(each: Service) -> Term:
    """Return the term of a service."""
    pods, extra = each.pods.value, each.rollout.extra(each.pods.value)
    counted = [f"({pods} + {extra}) pods" if extra else _plural(pods, "pod")]
    counted.append(_plural(each.processes.value, "process", "processes"))
    inner = " + ".join(_engine(one, each.threads.value) for one in each.engines) or "0"
    if len(each.engines) > _MOST_ENGINES:
        inner = f"{'?' if each.per_process is None else each.per_process} of {len(each.engines)} engines"
    counted.append(f"({inner})" if len(each.engines) > 1 else inner)
    return Term(
        who=each.name,
        at_rest=each.at_rest,
        in_deploy=each.in_deploy,
        formula=" × ".join(counted),
        numbers=tuple(_service(each)),
    )


def usable(server: Server) -> str:
    """Return how what ordinary roles may have comes about."""
    held = [
        (server.superuser_reserved_connections, "superuser_reserved_connections"),
        (server.reserved_connections, "reserved_connections"),
        (server.provider, "the provider's own"),
    ]
    return " − ".join(
        [f"max_connections {server.max_connections.value}"] + [f"{f.value} {n}" for f, n in held if f.value]
    )


def _engine(each: Engine, threads: int | None) -> str:
    if each.is_uncapped:
        return f"{_threads(threads)} (nothing limits the pool: {_why_uncapped(each)})"
    if each.is_per_thread:
        return f"{_threads(threads)}, a connection each"
    if each.kind is Kind.SQLALCHEMY:
        return f"({each.pool_size.value} + {each.max_overflow.value})"
    return f"{each.pool_size.value}"


def _why_uncapped(each: Engine) -> str:
    return "pool_size=0" if each.pool_size.value == 0 else f"max_overflow={each.max_overflow.value}"


def _threads(threads: int | None) -> str:
    return "any number of threads" if threads is None else _plural(threads, "thread")


def _service(each: Service) -> Iterator[Number]:
    yield number("pods", each.pods)
    rollout = each.rollout
    if rollout.surge.value.number:
        yield number("surge", rollout.surge)
    if rollout.terminating.value:
        yield number("terminating", rollout.terminating)
    yield number("processes", each.processes)
    if any(one.is_per_thread or one.is_uncapped for one in each.engines):
        yield number("threads", each.threads)
    for one in each.engines[:_MOST_ENGINES]:
        if not one.is_per_thread:
            yield number("pool_size", one.pool_size)
        if one.kind is Kind.SQLALCHEMY:
            yield number("max_overflow", one.max_overflow)


def _pooler(each: Pooler) -> Term:
    extra = each.rollout.extra(each.pods.value)
    counted = []
    if each.pods.value != 1 or extra:
        counted.append(f"({each.pods.value} + {extra}) pods" if extra else _plural(each.pods.value, "pod"))
    if each.processes.value != 1:
        counted.append(_plural(each.processes.value, "process", "processes"))
    pools = " + ".join(_pool(one) for one in each.pools)
    counted.append(f"({pools})" if counted and len(each.pools) > 1 else pools)
    numbers = [number("pods", each.pods), number("processes", each.processes)]
    for one in each.pools:
        numbers += [number(f"pool_size of {one.database}", one.pool_size), number("users", one.users)]
        numbers += [number("reserve_pool_size", one.reserve)] if one.reserve.value else []
        numbers += [number("max_db_connections", one.most)] if one.most is not None else []
    return Term(
        who=each.name,
        at_rest=each.at_rest,
        in_deploy=each.in_deploy,
        formula=" × ".join(counted),
        numbers=tuple(numbers),
    )


def _pool(one: Pool) -> str:
    size = f"({one.pool_size.value} + {one.reserve.value})" if one.reserve.value else f"{one.pool_size.value}"
    text = f"{_plural(one.users.value, 'user')} × {size}" if one.users.value != 1 else size
    return text if one.most is None or one.connections < one.most.value else f"max_db_connections {one.most.value}"


def _extra(each: Extra) -> Term:
    return Term(
        who=each.name,
        at_rest=0 if each.is_deploy_only else each.connections.value,
        in_deploy=each.connections.value,
        formula=f"{each.connections.value}",
        numbers=(number("connections", each.connections),),
    )


def number(name: str, fact: Fact[Any]) -> Number:
    """Return a fact under a name."""
    value = "no bound" if fact.value is None else str(fact.value)
    return Number(name=name, value=value, source=fact.source.removeprefix("assumed: "), assumed=fact.assumed)


def _plural(count: int, one: str, more: str | None = None) -> str:
    return f"{count} {one}" if count == 1 else f"{count} {more or one + 's'}"

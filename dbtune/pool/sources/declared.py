"""What a fleet file says, put on top of what was found elsewhere, or standing alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from dbtune.errors import BadFile
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
    Worker,
    WorkerKind,
    assumed,
    engine,
)
from dbtune.pool.kinds import Kind
from dbtune.pool.sources.toml import Declared, Entry

Named = TypeVar("Named", Service, Pooler, Extra)

_CLIENTS, _POOL_SIZE = 100, 20


def apply(fleet: Fleet, declared: Declared) -> Fleet:
    """Return the fleet with what the file says: what has the same name is changed, the rest is added.

    :raises BadFile: the file contradicts itself.
    """
    poolers = fleet.poolers
    for entry in declared.poolers:
        poolers = _put(poolers, _pooler(entry, next((e for e in poolers if e.name == entry.name), None)))
    services = fleet.services
    for entry in declared.services:
        services = _put(services, _service(entry, next((e for e in services if e.name == entry.name), None)))
        via = entry.values.get("via")
        if via is not None and via.value not in {each.name for each in poolers}:
            known = ", ".join(each.name for each in poolers) or "none; write [[pooler]]"
            raise BadFile(via.source, f"service {entry.name}: via names no pooler; there are: {known}")
    extras = fleet.extras
    for name, (connections, is_deploy_only) in declared.rest.items():
        extras = _put(extras, Extra(name=name, connections=connections, is_deploy_only=is_deploy_only))
    return replace(fleet, services=services, poolers=poolers, extras=extras, server=_server(declared, fleet.server))


def _put(named: Sequence[Named], one: Named) -> tuple[Named, ...]:
    if one.name in {each.name for each in named}:
        return tuple(one if each.name == one.name else each for each in named)
    return tuple(chain(named, (one,)))


def _server(declared: Declared, base: Server) -> Server:
    said = declared.server.values
    caps = [Cap(kind="role", name=name, most=most) for name, most in declared.roles.items()]
    caps += [Cap(kind="database", name=name, most=most) for name, most in declared.databases.items()]
    return replace(
        base,
        max_connections=said.get("max_connections", base.max_connections),
        superuser_reserved_connections=said.get("superuser_reserved_connections", base.superuser_reserved_connections),
        reserved_connections=said.get("reserved_connections", base.reserved_connections),
        provider=said.get("provider_reserved", base.provider),
        statement_timeout=said.get("statement_timeout", base.statement_timeout),
        idle_session_timeout=said.get("idle_session_timeout", base.idle_session_timeout),
        caps=(*base.caps, *caps),
    )


def _rollout(entry: Entry, base: Rollout) -> Rollout:
    """Return how a deploy goes; who states its surge leaves no guess of pods that end slowly."""
    said = entry.values
    terminating = said.get("terminating", base.terminating)
    if "surge" in said and "terminating" not in said and base.terminating.assumed:
        terminating = Fact(0, "not stated")
    return Rollout(
        surge=said.get("surge", base.surge),
        unavailable=said.get("unavailable", base.unavailable),
        terminating=terminating,
    )


def _service(entry: Entry, base: Service | None) -> Service:
    said = entry.values
    if base is None:
        base = Service(
            name=entry.name,
            pods=assumed(1, "one pod, nothing says how many"),
            processes=assumed(1, "one process, nothing says how many"),
            threads=Fact(None, "not stated"),
            engines=(),
            source=entry.source,
        )
    worker = _worker(entry, base.worker)
    threads = said.get("threads", base.threads)
    if "worker" in said and "threads" not in said and said["worker"].value == WorkerKind.SYNC:
        threads = Fact(1, "a sync worker does one request at a time")
    return replace(
        base,
        pods=said.get("pods", base.pods),
        processes=said.get("processes", base.processes),
        threads=threads,
        engines=_engines(entry, base.engines),
        rollout=_rollout(entry, base.rollout),
        worker=worker,
        via=said["via"].value if "via" in said else base.via,
        role=said.get("role", base.role),
        is_deploy_only=said["deploy_only"].value if "deploy_only" in said else base.is_deploy_only,
        rate=said.get("rate", base.rate),
        hold=said.get("hold", base.hold),
    )


def _worker(entry: Entry, base: Worker | None) -> Worker | None:
    said = entry.values
    if not {"worker", "worker_timeout", "preload"} & said.keys():
        return base
    base = base if base is not None else Worker(kind=WorkerKind.OTHER, source=entry.source)
    kind = said.get("worker")
    return replace(
        base,
        kind=WorkerKind(kind.value) if kind is not None else base.kind,
        source=kind.source if kind is not None else base.source,
        timeout=said.get("worker_timeout", base.timeout),
        preload=said.get("preload", base.preload),
    )


def _engines(entry: Entry, found: tuple[Engine, ...]) -> tuple[Engine, ...]:
    """Return the engines: those of the file, on top of those found where there are as many; else as found.

    A service of which nobody says what holds its connections has SQLAlchemy's defaults.
    """
    if not entry.below:
        return found or (engine(source=entry.source),)
    bases: Sequence[Engine | None] = found if len(found) == len(entry.below) else [None] * len(entry.below)
    return tuple(_engine(each, base, f"service {entry.name}") for each, base in zip(entry.below, bases, strict=True))


def _engine(entry: Entry, base: Engine | None, of: str) -> Engine:
    said = entry.values
    kind = Kind(said["kind"].value) if "kind" in said else base.kind if base is not None else Kind.SQLALCHEMY
    if base is None or base.kind is not kind:
        base = engine(kind, source=entry.source)
    for key in ("max_overflow", "pool_recycle", "pool_pre_ping"):
        if key in said and kind is not Kind.SQLALCHEMY:
            raise BadFile(said[key].source, f'{of}: {key} is SQLAlchemy\'s; a pool of kind "{kind}" has only pool_size')
    if base.is_per_thread and "pool_size" in said:
        reason = f'a pool of kind "{kind}" has a connection for each thread: leave pool_size out, and write threads'
        raise BadFile(said["pool_size"].source, f"{of}: {reason}")
    if kind is not Kind.SQLALCHEMY and "pool_size" in said and said["pool_size"].value < 1:
        raise BadFile(said["pool_size"].source, f'{of}: pool_size must be at least 1 for a pool of kind "{kind}"')
    return replace(
        base,
        name=entry.name or base.name,
        pool_size=said.get("pool_size", base.pool_size),
        max_overflow=said.get("max_overflow", base.max_overflow),
        pool_timeout=said.get("pool_timeout", base.pool_timeout),
        pool_recycle=said.get("pool_recycle", base.pool_recycle),
        pool_pre_ping=said.get("pool_pre_ping", base.pool_pre_ping),
        driver=said.get("driver", base.driver),
        database=said.get("database", base.database),
        statement_timeout=said.get("statement_timeout", base.statement_timeout),
        named_statements=said.get("prepared_statements", base.named_statements),
    )


def _pooler(entry: Entry, base: Pooler | None) -> Pooler:
    said = entry.values
    usual = "PgBouncer's default"
    if base is None:
        base = Pooler(
            name=entry.name,
            mode=Fact("session", usual),
            pools=(Pool(database="*", pool_size=Fact(_POOL_SIZE, usual)),),
            max_client_conn=Fact(_CLIENTS, usual),
            source=entry.source,
        )
    pools = tuple(_pool(each) for each in entry.below) or base.pools
    surge: Fact[Amount] = said.get("surge", base.rollout.surge)
    return replace(
        base,
        mode=said.get("mode", base.mode),
        pools=pools,
        max_client_conn=said.get("max_client_conn", base.max_client_conn),
        processes=said.get("processes", base.processes),
        pods=said.get("pods", base.pods),
        rollout=replace(base.rollout, surge=surge, terminating=said.get("terminating", base.rollout.terminating)),
        prepared=said.get("max_prepared_statements", base.prepared),
        idle_timeout=said.get("server_idle_timeout", base.idle_timeout),
    )


def _pool(entry: Entry) -> Pool:
    said = entry.values
    found = Pool(
        database=said["database"].value if "database" in said else "*",
        pool_size=said.get("pool_size", Fact(_POOL_SIZE, "PgBouncer's default")),
    )
    most = said.get("max_db_connections")
    return replace(
        found,
        reserve=said.get("reserve_pool_size", found.reserve),
        users=said.get("users", found.users),
        most=most if most is not None and most.value > 0 else None,
    )

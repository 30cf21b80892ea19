"""Where a source tree makes connection pools, with which numbers: create_engine and its kin, of several libraries."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from dbtune.pool.fleet import Engine, Fact, engine
from dbtune.pool.kinds import Kind
from dbtune.pool.sources.expression import Unknown
from dbtune.pool.sources.found import EngineCall
from dbtune.pool.sources.module import Called, Module
from dbtune.pool.sources.options import Engines, Environment, Reader, with_url
from dbtune.pool.sources.project import Project

_SQLALCHEMY = {"create_engine", "create_async_engine", "engine_from_config", "async_engine_from_config"}
_SQLALCHEMY_PACKAGES = {"sqlalchemy", "sqlmodel", ""}
_OTHERS: Mapping[str, tuple[Kind, str, int | None]] = {
    "psycopg_pool.ConnectionPool": (Kind.PSYCOPG_POOL, "max_size", 2),
    "psycopg_pool.AsyncConnectionPool": (Kind.PSYCOPG_POOL, "max_size", 2),
    "psycopg_pool.NullConnectionPool": (Kind.PSYCOPG_POOL, "max_size", 2),
    "psycopg_pool.AsyncNullConnectionPool": (Kind.PSYCOPG_POOL, "max_size", 2),
    "psycopg2.pool.ThreadedConnectionPool": (Kind.PSYCOPG2_POOL, "maxconn", 1),
    "psycopg2.pool.SimpleConnectionPool": (Kind.PSYCOPG2_POOL, "maxconn", 1),
    "asyncpg.create_pool": (Kind.ASYNCPG, "max_size", None),
    "aiopg.create_pool": (Kind.AIOPG, "maxsize", 2),
    "aiopg.sa.create_engine": (Kind.AIOPG, "maxsize", 2),
    "databases.Database": (Kind.DATABASES, "max_size", None),
    "playhouse.pool.PooledPostgresqlDatabase": (Kind.PEEWEE, "max_connections", 1),
    "playhouse.pool.PooledPostgresqlExtDatabase": (Kind.PEEWEE, "max_connections", 1),
}
"""By the function's origin: kind of pool, name of its maximum, and the maximum's position."""

_WORDS = ("SQLAlchemy(", *sorted({*_SQLALCHEMY, *(name.rpartition(".")[2] for name in _OTHERS)}))
_LEGACY = {
    "SQLALCHEMY_POOL_SIZE": "pool_size",
    "SQLALCHEMY_MAX_OVERFLOW": "max_overflow",
    "SQLALCHEMY_POOL_TIMEOUT": "pool_timeout",
    "SQLALCHEMY_POOL_RECYCLE": "pool_recycle",
}
"""What Flask-SQLAlchemy read before version 3."""

_DRIVERS = {Kind.ASYNCPG: "asyncpg", Kind.PSYCOPG_POOL: "psycopg", Kind.PSYCOPG2_POOL: "psycopg2"}


def read(project: Project, environment: Environment) -> Engines:
    """Return the pools that a project makes; those in branches of one decision are given once, the largest."""
    found = Engines()
    for module in project.mentioning(*_WORDS):
        if _is_migration(module):
            found.migrations.append(module.path)
            continue
        for each in module.called:
            reader = Reader(project, environment, module, each.place, found)
            origin = module.origin(each.node.func)
            package, _, name = origin.rpartition(".")
            if name in _SQLALCHEMY and package.partition(".")[0] in _SQLALCHEMY_PACKAGES:
                _sqlalchemy(reader, each, name)
            elif origin == "flask_sqlalchemy.SQLAlchemy":
                _flask(reader, each)
            elif (kind := _OTHERS.get(origin)) is not None:
                _other(reader, each, *kind)
    found.calls = _without_alternatives(found)
    return found


def _is_migration(module: Module) -> bool:
    return PurePosixPath(module.path).name == "env.py" and "alembic" in module.text


def _sqlalchemy(reader: Reader, called: Called, name: str) -> None:
    """Read a call of create_engine or its kin."""
    node = called.node
    options = reader.keywords(node)
    if "config" in name:
        options = _of_config(reader, node) | options
    url = reader.url(node.args[0] if node.args and "config" not in name else options.get("url"))
    if url is not None and not url.is_postgresql:
        reader.found.note(reader.at(node), f"left out: an engine for {url.backend}")
        return
    made = reader.sqlalchemy(node, options)
    if "async" in name:
        made = replace(made, driver=Fact("asyncpg", reader.at(node)))
    _add(reader, made if url is None else with_url(made, url, reader.at(node)), called)


def _of_config(reader: Reader, node: ast.Call) -> dict[str, ast.expr]:
    """Return the options of engine_from_config, from a dictionary in the source or the ini files of the tree."""
    given = node.args[1] if len(node.args) > 1 else reader.keywords(node).get("prefix")
    prefix = str(given.value) if isinstance(given, ast.Constant) else "sqlalchemy."
    options: dict[str, ast.expr] = {}
    try:
        entries = reader.project.entries(node.args[0], reader.module, reader.place, reader.environment)
        options = {key.removeprefix(prefix): value for key, value in entries.items() if key.startswith(prefix)}
    except (Unknown, IndexError):
        for path in reader.project.tree.ending(".ini"):
            if PurePosixPath(path).name == "alembic.ini":
                continue
            for line in (reader.project.tree.text(path) or "").splitlines():
                name, equals, value = line.partition("=")
                if equals and name.strip().startswith(prefix):
                    constant = ast.copy_location(ast.Constant(value.strip()), node)
                    options.setdefault(name.strip().removeprefix(prefix), constant)
    if not options:
        reader.found.note(reader.at(node), f"no {prefix}… settings were found for it: defaults are counted")
    return options


def _flask(reader: Reader, called: Called) -> None:
    """Read Flask-SQLAlchemy's extension: its own options, and the application's SQLALCHEMY_… settings."""
    own = reader.keywords(called.node).get("engine_options")
    made = reader.sqlalchemy(called.node, {} if own is None else reader.entries(own, called.node))
    settings = _settings(reader)
    for name, (its, value) in settings.items():
        if name == "SQLALCHEMY_ENGINE_OPTIONS":
            made = its.sqlalchemy(value, its.entries(value, value), made)
        elif name in _LEGACY:
            made = its.sqlalchemy(value, {_LEGACY[name]: value}, made)
    if "SQLALCHEMY_DATABASE_URI" in settings:
        its, value = settings["SQLALCHEMY_DATABASE_URI"]
        url = its.url(value)
        if url is not None and not url.is_postgresql:
            reader.found.note(its.at(value), f"left out: an engine for {url.backend}")
            return
        made = made if url is None else with_url(made, url, its.at(value))
    _add(reader, made, called)
    if "SQLALCHEMY_BINDS" in settings:
        its, value = settings["SQLALCHEMY_BINDS"]
        for name in its.entries(value, value):
            _add(reader, replace(made, name=f"bind {name}"), called, name)


def _settings(reader: Reader) -> dict[str, tuple[Reader, ast.expr]]:
    """Return Flask-SQLAlchemy's settings, from wherever the project assigns them outside of tests."""
    settings: dict[str, tuple[Reader, ast.expr]] = {}
    for module in reader.project.mentioning("SQLALCHEMY_"):
        for each in module.assigned:
            name = each.key if each.key and each.key.startswith("SQLALCHEMY_") else each.name.rpartition(".")[2]
            is_for_tests = each.place.klass is not None and "test" in each.place.klass.name.lower()
            if name.startswith("SQLALCHEMY_") and not is_for_tests:
                its = Reader(reader.project, reader.environment, module, each.place, reader.found)
                settings.setdefault(name, (its, each.value))
    return settings


def _other(reader: Reader, called: Called, kind: Kind, most: str, position: int | None) -> None:
    """Read a call that makes a pool of another library."""
    node = called.node
    options = reader.keywords(node)
    if position is not None and len(node.args) > position:
        options.setdefault(most, node.args[position])
    made = engine(kind, source=reader.at(node))
    size = reader.number(options.get(most), most, node)
    if size is None and kind is Kind.PSYCOPG_POOL:
        size = reader.number(options.get("min_size"), "min_size", node)
    made = replace(made, pool_size=size or made.pool_size)
    made = replace(made, pool_timeout=reader.seconds(options.get("timeout"), "timeout", node) or made.pool_timeout)
    url = reader.url(node.args[0] if node.args else None)
    if url is not None and not url.is_postgresql:
        reader.found.note(reader.at(node), f"left out: a pool for {url.backend}")
        return
    made = made if url is None else with_url(made, url, reader.at(node))
    if kind in _DRIVERS:
        made = replace(made, driver=Fact(_DRIVERS[kind], reader.at(node)))
    _add(reader, reader.statements(made, options, node), called)


def _add(reader: Reader, made: Engine, called: Called, bind: str = "") -> None:
    place, line = called.place, called.node.lineno
    outer = place.functions[-1].name if place.functions else ""
    named = replace(made, name=_name(called)) if made.name == "engine" else made
    key = (reader.module.path, outer, place.target or f"line {line}", bind)
    call = EngineCall(engine=named, path=reader.module.path, line=line, key=key, is_at_import=place.is_at_import)
    reader.found.calls.append(call)


def _name(called: Called) -> str:
    """Return what an engine is called: the name it is assigned to, else that of the function that returns it."""
    target = called.place.target
    if target is not None and target != "return":
        return target.rpartition(".")[2]
    return called.place.functions[-1].name if called.place.functions else "engine"


def _without_alternatives(found: Engines) -> list[EngineCall]:
    """Return one engine for each name in each function: several are branches of a decision; the largest counts."""
    best: dict[tuple[str, ...], EngineCall] = {}
    for each in found.calls:
        other = best.setdefault(each.key, each)
        if other is each:
            continue
        larger, smaller = (each, other) if _size(each.engine) > _size(other.engine) else (other, each)
        best[each.key] = larger
        found.note(f"{smaller.path}:{smaller.line}", f"an alternative of line {larger.line}, which is counted")
    return list(best.values())


def _size(one: Engine) -> float:
    most = one.most(None)
    return float("inf") if most is None else most

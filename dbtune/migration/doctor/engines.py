"""Engines and sessions: how they are made, and what their methods return."""

from __future__ import annotations

import ast
from dataclasses import replace

from dbtune.migration.doctor.arguments import Arguments, Call
from dbtune.migration.doctor.source import Site
from dbtune.migration.doctor.values import (
    UNKNOWN,
    Connection,
    Const,
    Engine,
    How,
    Inspector,
    Items,
    Manager,
    Pool,
    Ref,
    Session,
    Transaction,
    Value,
)

_PARTS = ("drivername", "username", "password", "host", "port", "database", "query")


def called(name: str, made: Call) -> Value | None:
    """Return what a function of SQLAlchemy's returns, by the last word of its name; None if it is none of them."""
    given = made.arguments
    match name:
        case "create_engine" | "create_async_engine":
            return _engine(made, given.get(0, "url"), given.items(), is_async=name == "create_async_engine")
        case "engine_from_config" | "async_engine_from_config":
            return _from_config(made, is_async=name == "async_engine_from_config")
        case "AsyncEngine":
            inner = given.get(0, "sync_engine")
            return replace(inner, is_async=True, attributes={}) if isinstance(inner, Engine) else inner or Value()
        case "Session" | "AsyncSession" | "scoped_session":
            bind = given.get(0, "bind")
            return Session(bind if isinstance(bind, Engine) else None)
        case "sessionmaker" | "async_sessionmaker":
            bind = given.get(0, "bind")
            return Manager(Session(bind if isinstance(bind, Engine) else None))
        case "inspect" if isinstance(given.get(0, "subject"), Connection):
            subject = given.get(0, "subject")
            assert isinstance(subject, Connection)
            node = made.site.node
            words = made.site.source.text(node.args[0]) if isinstance(node, ast.Call) and node.args else ""
            return Inspector(subject, words)
        case "create" if set(given.named) & {"drivername", "host"}:
            return _url(given)
    return None


def method(engine: Engine, name: str, made: Call) -> Value:
    """Return what an engine's method returns."""
    match name:
        case "connect":
            return Connection(engine=engine, autocommit=engine.autocommit)
        case "begin":
            opened = Connection(engine=engine, autocommit=engine.autocommit)
            opened.begin(How.ENGINE, made.site)
            return Transaction(opened, yields=opened)
        case "execution_options":
            level = made.arguments.named.get("isolation_level")
            return replace(engine, autocommit=made.site if is_autocommit(level) else engine.autocommit, attributes={})
    return Value()


def is_autocommit(level: Value | None) -> bool:
    """Return whether an isolation level is the one that is none."""
    return isinstance(level, Const) and isinstance(level.value, str) and level.value.upper() == "AUTOCOMMIT"


def _engine(made: Call, url: Value | None, given: Items, *, is_async: bool) -> Engine:
    engine = Engine(made.site, url, is_async, _pool(given), _autocommit(made.site, given), given)
    made.walk.way.engines.append(engine)
    return engine


def _from_config(made: Call, *, is_async: bool) -> Engine:
    given = made.arguments
    section, named = given.get(0, "configuration"), given.get(1, "prefix")
    prefix = named.value if isinstance(named, Const) and isinstance(named.value, str) else "sqlalchemy."
    options = Items(dict(given.named), given.is_open)
    options.items.pop("prefix", None)
    url = options.items.get("url")
    if isinstance(section, Items):
        found = {key.removeprefix(prefix): each for key, each in section.items.items() if key.startswith(prefix)}
        options.items = found | options.items
        url = options.items.get("url")
    return _engine(made, url, options, is_async=is_async)


def _pool(given: Items) -> Pool:
    chosen = given.items.get("poolclass")
    if chosen is None:
        return Pool.UNKNOWN if given.is_open or "pool" in given.items else Pool.OTHER
    if isinstance(chosen, Ref):
        return Pool.NULL if chosen.last == "NullPool" else Pool.OTHER
    return Pool.UNKNOWN


def _autocommit(site: Site, given: Items) -> Site | None:
    options = given.items.get("execution_options")
    levels = [given.items.get("isolation_level")]
    if isinstance(options, Items):
        levels.append(options.items.get("isolation_level"))
    return site if any(map(is_autocommit, levels)) else None


def _url(given: Arguments) -> Value:
    """Return the URL that URL.create() makes, as text, with what is not known left open."""
    parts = {
        name: str(value.value) if isinstance(value, Const) and value.value is not None else UNKNOWN
        for name, value in zip(_PARTS, given.positional, strict=False)
    } | {
        name: str(value.value) if isinstance(value, Const) and value.value is not None else UNKNOWN
        for name, value in given.named.items()
        if name in _PARTS
    }
    where = parts.get("host", "") + (f":{parts['port']}" if "port" in parts else "")
    return Const(f"{parts.get('drivername', UNKNOWN)}://{where}/{parts.get('database', '')}")

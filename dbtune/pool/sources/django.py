"""Django's DATABASES, as settings modules write it: by alias, with or without a pool.

Without OPTIONS["pool"] each thread keeps a connection of its own, for CONN_MAX_AGE or the request. With it, Django 5.1
has a psycopg_pool of min_size 4 and max_size 4 in each process; django-db-connection-pool has SQLAlchemy's.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from dbtune.pool.fleet import Engine, Fact, engine
from dbtune.pool.kinds import Kind
from dbtune.pool.sources.found import EngineCall
from dbtune.pool.sources.module import Assigned, Module
from dbtune.pool.sources.options import Engines, Environment, Reader, with_libpq_options
from dbtune.pool.sources.project import Project

_POSTGRESQL = ("postgres", "postgis", "psqlextra")
_FROM_URL = ("dj_database_url", "env.db", "env.db_url", "environ.Env.db")


def read(project: Project, environment: Environment) -> Engines:
    """Return the databases of a Django project; of several settings modules the largest of each alias counts."""
    found = Engines()
    best: dict[str, EngineCall] = {}
    for module in project.mentioning("DATABASES"):
        for assigned in module.assigned:
            if assigned.name != "DATABASES" or "test" in module.path.rpartition("/")[2].lower():
                continue
            for call in _databases(Reader(project, environment, module, assigned.place, found), module, assigned):
                other = best.setdefault(call.engine.name, call)
                if other is not call:
                    larger, smaller = (call, other) if _rank(call.engine) > _rank(other.engine) else (other, call)
                    best[call.engine.name] = larger
                    if smaller.engine.source != larger.engine.source:
                        found.note(smaller.engine.source, f"an alternative of {larger.engine.source}, which is counted")
    found.calls = list(best.values())
    return found


def _databases(reader: Reader, module: Module, assigned: Assigned) -> list[EngineCall]:
    if assigned.key is not None:
        aliases = {assigned.key: assigned.value}
    else:
        aliases = reader.entries(assigned.value, assigned.value)
    calls = []
    for alias, value in aliases.items():
        made = _from_url(reader, value, alias)
        if made is None:
            made = _engine(reader, alias, value, reader.entries(value, value))
        if made is not None:
            line = getattr(value, "lineno", 1)
            calls.append(EngineCall(engine=made, path=module.path, line=line, key=(module.path, alias)))
    return calls


def _from_url(reader: Reader, value: ast.expr, alias: str) -> Engine | None:
    """Return the engine of dj_database_url.config(…) or env.db(…), which settings take from a URL."""
    if not isinstance(value, ast.Call):
        return None
    origin = reader.module.origin(value.func)
    if not origin.startswith(_FROM_URL):
        return None
    options = reader.keywords(value)
    url = reader.url(options.get("default") or (value.args[0] if value.args else None))
    if url is not None and not url.is_postgresql and "DATABASE_URL" not in reader.environment:
        reader.found.note(reader.at(value), f"database {alias} is counted, though its default URL is for {url.backend}")
    return engine(Kind.DJANGO, alias, source=reader.at(value))


def _engine(reader: Reader, alias: str, value: ast.expr, entries: dict[str, ast.expr]) -> Engine | None:
    backend = reader.known(entries.get("ENGINE"))
    name = str(backend.value) if backend is not None else ""
    if backend is None and not entries:
        return None
    if backend is not None and not any(word in name for word in _POSTGRESQL):
        reader.found.note(reader.at(value), f"left out: database {alias} is {name.rpartition('.')[2]}")
        return None
    source = reader.at(value)
    made = engine(Kind.DJANGO, alias, source=source)
    if name.startswith("dj_db_conn_pool"):
        pool = reader.entries(entries["POOL_OPTIONS"], value) if "POOL_OPTIONS" in entries else {}
        size = reader.number(pool.get("POOL_SIZE"), "POOL_SIZE", value)
        overflow = reader.number(pool.get("MAX_OVERFLOW"), "MAX_OVERFLOW", value)
        usual = Fact(10, "django-db-connection-pool's default")
        made = engine(Kind.SQLALCHEMY, alias, pool_size=size or usual, max_overflow=overflow or usual)
        made = replace(made, source=source)
    options = reader.entries(entries["OPTIONS"], value, quietly=True) if "OPTIONS" in entries else {}
    if (pool_option := options.get("pool")) is not None:
        made = _pooled(reader, alias, pool_option, source) or made
    for key, attribute in (("USER", "user"), ("NAME", "database")):
        known = reader.known(entries.get(key))
        if known is not None and isinstance(known.value, str) and known.value:
            made = replace(made, **{attribute: Fact(known.value, source)})  # type: ignore[arg-type]
    if (known := reader.known(options.get("options"))) is not None:
        made = with_libpq_options(made, str(known.value), source)
    return made


def _pooled(reader: Reader, alias: str, option: ast.expr, source: str) -> Engine | None:
    known = reader.known(option)
    if known is None:
        reader.found.note(source, f"the pool of database {alias} is not known, its default is counted")
        return engine(Kind.DJANGO_POOL, alias, source=source)
    if not known.value:
        return None
    made = engine(Kind.DJANGO_POOL, alias, source=source)
    if isinstance(known.value, ast.Dict):
        options = reader.entries(option, option)
        size = reader.number(options.get("max_size"), "max_size", option)
        size = size or reader.number(options.get("min_size"), "min_size", option)
        made = replace(made, pool_size=size or made.pool_size)
        made = replace(
            made, pool_timeout=reader.seconds(options.get("timeout"), "timeout", option) or made.pool_timeout
        )
    return made


def _rank(one: Engine) -> float:
    most = one.most(1)
    return float("inf") if most is None else most

"""Habits of a project's code that matter for its connections: caches, plain FastAPI routes, connecting at import."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from dbtune.pool.clues import CachedRoute, Clues
from dbtune.pool.sources import packages
from dbtune.pool.sources.expression import dotted
from dbtune.pool.sources.module import Function, Module
from dbtune.pool.sources.options import Engines
from dbtune.pool.sources.project import Project

_DEEPEST = 4
_METHODS = {"get", "post", "put", "patch", "delete", "api_route", "route"}
_CONNECTING = {"connect", "raw_connection", "create_all", "drop_all", "scalar", "execute", "getconn"}
_ON_DATABASE = ("engine", "session", "metadata", "db", "conn", "database", "pool")
_FORKED = ("fork", "worker_init", "process_init", "worker_process")


def read(project: Project, engines: Engines) -> Clues:
    """Return what the code of a project tells beside numbers."""
    at_import = tuple(f"{each.path}:{each.line}" for each in engines.calls if each.is_at_import)
    return Clues(
        packages=packages.read(project.tree),
        psycogreen=_psycogreen(project),
        cached_routes=tuple(_cached_routes(project)),
        plain_routes=tuple(_plain_routes(project)),
        startup=tuple(_startup(project, {each.path for each in engines.calls})),
        import_engines=at_import,
        disposes=_disposes(project),
    )


def _psycogreen(project: Project) -> str | None:
    for module in project.mentioning("psycogreen", "make_psycopg_green", "set_wait_callback", "gevent_psycopg2"):
        for number, line in enumerate(module.text.splitlines(), 1):
            if any(
                word in line
                for word in ("patch_psycopg(", "make_psycopg_green(", "set_wait_callback(", "monkey_patch(")
            ):
                return f"{module.path}:{number}"
    return None


def _cached_routes(project: Project) -> Iterator[CachedRoute]:
    """Yield routes under Flask-Caching's ``@cache.cached`` that read the query string, which is not in the key."""
    for module in project.mentioning(".cached("):
        for function in _functions(module):
            for decorator in function.decorator_list:
                if isinstance(decorator, ast.Call) and _last(decorator.func) == "cached" and _is_by_path(decorator):
                    reads = _reads_query(function)
                    if reads is not None:
                        at = f"{module.path}:{decorator.lineno}"
                        yield CachedRoute(function=function.name, source=at, reads=f"{module.path}:{reads}")


def _is_by_path(decorator: ast.Call) -> bool:
    for each in decorator.keywords:
        if each.arg in ("query_string", "make_cache_key", None):
            return isinstance(each.value, ast.Constant) and not each.value.value
        if each.arg == "key_prefix" and not isinstance(each.value, ast.Constant):
            return False
    return True


def _reads_query(function: Function) -> int | None:
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and node.attr in ("args", "values", "query_string", "full_path", "url"):
            name = dotted(node.value)
            if name is not None and name.rpartition(".")[2] == "request":
                return node.lineno
    return None


def _plain_routes(project: Project) -> Iterator[str]:
    """Yield FastAPI routes that are written ``def``: they run in a pool of threads."""
    for module in project.mentioning("fastapi"):
        for function in _functions(module):
            if isinstance(function, ast.AsyncFunctionDef):
                continue
            for decorator in function.decorator_list:
                if isinstance(decorator, ast.Call) and _last(decorator.func) in _METHODS:
                    yield f"{module.path}:{function.lineno}"
                    break


def _startup(project: Project, with_engines: Iterable[str]) -> Iterator[str]:
    """Yield where importing a module uses a connection, also through functions of the project."""
    connecting = _connecting_functions(project)
    for path in project.paths:
        text = project.tree.text(path)
        if text is None or not (
            path in with_engines or any(f"{name}(" in text for name in connecting) or "connect" in text
        ):
            continue
        if (module := project.module(path)) is None or _is_migration(module) or path in _aside(project):
            continue
        for each in module.called:
            if not each.place.is_at_import:
                continue
            name = dotted(each.node.func) or ""
            if name.rpartition(".")[2] in connecting or _connects(each.node):
                yield f"{path}:{each.node.lineno}"


def _aside(project: Project) -> set[str]:
    from dbtune.pool.sources.project import is_aside

    return {path for path in project.paths if is_aside(path) or path.endswith(("setup.py", "manage.py"))}


def _is_migration(module: Module) -> bool:
    return "alembic" in module.text and module.path.endswith(("env.py", "versions"))


def _connecting_functions(project: Project) -> set[str]:
    """Return the names of functions that use a connection whenever they are called, themselves or through others."""
    calls: dict[str, set[str]] = {}
    found: set[str] = set()
    for module in project.mentioning("create_engine", "create_all", ".connect(", "sessionmaker", "SQLAlchemy("):
        for each in module.called:
            for function in each.place.functions[-1:]:
                if function.decorator_list and any(
                    _last_of(d) in (*_METHODS, "task", "fixture", "command") for d in function.decorator_list
                ):
                    continue
                calls.setdefault(function.name, set()).add((dotted(each.node.func) or "").rpartition(".")[2])
                if _connects(each.node):
                    found.add(function.name)
    for _ in range(_DEEPEST):
        found |= {name for name, others in calls.items() if others & found}
    return {name for name in found if name not in _CONNECTING and not name.startswith("__")}


def _connects(node: ast.Call) -> bool:
    """Return whether a call takes a connection, by its name and that of what it is called on."""
    function = node.func
    if not isinstance(function, ast.Attribute) or function.attr not in _CONNECTING:
        return False
    on = function.value
    while isinstance(on, (ast.Call, ast.Attribute)):
        if isinstance(on, ast.Attribute) and on.attr in _ON_DATABASE:
            return True
        on = on.func if isinstance(on, ast.Call) else on.value
    return isinstance(on, ast.Name) and any(word in on.id.lower() for word in _ON_DATABASE)


def _disposes(project: Project) -> str | None:
    for module in project.mentioning(".dispose("):
        for each in module.called:
            names = [function.name for function in each.place.functions]
            if _last(each.node.func) == "dispose" and any(part in name for name in names for part in _FORKED):
                return f"{module.path}:{each.node.lineno}"
    return None


def _functions(module: Module) -> Iterator[Function]:
    for each in module.functions.values():
        yield from (function for function, _ in each)


def _last(node: ast.expr) -> str | None:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None


def _last_of(decorator: ast.expr) -> str | None:
    return _last(decorator.func if isinstance(decorator, ast.Call) else decorator)

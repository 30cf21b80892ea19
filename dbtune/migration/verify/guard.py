"""In the process that runs env.py: connections go to the throw-away server, or the process ends before it connects.

Two gates, and either is enough to end it. Drivers are looked at when they are asked to connect: a host that is not the
folder of the server's socket is refused, and no packet is sent. And whatever SQLAlchemy opened, by whatever driver, is
asked for a word that only that server knows before anybody else may use it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

REFUSED = 77
"""The exit code of a process that wanted another database."""

PREFIX = "dbtune verify: refused: "
"""Leads the line on stderr that says which."""

SETTING = "dbtune_verify.word"
"""The server's setting that holds the word."""

_ASK = f"/* dbtune */ SELECT pg_catalog.current_setting('{SETTING}', true)"


def install(host: str, word: str) -> None:
    """Let this process connect to the server with its socket in the folder ``host`` that knows ``word``, and no other.

    Called before any driver is loaded.
    """
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    gate = _Gate(host)
    sys.meta_path.insert(0, _Drivers(gate))
    for name, watch in _WATCHES.items():
        if name in sys.modules:
            watch(sys.modules[name], gate)

    def connected(connection: Any, record: Any) -> None:
        if _asked(connection) != word:
            refuse("a database that does not know this run's word")

    event.listen(Pool, "connect", connected, insert=True)


def refuse(where: str) -> NoReturn:
    """End the process at once: no handler of the host's code gets to try something else."""
    sys.stderr.write(f"\n{PREFIX}{where}\n")
    sys.stderr.flush()
    os._exit(REFUSED)


def _asked(connection: Any) -> str | None:
    """Return what the server says; None where it is none of PostgreSQL."""
    try:
        cursor = connection.cursor()
        try:
            cursor.execute(_ASK)
            row = cursor.fetchone()
        finally:
            cursor.close()
        connection.rollback()
    except Exception:
        return None
    return None if row is None else row[0]


class _Gate:
    """Says no to every host but one."""

    def __init__(self, host: str) -> None:
        self._host = host

    def check(self, hosts: Iterable[str], where: str) -> None:
        if any(host != self._host for host in hosts):
            refuse(where)

    def check_libpq(self, parameters: dict[str, Any]) -> None:
        """Look at libpq's parameters; what is not among them comes from the environment."""
        host = str(parameters.get("host") or os.environ.get("PGHOST") or "the default socket")
        elsewhere = [str(parameters[name]) for name in ("hostaddr", "service") if parameters.get(name)]
        port, database = parameters.get("port"), parameters.get("dbname") or parameters.get("database")
        named = elsewhere[0] if elsewhere else host
        self.check([*elsewhere, *host.split(",")], f"{named}{f':{port}' if port else ''}/{database or ''}")


def _watch_psycopg2(module: Any, gate: _Gate) -> None:
    """Stand before the function that every connection of psycopg2 is opened by."""
    own = module._connect

    def connect(dsn: str, *arguments: Any, **named: Any) -> Any:
        gate.check_libpq(module.extensions.parse_dsn(dsn))
        return own(dsn, *arguments, **named)

    module._connect = connect


def _watch_psycopg(module: Any, gate: _Gate) -> None:
    for kind in (module.Connection, module.AsyncConnection):
        _watch_class(kind, module, gate)
    module.connect = module.Connection.connect


def _watch_class(kind: Any, module: Any, gate: _Gate) -> None:
    own = kind.connect.__func__

    def connect(cls: Any, /, conninfo: str = "", **named: Any) -> Any:
        parameters: dict[str, Any] = dict(module.conninfo.conninfo_to_dict(conninfo))
        gate.check_libpq(parameters | named)
        return own(cls, conninfo, **named)

    kind.connect = classmethod(connect)


def _watch_asyncpg(module: Any, gate: _Gate) -> None:
    """Stand before the function that opens each address; a socket's is a path, others are host and port."""
    inner: Any = importlib.import_module("asyncpg.connect_utils")
    own = inner._connect_addr

    async def connect(*, addr: Any, **named: Any) -> Any:
        folder = os.path.dirname(addr) if isinstance(addr, str) else str(addr[0])  # noqa: PTH120
        database = getattr(named.get("params"), "database", None)
        gate.check([folder], f"{folder if isinstance(addr, str) else f'{addr[0]}:{addr[1]}'}/{database or ''}")
        return await own(addr=addr, **named)

    inner._connect_addr = connect


def _watch_pg8000(module: Any, gate: _Gate) -> None:
    inner: Any = importlib.import_module("pg8000.core")
    own = inner.CoreConnection.__init__

    def initialised(self: Any, user: Any, host: str = "localhost", *arguments: Any, **named: Any) -> None:
        path = named.get("unix_sock")
        folder = os.path.dirname(str(path)) if path else host  # noqa: PTH120
        gate.check([folder], f"{folder}/{named.get('database') or ''}")
        own(self, user, host, *arguments, **named)

    inner.CoreConnection.__init__ = initialised


_WATCHES: dict[str, Callable[[Any, _Gate], None]] = {
    "psycopg2": _watch_psycopg2,
    "psycopg": _watch_psycopg,
    "asyncpg": _watch_asyncpg,
    "pg8000": _watch_pg8000,
}


class _Drivers:
    """Finds drivers as Python would, and stands before their doors when they have been loaded."""

    def __init__(self, gate: _Gate) -> None:
        self._gate = gate
        self._finding = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _WATCHES or self._finding:
            return None
        self._finding = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._finding = False
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _WATCHES[name](module, self._gate)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

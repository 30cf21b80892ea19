"""Connecting: which server, as whom, and what a refusal means. The only module that opens connections."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import URL, Connection, Engine, NullPool, QueuePool, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from dbtune import config
from dbtune.errors import ServerError, UsageError

APPLICATION_NAME = "dbtune"
MARKER = "/* dbtune */"
"""Leads every statement of dbtune's own, so that captures and reports can leave them out."""

OLDEST = 13
_CONNECT_SECONDS = 10
_SYNCHRONOUS = {"asyncpg": "psycopg2", "psycopg_async": "psycopg", "psycopg2cffi": "psycopg2", "pg8000": "psycopg2"}


@dataclass(frozen=True, slots=True)
class Target:
    """A server and database to work on, and who named it: ``--url``, a variable's name, or ``embedded``."""

    url: URL
    source: str

    def __str__(self) -> str:
        """Return where this is, for people: no password, and no option that might hold one."""
        where = self.url.host or self.url.query.get("host") or "the default socket"
        port = self.url.port or self.url.query.get("port")
        user = f"{self.url.username}@" if self.url.username else ""
        return f"{user}{where}{f':{port}' if port else ''}/{self.url.database or ''}"


def resolve(url: str | None = None, progress: Callable[[str], None] = lambda text: None) -> Target:
    """Return the server to use: ``url``, else $DBTUNE_URL, else $DATABASE_URL, else the embedded one, started for it.

    :raises UsageError: the URL is not one of PostgreSQL.
    :raises EmbeddedError: the embedded server cannot be started.
    """
    if url:
        return Target(parse_url(url, "--url"), "--url")
    for variable in config.URL_VARIABLES:
        if value := os.environ.get(variable):
            return Target(parse_url(value, variable), variable)
    from dbtune.server.embedded import EmbeddedServer

    server = EmbeddedServer()
    server.start(progress)
    return Target(parse_url(server.url(), "embedded"), "embedded")


def parse_url(text: str, source: str) -> URL:
    """Return ``text`` as a URL for a synchronous driver that is installed.

    ``postgres://`` and ``postgresql://`` mean psycopg2; asynchronous drivers are replaced by their synchronous kin.
    Messages never repeat the text, which may hold a password.

    :raises UsageError: it is not a URL of PostgreSQL, or its driver is not installed.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UsageError(f"{source}: not a URL; write postgresql://user@host:5432/database") from None
    backend, _, driver = url.drivername.partition("+")
    if backend not in ("postgresql", "postgres"):
        raise UsageError(f"{source}: names {backend}, but dbtune works with PostgreSQL: postgresql://…")
    driver = _SYNCHRONOUS.get(driver, driver) or "psycopg2"
    url = url.set(drivername=f"postgresql+{driver}")
    if "ssl" in url.query:  # asyncpg's spelling
        url = url.difference_update_query(["ssl"]).update_query_dict({"sslmode": str(url.query["ssl"])})
    try:
        url.get_dialect().import_dbapi()
    except (NoSuchModuleError, ImportError):
        hint = (
            "pip install 'dbtune[psycopg]', or write postgresql+psycopg2://…"
            if driver == "psycopg"
            else ("write postgresql+psycopg2://…")
        )
        raise UsageError(f"{source}: driver {driver} is not installed; {hint}") from None
    return url


def engine(target: Target) -> Engine:
    """Return an engine without a pool: each connection is opened for one use and closed after it."""
    return create_engine(target.url, poolclass=NullPool, connect_args=_arguments(target))


def pooled(target: Target, size: int, overflow: int = 0, timeout: float = 30.0) -> Engine:
    """Return an engine with SQLAlchemy's QueuePool, for what is measured about it."""
    return create_engine(
        target.url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=overflow,
        pool_timeout=timeout,
        connect_args=_arguments(target),
    )


def _arguments(target: Target) -> dict[str, object]:
    arguments: dict[str, object] = {}
    if "application_name" not in target.url.query:
        arguments["application_name"] = APPLICATION_NAME
    if "connect_timeout" not in target.url.query:
        arguments["connect_timeout"] = _CONNECT_SECONDS
    return arguments


@contextmanager
def connect(target: Target) -> Iterator[Connection]:
    """Open a connection for the block.

    :raises ServerError: the server is unreachable, refuses, or is older than PostgreSQL 13.
    """
    with translated(target):
        connection = engine(target).connect()
    try:
        version = server_version_num(connection)
        if version < OLDEST * 10_000:
            raise ServerError(f"{target} is PostgreSQL {version_text(version)}; dbtune needs {OLDEST} or newer")
        yield connection
    finally:
        connection.close()


def server_version_num(connection: Connection) -> int:
    """Return the server's version as PostgreSQL counts it: 180006 is 18.6."""
    info = getattr(connection.connection.dbapi_connection, "info", None)
    return int(getattr(info, "server_version", 0))


def version_text(version_num: int) -> str:
    """Return 180006 as ``18.6``."""
    return f"{version_num // 10_000}.{version_num % 10_000}"


@contextmanager
def translated(target: Target) -> Iterator[None]:
    """Turn a driver's error into a :class:`ServerError` of one line without any password."""
    try:
        yield
    except DBAPIError as error:
        raise ServerError(f"{target}: {reason(error, target.url.password)}") from None


def sqlstate(error: DBAPIError) -> str | None:
    """Return the SQLSTATE of a driver's error (manual, appendix A), None where the connection itself failed."""
    code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return str(code) if code else None


def is_lost(error: DBAPIError) -> bool:
    """Return whether the connection is gone: closed by the server (57P01…) or broken on the way."""
    state = sqlstate(error)
    return error.connection_invalidated or state is None or state.startswith(("08", "57P0"))


def reason(error: DBAPIError, password: str | None = None) -> str:
    """Return the first telling line of a driver's error, without ``password``."""
    diagnosis = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    text = str(diagnosis or error.orig).strip()
    line = re.sub(r"^connection to server .*? failed: ", "", text.splitlines()[0] if text else "no reason given")
    line = re.sub(r"^(FATAL|ERROR):\s*", "", line)
    return line.replace(password, "***") if password else line

"""PgBouncer as its admin console tells it: pools and who waits for them, what was done, databases, configuration.

The console speaks the simple protocol only and knows no SQL but SHOW, so a driver's bare connection is used. Columns
are taken by name: each version has more of them (https://www.pgbouncer.org/usage.html).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from dbtune.errors import ServerError, UsageError
from dbtune.server.connection import APPLICATION_NAME, MARKER, Target, parse_url, reason

CONSOLE = "pgbouncer"
"""The database that is the console."""

SETTINGS = (
    "default_pool_size",
    "max_client_conn",
    "max_db_connections",
    "max_user_connections",
    "pool_mode",
    "query_wait_timeout",
    "reserve_pool_size",
)
_CONNECT_SECONDS = 10
_MICROSECOND = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool: one database and one user. ``maxwait_s`` is how long the client in front has waited until now.

    ``size`` is the most connections that it opens to the server, None where the console does not tell.
    """

    database: str
    user: str
    mode: str | None
    cl_active: int
    cl_waiting: int
    sv_active: int
    sv_idle: int
    sv_other: int
    maxwait_s: float
    size: int | None

    @property
    def servers(self) -> int:
        """Connections to the server that it has now."""
        return self.sv_active + self.sv_idle + self.sv_other

    @property
    def name(self) -> str:
        return f"{self.user}@{self.database}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a database's clients did since PgBouncer began. ``assignments`` came with version 1.23."""

    transactions: int
    queries: int
    wait_s: float
    xact_s: float
    query_s: float
    assignments: int | None

    def since(self, earlier: Work) -> Work:
        """Return what was added; all of it where PgBouncer began anew."""
        if self.transactions < earlier.transactions or self.wait_s < earlier.wait_s:
            return self
        is_counted = self.assignments is not None and earlier.assignments is not None
        return Work(
            transactions=self.transactions - earlier.transactions,
            queries=self.queries - earlier.queries,
            wait_s=self.wait_s - earlier.wait_s,
            xact_s=self.xact_s - earlier.xact_s,
            query_s=self.query_s - earlier.query_s,
            assignments=(self.assignments or 0) - (earlier.assignments or 0) if is_counted else None,
        )

    @property
    def mean_wait_s(self) -> float | None:
        """Seconds that a client waited for a connection, on average; None where none was given out."""
        given = self.transactions if self.assignments is None else self.assignments
        return self.wait_s / given if given else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bouncer:
    """A PgBouncer at one moment; ``read_at`` is this machine's monotonic clock in seconds, ``settings`` are texts."""

    name: str
    version: str
    read_at: float
    pools: tuple[Pool, ...]
    work: Mapping[str, Work]
    settings: Mapping[str, str]
    clients: int

    def number(self, setting: str) -> int | None:
        """Return a setting that is a number; None where this version does not have it."""
        value = self.settings.get(setting, "")
        return int(value) if value.isdecimal() else None


class Console:
    """An open admin console."""

    def __init__(self, target: Target, connection: Any) -> None:
        self.target = target
        self._connection = connection

    def pools(self) -> tuple[Pool, ...]:
        """Return the pools but the console's own.

        :raises ServerError: PgBouncer is gone, or does not let this user.
        """
        sizes = {row["name"]: row.get("pool_size") for row in self._show("DATABASES")}
        return tuple(_pool(row, sizes) for row in self._show("POOLS") if row["database"] != CONSOLE)

    def read(self) -> Bouncer:
        """Return all of it.

        :raises ServerError: PgBouncer is gone, or does not let this user.
        """
        (version,) = self._show("VERSION")
        config = {row["key"]: row["value"] for row in self._show("CONFIG")}
        clients = next((row["items"] for row in self._show("LISTS") if row["list"] == "used_clients"), 0)
        pools = self.pools()
        work = {row["database"]: _work(row) for row in self._show("STATS") if row["database"] != CONSOLE}
        return Bouncer(
            name=str(self.target),
            version=re.sub(r"^PgBouncer\s+", "", str(next(iter(version.values())))),
            read_at=time.monotonic(),
            pools=pools,
            work=work,
            settings={key: str(config[key]) for key in SETTINGS if config.get(key) is not None},
            clients=int(clients),
        )

    def _show(self, what: str) -> list[dict[str, Any]]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(f"SHOW {what}")
                names = [column[0] for column in cursor.description]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except self._connection.Error as error:
            raise _translated(self.target, error) from None


def target(text: str) -> Target:
    """Return where a console is; a URL without a database means PgBouncer's own.

    :raises UsageError: it is not a URL of PostgreSQL.
    """
    url = parse_url(text, "--pgbouncer").set(drivername="postgresql+psycopg2")
    return Target(url if url.database else url.set(database=CONSOLE), "--pgbouncer")


@contextmanager
def opened(where: Target) -> Iterator[Console]:
    """Open a console for the block.

    :raises ServerError: PgBouncer is unreachable, or refuses.
    :raises UsageError: there is a database at that place.
    """
    dialect = create_engine(where.url).dialect
    positional, named = dialect.create_connect_args(where.url)
    named = {"application_name": APPLICATION_NAME, "connect_timeout": _CONNECT_SECONDS, **named}
    driver = dialect.import_dbapi()
    try:
        connection = driver.connect(*positional, **named)
    except driver.Error as error:
        raise _translated(where, error) from None
    try:
        connection.autocommit = True
        _check_is_console(where, connection)
        yield Console(where, connection)
    finally:
        connection.close()


def _check_is_console(where: Target, connection: Any) -> None:
    if "bouncer" in str(connection.info.parameter_status("server_version")):
        return
    raise UsageError(f"--pgbouncer: {where} is a database, not PgBouncer's console: end the URL with /{CONSOLE}")


def _translated(where: Target, error: Exception) -> ServerError:
    told = reason(DBAPIError(MARKER, None, error), where.url.password)
    hint = "; name the user in admin_users or stats_users" if "not allowed" in told else ""
    return ServerError(f"PgBouncer at {where}: {told}{hint}")


def _pool(row: Mapping[str, Any], sizes: Mapping[str, Any]) -> Pool:
    other = sum(int(row.get(name) or 0) for name in ("sv_used", "sv_tested", "sv_login", "sv_active_cancel"))
    size = sizes.get(row["database"])
    return Pool(
        database=row["database"],
        user=row["user"],
        mode=row.get("pool_mode"),
        cl_active=int(row["cl_active"]),
        cl_waiting=int(row["cl_waiting"]),
        sv_active=int(row["sv_active"]),
        sv_idle=int(row["sv_idle"]),
        sv_other=other,
        maxwait_s=int(row["maxwait"]) + int(row.get("maxwait_us") or 0) * _MICROSECOND,
        size=None if size is None else int(size),
    )


def _work(row: Mapping[str, Any]) -> Work:
    assignments = row.get("total_server_assignment_count")
    return Work(
        transactions=int(row["total_xact_count"]),
        queries=int(row["total_query_count"]),
        wait_s=int(row["total_wait_time"]) * _MICROSECOND,
        xact_s=int(row["total_xact_time"]) * _MICROSECOND,
        query_s=int(row["total_query_time"]) * _MICROSECOND,
        assignments=None if assignments is None else int(assignments),
    )

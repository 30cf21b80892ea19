"""``dbtune party serve``: the reference service on the web, until it is told to stop."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dbtune.cli import options, output
from dbtune.errors import ServerError, UsageError
from dbtune.party.web.servers import Kind, Server
from dbtune.party.web.settings import Caching, Errors, LogLevel, from_environment

if TYPE_CHECKING:
    from dbtune.party.web.settings import Settings
    from dbtune.server.connection import Target

Number = int | None


def serve(
    kind: Annotated[Kind, typer.Option("--server", help="Flask's own server, or gunicorn's kinds of workers.")] = (
        Kind.THREADED
    ),
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8080,
    backlog: Annotated[int, typer.Option(help="Connections that may wait to be accepted.")] = 128,
    workers: Annotated[int, typer.Option(help="gunicorn: processes.")] = 1,
    threads: Annotated[int, typer.Option(help="gthread: threads of each.")] = 1,
    worker_connections: Annotated[int, typer.Option(help="gevent: connections of each.")] = 1000,
    timeout: Annotated[int, typer.Option(help="gunicorn: seconds until a silent worker is killed.")] = 30,
    pool_size: Annotated[Number, typer.Option(help="Of each process; else $DB_POOL_SIZE, else 5.")] = None,
    max_overflow: Annotated[Number, typer.Option(help="Else $DB_MAX_OVERFLOW, else 10.")] = None,
    pool_recycle: Annotated[Number, typer.Option(help="Seconds; else $DB_POOL_RECYCLE, else -1: never.")] = None,
    pool_timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait for a connection; else $DB_POOL_TIMEOUT, else 30.")
    ] = None,
    errors: Annotated[
        Errors, typer.Option(help="All failures are 500, as in 2019, or 503 with Retry-After where waiting helps.")
    ] = Errors.AS_IN_2019,
    caching: Annotated[
        Caching, typer.Option(help="path: SimpleCache keyed by path alone as in 2019, WRONG where a query matters.")
    ] = Caching.OFF,
    cache_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Of Redis or Memcached; else $CACHE_URL.", show_default=False)
    ] = None,
    cache_seconds: Annotated[int, typer.Option(help="How long an answer is kept.")] = 300,
    cache_entries: Annotated[int, typer.Option(help="How many a SimpleCache keeps.")] = 500,
    hold: Annotated[
        float, typer.Option(help="EMULATED: seconds that each request keeps its connection busy for nothing.")
    ] = 0.0,
    hold_exponential: Annotated[
        bool, typer.Option("--hold-exponential", help="Such times are exponentially distributed about --hold.")
    ] = False,
    log_level: Annotated[
        LogLevel | None, typer.Option(help="debug logs each request, and the pool as it finds it.", show_default=False)
    ] = None,
    address_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the URL there too.", show_default=False)
    ] = None,
    url: options.Url = None,
    quiet: options.Quiet = False,
) -> None:
    """Run the party service until Ctrl-C, then print how far its requests came.

    It logs to stderr, one JSON object a line. Users and passwords are admin and secret, or $SECURITY_USER_NAME and
    $SECURITY_USER_PASSWORD. GET /funnel counts requests by stage, GET /info tells the settings.

    \b
    Example: dbtune party serve --server gthread --workers 2 --threads 8 --errors good
    """
    from dbtune.party.web import serving
    from dbtune.render import party_funnel
    from dbtune.server.connection import resolve

    server = Server(
        kind=kind,
        host=host,
        port=port,
        backlog=backlog,
        workers=workers,
        threads=threads,
        worker_connections=worker_connections,
        timeout_s=timeout,
    )
    target = resolve(url, output.note(quiet))
    settings = from_environment(
        os.environ,
        url=target.url.render_as_string(hide_password=False),
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_recycle=pool_recycle,
        pool_timeout=pool_timeout,
        errors=errors,
        caching=caching,
        cache_url=cache_url,
        cache_seconds=cache_seconds,
        cache_entries=cache_entries,
        hold_s=hold,
        hold_exponential=hold_exponential,
        log_level=log_level,
    )
    output.check_writable(address_file)
    serving.check(settings, server)
    for warning in _look(target, settings, server):
        if not quiet:
            typer.echo(f"dbtune: {warning}", err=True)
    with _ended_by_sigterm(), serving.start(settings, server, log=sys.stderr.buffer) as running:
        try:
            typer.echo(f"{running.address}/party-api/v1  ({server}; {target})")
            sys.stdout.flush()
            _write(address_file, running.address)
            status = running.join()
        finally:
            funnel = running.stop()
            if address_file is not None:
                address_file.unlink(missing_ok=True)
            if not quiet:
                typer.echo(party_funnel.table(funnel))
    raise ServerError(f"the service ended by itself ({_ending(status)}); its log may tell why")


def _look(target: Target, settings: Settings, server: Server) -> Iterator[str]:
    """Yield what should be known before the start.

    :raises UsageError: there are no data.
    :raises ServerError: the server is unreachable.
    """
    from sqlalchemy import text

    from dbtune.party import data
    from dbtune.party.models import SCHEMA
    from dbtune.server.connection import MARKER, connect, translated

    with connect(target) as connection, translated(target):
        found = data.contents(connection)
        if found is None or found.empty:
            raise UsageError(f"{SCHEMA} holds no data to serve; load some: dbtune party load")
        row: Any = connection.execute(
            text(
                f"{MARKER} SELECT rolsuper, pg_catalog.current_setting('max_connections')::int AS most,"
                " pg_catalog.current_setting('superuser_reserved_connections')::int"
                " + coalesce(pg_catalog.current_setting('reserved_connections', true)::int, 0) AS reserved"
                " FROM pg_catalog.pg_roles WHERE rolname = current_user"
            )
        ).one()
    if row.rolsuper:
        yield "it connects as a superuser, who may take the reserved connections as well"
    usable = row.most - (0 if row.rolsuper else row.reserved)
    if settings.cap is None:
        yield f"the pool has no limit; the server takes {usable} connections in all"
    elif settings.cap * server.workers > usable:
        yield (
            f"it may ask for {server.workers} × {settings.cap} = {server.workers * settings.cap} connections"
            f" of {usable} that the server has"
        )


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block in good order, as Ctrl-C does."""

    def hear(number: int, frame: Any) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _write(path: Path | None, address: str) -> None:
    if path is None:
        return
    try:
        path.write_text(f"{address}\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another --address-file") from None


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"

"""``dbtune server``: the embedded PostgreSQL."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import options, output
from dbtune.errors import Unsafe

if TYPE_CHECKING:
    from dbtune.server.embedded import EmbeddedServer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The embedded PostgreSQL: start, stop, status…")


def _server(data_dir: options.DataDir, pg_bindir: options.PgBindir) -> EmbeddedServer:
    from dbtune.server import binaries
    from dbtune.server.embedded import EmbeddedServer

    programs = binaries.at(pg_bindir.expanduser().absolute()) if pg_bindir else None
    return EmbeddedServer(data_dir.expanduser() if data_dir else None, programs)


@app.command()
def start(data_dir: options.DataDir = None, pg_bindir: options.PgBindir = None, quiet: options.Quiet = False) -> None:
    """Start the embedded server, making it first if there is none, and print where it is.

    \b
    Example: dbtune server start
    """
    server = _server(data_dir, pg_bindir)
    started = server.start(output.note(quiet))
    if not quiet:
        typer.echo(f"PostgreSQL {server.programs.version} {'started' if started else 'already runs'}: {server.url()}")


@app.command()
def stop(data_dir: options.DataDir = None, pg_bindir: options.PgBindir = None, quiet: options.Quiet = False) -> None:
    """Stop the embedded server; its data stay.

    \b
    Example: dbtune server stop
    """
    stopped = _server(data_dir, pg_bindir).stop()
    if not quiet:
        typer.echo("stopped" if stopped else "not running")


@app.command()
def status(data_dir: options.DataDir = None, pg_bindir: options.PgBindir = None) -> None:
    """Print whether the embedded server runs and where its data, socket and log are; exit 3 if it does not run.

    \b
    Example: dbtune server status
    """
    server = _server(data_dir, pg_bindir)
    found = server.status()
    state = "running" if found.ready else "starting or stopping" if found.pid else "stopped"
    state = state if found.initialised else "not made yet; dbtune server start makes it"
    typer.echo(f"PostgreSQL {server.programs.version}: {state}")
    typer.echo(f"  data    {server.data}")
    typer.echo(f"  log     {server.log}")
    if found.pid:
        typer.echo(f"  pid     {found.pid}")
        typer.echo(f"  socket  {server.url()}")
        typer.echo(f"  tcp     {server.url(tcp=True)}")
    else:
        raise typer.Exit(3)


@app.command()
def url(
    data_dir: options.DataDir = None,
    pg_bindir: options.PgBindir = None,
    tcp: Annotated[bool, typer.Option("--tcp", help="By TCP on the loopback address, not by Unix socket.")] = False,
    driver: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name a SQLAlchemy driver in it, such as psycopg2.")
    ] = None,
) -> None:
    """Print the running server's URL, for psql, dbtune --url or (with --driver) SQLAlchemy; it holds no password.

    \b
    Example: psql "$(dbtune server url)"
    """
    text = _server(data_dir, pg_bindir).url(tcp=tcp)
    typer.echo(text.replace("postgresql:", f"postgresql+{driver}:", 1) if driver else text)


@app.command()
def reset(
    data_dir: options.DataDir = None,
    pg_bindir: options.PgBindir = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop the embedded server and remove it with all its data.

    \b
    Example: dbtune server reset --yes
    """
    server = _server(data_dir, pg_bindir)
    if server.home.exists() and not yes:
        if not os.isatty(0):
            raise Unsafe(f"this removes {server.home} with all its data; say --yes if you mean it")
        if not typer.confirm(f"Remove {server.home} with all its data?"):
            raise Unsafe("nothing removed")
    typer.echo(f"removed {server.home}" if server.reset() else "there is no embedded server")

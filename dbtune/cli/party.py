"""``dbtune party``: the reference service, its data, its captured queries and itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dbtune.cli import options, output, party_serve

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The reference service: its data, its queries, itself."
)


@app.command()
def load(
    businesses: Annotated[
        int, typer.Option(min=10, max=200_000, help="How many businesses; all else is in proportion.")
    ] = 10_000,
    versions: Annotated[
        float, typer.Option(min=1, max=50, help="Mean number of attribute versions of a business.")
    ] = 1.8,
    seed: Annotated[int, typer.Option(help="The same seed gives the same rows.")] = 2019,
    replace: Annotated[bool, typer.Option("--replace", help="Remove what the tables hold before.")] = False,
    url: options.Url = None,
    quiet: options.Quiet = False,
) -> None:
    """Make the party tables, as they were in January 2019, and fill them with invented data.

    The tables come without any index that would help; alembic upgrade head builds those.

    \b
    Example: dbtune party load --versions 9 --replace
    """
    from dbtune.party import data
    from dbtune.party.rows import Scale
    from dbtune.server.connection import connect, resolve, translated

    scale = Scale(businesses=businesses, versions=versions, seed=seed)
    target = resolve(url, output.note(quiet))
    with (
        connect(target) as connection,
        translated(target),
        output.progress("loading", data.STEPS, quiet) as progress,
    ):
        loaded = data.load(connection, scale, replace=replace, progress=progress)
    if quiet:
        return
    if loaded.already:
        typer.echo(f"already loaded: {target} holds these data ({scale}); nothing done")
        return
    tables = ", ".join(f"{count:,} {table}" for table, count in loaded.counts.items())
    typer.echo(f"loaded {tables}")
    typer.echo(f"into {target} in {loaded.seconds:.1f} s, {loaded.size_bytes / 1e6:.0f} MB with indexes")


@app.command()
def capture(
    query_dir: options.QueryDir = Path("queries"), url: options.Url = None, quiet: options.Quiet = False
) -> None:
    """Run every route of the service on the loaded data and write what it sends as query files.

    What the routes write is rolled back. Files that an earlier capture wrote and this one does not are removed;
    files of your own are left alone.

    \b
    Example: dbtune party capture --query-dir queries
    """
    from dbtune.party import capture as capturing
    from dbtune.server import interrupt
    from dbtune.server.connection import connect, resolve, translated

    target = resolve(url, output.note(quiet))
    with connect(target) as connection, translated(target), interrupt.cancelling():
        requests = capturing.prepare(connection)
        with output.progress("capturing", len(requests), quiet) as progress:
            queries = capturing.capture(connection, requests, progress)
    written = capturing.write(queries, query_dir)
    if not quiet:
        routes = len({request.route for request in requests})
        typer.echo(f"{len(queries)} statements of {len(requests)} requests to {routes} routes are in {query_dir}")
        typer.echo(f"{written.changed} files written, {written.unchanged} unchanged, {written.removed} removed")


app.command()(party_serve.serve)

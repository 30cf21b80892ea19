"""``dbtune size``: which pool_size, max_overflow and max_connections belong together, and what they will do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import duration, options, output, size_check
from dbtune.errors import UsageError

if TYPE_CHECKING:
    from dbtune.pool.curve import Curve

_PLOTTED, _LEAST_PLOTTED = 100, 20

app = typer.Typer(invoke_without_command=True)
app.command("check")(size_check.check)


@app.callback()
def size(
    ctx: typer.Context,
    rate: Annotated[
        float | None, typer.Option("--rate", help="Requests a second that take a connection.", show_default=False)
    ] = None,
    hold: Annotated[
        str | None,
        typer.Option("--hold", metavar="TIME", help="How long each holds it, such as 30ms.", show_default=False),
    ] = None,
    curve: Annotated[
        str | None,
        typer.Option(
            "--curve",
            metavar="N:RATE,…",
            help="What n busy connections do in a second, such as 1:10,2:19,4:33; instead of --hold.",
            show_default=False,
        ),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Measure that with the captured queries, in about two minutes.")
    ] = False,
    pool_size: Annotated[int, typer.Option("--pool-size", help="Today's pool_size.")] = 5,
    max_overflow: Annotated[int, typer.Option("--max-overflow", help="Today's max_overflow.")] = 10,
    pool_timeout: Annotated[str, typer.Option("--pool-timeout", metavar="TIME", help="Today's pool_timeout.")] = "30s",
    processes: Annotated[
        int, typer.Option("--processes", help="Processes with such a pool, of all pods during a deploy.")
    ] = 1,
    max_connections: Annotated[
        int | None,
        typer.Option("--max-connections", help="The server's; else what a named server says.", show_default=False),
    ] = None,
    reserved: Annotated[
        int | None,
        typer.Option(
            "--reserved",
            help="Connections of max_connections that are not for these processes; else what the server says, or 3.",
            show_default=False,
        ),
    ] = None,
    variation: Annotated[
        float | None,
        typer.Option(
            "--variation",
            help="How uneven holds are: standard deviation over mean; else what --sweep finds, or 1, exponential.",
            show_default=False,
        ),
    ] = None,
    burstiness: Annotated[
        float, typer.Option("--burstiness", help="The same of the times between requests; 1: at random.")
    ] = 1.0,
    cores: Annotated[
        int | None, typer.Option("--cores", help="The server's, to show rules of thumb as well.", show_default=False)
    ] = None,
    success: Annotated[float, typer.Option("--success", help="The share of requests that must succeed.")] = 0.999,
    wait: Annotated[
        str, typer.Option("--wait", metavar="TIME", help="What 95 % of the requests may wait for a connection.")
    ] = "50ms",
    interval: Annotated[
        str, typer.Option("--interval", metavar="TIME", help="How long to measure a server's transactions.")
    ] = "10s",
    fleet: Annotated[
        Path | None,
        typer.Option(
            "--fleet",
            metavar="PATH",
            help="A project's folder, or a fleet file: all services on one server.",
            show_default=False,
        ),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option("--service", metavar="NAME", help="The one of them that --rate and --hold are of."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as one HTML page.", show_default=False)
    ] = None,
    query_dir: options.QueryDir = Path("queries"),
    url: options.Url = None,
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Predict what a pool does, and recommend pool_size and max_overflow that fit the load and the server.

    With --rate and --hold no server is needed. Without, the transactions of a server are measured. With --fleet all
    services that share a server are sized together.

    \b
    Example: dbtune size --rate 36 --hold 500ms --pool-timeout 2s --max-connections 100
    """
    if ctx.invoked_subcommand is not None:
        return
    from dbtune.cli.size_asking import Found, ask
    from dbtune.pool.asked import Asked
    from dbtune.pool.prediction import Demand, Settings, predict
    from dbtune.pool.recommendation import Goal, every_size, recommend
    from dbtune.render import document
    from dbtune.render import size as render

    output.check_writable(output_file)
    output.check_writable(html)
    if not 0 < success <= 1:
        raise UsageError("--success is a share from 0 to 1, such as 0.999")
    if hold is not None and curve is not None:
        raise UsageError("give either --hold or --curve")
    goal = Goal(success=success, p95=duration.milliseconds(wait) / 1000)
    if fleet is not None:
        from dbtune.cli import size_fleet

        _check_fleet(ctx, (*size_fleet.FROM_FLEET, *size_fleet.NOT_WITH_FLEET))
        held = None if hold is None else duration.milliseconds(hold)
        by_hand = size_fleet.law(held, _curve(None, curve) if curve else None, rate, variation or 1.0, burstiness)
        size_fleet.run(fleet, service, by_hand, goal, cores, max_connections, url, format, output_file, quiet=quiet)
        return
    if service is not None:
        raise UsageError("--service is one of a fleet: give --fleet")
    if sweep and (hold is not None or curve is not None):
        raise UsageError("give --hold, --curve or --sweep, one of them")
    timeout = duration.milliseconds(pool_timeout) / 1000
    found = Found(sources={})
    if rate is None or sweep or (hold is None and curve is None):
        found = ask(url, rate, query_dir, duration.milliseconds(interval) / 1000, sweep=sweep, quiet=quiet)
    law = found.curve or _curve(hold, curve)
    demand = Demand(
        rate=rate if rate is not None else found.rate,
        curve=law,
        variation=variation if variation is not None else found.variation,
        burstiness=burstiness,
    )
    most = max_connections or found.max_connections
    held_back = reserved if reserved is not None else found.reserved
    limit = None if most is None else most - held_back
    today = Settings(size=pool_size, overflow=max_overflow, timeout=timeout, processes=processes, limit=limit)
    asked = Asked(demand=demand, sources=found.sources, doubts=found.doubts, causes=found.causes)
    given = predict(today, demand)
    advice = recommend(demand, today, goal, today, cores)
    largest = max(today.cap, 2 * advice.best.settings.cap if advice.best is not None else 0, _LEAST_PLOTTED)
    sizes = every_size(demand, today, min(largest, _PLOTTED))
    if html is not None:
        from dbtune.render.html import size as web

        output.write(web.page(asked, advice, sizes), html)
    if format is options.Format.JSON:
        text = document.to_json(render.document(asked, given, advice))
    else:
        width = 200 if output_file is not None else output.width()
        text = render.screen(asked, advice, sizes, width, markdown=format is options.Format.MARKDOWN)
    output.write(text, output_file)


def _curve(hold: str | None, points: str | None) -> Curve:
    from dbtune.pool import asked
    from dbtune.pool.curve import Curve

    if points is not None:
        return asked.curve(points)
    assert hold is not None
    return Curve.straight(duration.milliseconds(hold) / 1000)


def _check_fleet(ctx: typer.Context, names: tuple[str, ...]) -> None:
    """Refuse what the fleet tells, or what is of one server only."""
    if given := options.given(ctx, *names):
        raise UsageError(f"{given[0]} does not go with --fleet; write what differs into the fleet file")

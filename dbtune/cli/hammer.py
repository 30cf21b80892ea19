"""``dbtune hammer``: requests to a service at a set rate, and what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dbtune.cli import duration, options, output
from dbtune.errors import UsageError
from dbtune.load import PASSWORD_VARIABLE
from dbtune.load.exporting import Tool


def hammer(
    ctx: typer.Context,
    target: Annotated[
        list[str],
        typer.Argument(
            metavar="URL|FILE…",
            help="Where the service is, such as http://localhost:8080/api; with --merge or --jtl: files.",
        ),
    ],
    routes: Annotated[
        Path | None, typer.Option("--routes", metavar="FILE", help="Routes and parameters, JSON.", show_default=False)
    ] = None,
    get: Annotated[
        list[str] | None, typer.Option("--get", metavar="PATH", help="A path to GET; may be given more than once.")
    ] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Requests a second.", show_default=False)] = None,
    during: Annotated[str, typer.Option("--for", metavar="TIME", help="How long; of --steps: each.")] = "10s",
    poisson: Annotated[bool, typer.Option("--poisson", help="At random times, not evenly.")] = False,
    ramp: Annotated[
        str | None, typer.Option("--ramp", metavar="A:B", help="From A to B requests a second.", show_default=False)
    ] = None,
    steps: Annotated[
        str | None, typer.Option("--steps", metavar="A,B,…", help="One rate after the other.", show_default=False)
    ] = None,
    sets: Annotated[
        str | None,
        typer.Option(
            "--sets",
            metavar="COUNTS:OFFSETS",
            help="Every count at every offset in ms for each route, as 100,200:50,1000; or report: those of 2019.",
            show_default=False,
        ),
    ] = None,
    isolated: Annotated[bool, typer.Option("--isolated", help="One set after the other, not all together.")] = False,
    faster: Annotated[float, typer.Option("--faster", help="Divide the offsets of --sets.")] = 1.0,
    replay: Annotated[
        Path | None,
        typer.Option(
            "--replay",
            metavar="FILE",
            help="Ask again what an access log, JSON lines or a captured stream say was asked, at its times.",
            show_default=False,
        ),
    ] = None,
    speed: Annotated[float, typer.Option("--speed", help="How many times as fast as --replay's file.")] = 1.0,
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="Give up on a request after.")] = "60s",
    new_connections: Annotated[
        bool, typer.Option("--new-connections", help="A connection for each request; else they are kept.")
    ] = False,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help=f"Basic authentication; the password is ${PASSWORD_VARIABLE}."),
    ] = None,
    header: Annotated[list[str] | None, typer.Option("--header", metavar="NAME:VALUE", help="Sent with each.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed sends the same.")] = 1,
    raw: Annotated[
        Path | None, typer.Option("--raw", metavar="FILE", help="Keep every request, JSON lines.", show_default=False)
    ] = None,
    shard: Annotated[str, typer.Option("--shard", metavar="K/M", help="The share of one machine of several.")] = "1/1",
    start_at: Annotated[
        float | None, typer.Option("--start-at", metavar="UNIX", help="When to begin, the same on all machines.")
    ] = None,
    processes: Annotated[int, typer.Option("--processes", min=1, max=64, help="Share the load among processes.")] = 1,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="ADDRESS", help="Share the load among a Dask scheduler's workers."),
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Send nothing: read the --raw files of the machines of one run.")
    ] = False,
    jtl: Annotated[bool, typer.Option("--jtl", help="Send nothing: read JMeter's results, CSV or XML.")] = False,
    export: Annotated[
        Tool | None,
        typer.Option("--export", help="Send nothing: write the same load as another tool's plan.", show_default=False),
    ] = None,
    fail_under: Annotated[
        float | None, typer.Option("--fail-under", help="Exit with 1 below this share of success.", show_default=False)
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with graphs.", show_default=False)
    ] = None,
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Send requests at a set rate, however slow the answers are, and tell what came of them.

    Exits with 1 where the generator fell behind: such a run gives no verdict.

    \b
    Example: dbtune hammer http://localhost:8080 --get /health --rate 50 --for 30s
    """
    from importlib.util import find_spec

    if not (find_spec("aiohttp") and find_spec("uvloop")):
        raise UsageError("the hammer needs aiohttp and uvloop: pip install 'dbtune[load]'")
    from dbtune.cli import hammer_asking, hammered, hammering
    from dbtune.load.hammer import Options

    hammer_asking.check_together(ctx)
    for path in (output_file, html, raw):
        output.check_writable(path)
    if merge:
        done = hammered.merged([Path(each) for each in target], quiet)
    elif jtl:
        done = hammered.jmeter([Path(each) for each in target], quiet)
    else:
        if replay is not None:
            chosen, planned, words = hammer_asking.replay(replay, routes, speed, quiet)
        else:
            chosen = hammer_asking.routes(routes, get)
            planned, words = hammer_asking.schedule(
                rate, during, ramp, steps, sets, len(chosen), seed, faster, poisson, isolated
            )
        given = Options(
            timeout=duration.milliseconds(timeout) / 1000,
            keep_alive=not new_connections,
            user=hammer_asking.user(user),
            headers=hammer_asking.headers(header),
            seed=seed,
            start_at=start_at,
        )
        run = hammering.Run(
            target=hammer_asking.target(target),
            routes=chosen,
            schedule=planned,
            words=words,
            options=given,
            shard=shard,
        )
        if export is not None:
            from dbtune.cli import hammer_export

            hammer_export.export(run, export, output_file, quiet)
            return
        if cluster is not None:
            from dbtune.cli import hammer_cluster

            done = hammer_cluster.send(run, raw, cluster, processes, quiet)
        else:
            done = hammering.send(run, raw, processes, quiet)
    hammered.tell(done, format, output_file, html)
    hammered.finish(done, fail_under)

"""``dbtune hammer``: requests to a service at a set rate, and what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import duration, options, output
from dbtune.errors import UsageError

if TYPE_CHECKING:
    from dbtune.load.route import Route
    from dbtune.load.schedule import Schedule

PASSWORD_VARIABLE = "DBTUNE_HAMMER_PASSWORD"


def hammer(
    target: Annotated[str, typer.Argument(help="Where the service is, such as http://localhost:8080/api.")],
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
    from dbtune.cli import hammering
    from dbtune.load.hammer import Options

    for path in (output_file, html, raw):
        output.check_writable(path)
    chosen = _routes(routes, get)
    planned, words = _schedule(rate, during, ramp, steps, sets, len(chosen), seed, faster, poisson, isolated)
    given = Options(
        timeout=duration.milliseconds(timeout) / 1000,
        keep_alive=not new_connections,
        user=_user(user),
        headers=_headers(header),
        seed=seed,
        start_at=start_at,
    )
    run = hammering.Run(
        target=_target(target), routes=chosen, schedule=planned, words=words, options=given, shard=shard
    )
    done = hammering.send(run, raw, processes, quiet)
    hammering.tell(done, format, output_file, html)
    if done.interrupted:
        raise typer.Exit(130)
    found = done.summary
    if found.no_verdict is not None or (fail_under is not None and not found.all.success >= fail_under):
        raise typer.Exit(1)


def _routes(file: Path | None, paths: list[str] | None) -> tuple[Route, ...]:
    from dbtune.load import route

    found = route.load(file) if file is not None else ()
    found += tuple(route.plain(path) for path in paths or ())
    if not found:
        raise UsageError("nothing to ask: give --get PATH, or --routes FILE")
    return found


def _schedule(
    rate: float | None,
    during: str,
    ramp: str | None,
    steps: str | None,
    sets: str | None,
    routes: int,
    seed: int,
    faster: float,
    poisson: bool,
    isolated: bool,
) -> tuple[Schedule, str]:
    """Return the schedule, and it in words."""
    from dbtune.load import schedule

    if sum(each is not None for each in (rate, ramp, steps, sets)) != 1:
        raise UsageError("give --rate, --ramp, --steps or --sets, one of them")
    seconds = duration.milliseconds(during) / 1000
    if rate is not None:
        make = schedule.poisson if poisson else schedule.constant
        return make(rate, seconds, routes, seed), f"{rate:g}/s for {during}{', at random' if poisson else ''}"
    if ramp is not None:
        first, last = _numbers("--ramp", ramp, ":", 2)
        return schedule.ramp(first, last, seconds, routes, seed), f"{first:g} to {last:g}/s in {during}"
    if steps is not None:
        return schedule.steps(_numbers("--steps", steps, ","), seconds, routes, seed), f"{steps}/s, {during} each"
    assert sets is not None
    if sets == "report":
        counts, offsets = list(schedule.REPORT_COUNTS), [float(each) for each in schedule.REPORT_OFFSETS_MS]
    else:
        left, colon, right = sets.partition(":")
        if not colon:
            raise UsageError(f"--sets {sets!r}: write counts and offsets in ms, such as 100,200:50,1000, or report")
        counts = [int(each) for each in _numbers("--sets", left, ",")]
        offsets = _numbers("--sets", right, ",")
    made = schedule.sets(counts, offsets, routes, overlapped=not isolated, faster=faster, seed=seed)
    pace = "" if faster == 1 else f", {faster:g} times as fast"
    return made, f"{len(made.cells)} sets for each route, {'one after the other' if isolated else 'all together'}{pace}"


def _numbers(option: str, text: str, between: str, count: int | None = None) -> list[float]:
    try:
        found = [float(each) for each in text.split(between)]
    except ValueError:
        found = []
    if not found or (count is not None and len(found) != count):
        raise UsageError(f"{option} {text!r}: write numbers with {between!r} between them")
    return found


def _target(text: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("the target is no URL; write http://host:port/path")
    if parts.password is not None:
        raise UsageError(f"a URL with a password shows in process lists: use --user and ${PASSWORD_VARIABLE}")
    return text


def _user(name: str | None) -> tuple[str, str] | None:
    import os

    if name is None:
        return None
    if (password := os.environ.get(PASSWORD_VARIABLE)) is None:
        raise UsageError(f"--user {name}: set its password in ${PASSWORD_VARIABLE}")
    return name, password


def _headers(given: list[str] | None) -> dict[str, str]:
    found = {}
    for each in given or ():
        name, colon, value = each.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"--header {name!r}: write NAME:VALUE")
        found[name.strip()] = value.strip()
    return found

"""What ``dbtune hammer`` is asked for, read from its options: target, routes, schedule, user and headers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dbtune.cli import duration, options
from dbtune.errors import UsageError
from dbtune.load import PASSWORD_VARIABLE

if TYPE_CHECKING:
    import typer

    from dbtune.load.route import Route
    from dbtune.load.schedule import Schedule


_WITHOUT_REPLAY = ("get", "rate", "during", "poisson", "ramp", "steps", "sets", "isolated", "faster")


def check_together(ctx: typer.Context) -> None:
    """Refuse options that would have no effect beside the others.

    :raises UsageError: there is one.
    """
    if options.given(ctx, "replay"):
        for option in options.given(ctx, *_WITHOUT_REPLAY):
            raise UsageError(f"{option} does not go with --replay, which has its own requests and times")
    for option, needed in (("speed", "replay"), ("isolated", "sets"), ("faster", "sets"), ("poisson", "rate")):
        if (written := options.given(ctx, option)) and not options.given(ctx, needed):
            raise UsageError(f"{written[0]} is of --{needed} only")
    if options.given(ctx, "sets") and (written := options.given(ctx, "during")):
        raise UsageError(f"{written[0]} does not go with --sets, which take as long as their offsets say")


def routes(file: Path | None, paths: list[str] | None) -> tuple[Route, ...]:
    """Return what is asked.

    :raises UsageError: nothing is, or a file cannot be used.
    """
    from dbtune.load import route

    found = route.load(file) if file is not None else ()
    found += tuple(route.plain(path) for path in paths or ())
    if not found:
        raise UsageError("nothing to ask: give --get PATH, or --routes FILE")
    return found


def schedule(
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
    """Return the schedule, and it in words.

    :raises UsageError: there is none, more than one, or it cannot be read.
    """
    from dbtune.load import schedule

    if sum(each is not None for each in (rate, ramp, steps, sets)) != 1:
        raise UsageError("give --rate, --ramp, --steps, --sets or --replay, one of them")
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


def replay(file: Path, routes: Path | None, speed: float, quiet: bool) -> tuple[tuple[Route, ...], Schedule, str]:
    """Return what was asked before and when, and it in words; what is left out is said on stderr.

    :raises UsageError: the file cannot be used.
    """
    import typer

    from dbtune.load import replay, route

    found = replay.load(file, route.load(routes) if routes is not None else (), speed=speed)
    if not quiet:
        for note in found.notes:
            typer.echo(f"dbtune: {file}: {note}", err=True)
    words = f"{file.name} again" + ("" if speed == 1 else f", {speed:g} times as fast")
    return found.routes, found.schedule, words


def _numbers(option: str, text: str, between: str, count: int | None = None) -> list[float]:
    try:
        found = [float(each) for each in text.split(between)]
    except ValueError:
        found = []
    if not found or (count is not None and len(found) != count):
        raise UsageError(f"{option} {text!r}: write numbers with {between!r} between them")
    return found


def target(given: list[str]) -> str:
    """Return the URL of the service.

    :raises UsageError: it is none, there are several, or it has a password.
    """
    from urllib.parse import urlsplit

    if len(given) != 1:
        raise UsageError("give one URL; only --merge reads several files")
    (text,) = given
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("the target is no URL; write http://host:port/path")
    if parts.password is not None:
        raise UsageError(f"a URL with a password shows in process lists: use --user and ${PASSWORD_VARIABLE}")
    return text


def user(name: str | None) -> tuple[str, str] | None:
    """Return the name and the password of basic authentication.

    :raises UsageError: there is no password.
    """
    import os

    if name is None:
        return None
    if (password := os.environ.get(PASSWORD_VARIABLE)) is None:
        raise UsageError(f"--user {name}: set its password in ${PASSWORD_VARIABLE}")
    return name, password


def headers(given: list[str] | None) -> dict[str, str]:
    """Return the headers of all requests.

    :raises UsageError: one has no name or no colon.
    """
    found = {}
    for each in given or ():
        name, colon, value = each.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"--header {name!r}: write NAME:VALUE")
        found[name.strip()] = value.strip()
    return found

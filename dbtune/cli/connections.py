"""``dbtune connections``: who holds connections, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import duration, options, output
from dbtune.errors import ServerError, UsageError

if TYPE_CHECKING:
    from dbtune.pool.occupancy.judging import Report
    from dbtune.server.connection import Target
    from dbtune.workload.capture.log.gathered import Gathered

_FULL = ("too many clients", "connection slots are reserved", "too many connections for")
_WATCH_SECONDS = 2.0


class Threshold(StrEnum):
    """The severity from which findings make the command fail."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    NEVER = "never"


def connections(
    interval: Annotated[
        str | None,
        typer.Option(
            "--interval", metavar="TIME", help="Watch that long for rates, hold times and waits, such as 30s."
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, each --interval (2s) anew, until Ctrl-C; also when the server goes.")
    ] = False,
    pgbouncer: Annotated[
        str | None,
        typer.Option(
            "--pgbouncer", metavar="URL", help="PgBouncer's admin console, to ask it as well.", show_default=False
        ),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option("--log", metavar="FILE", help="A log of the server or the application; may be repeated."),
    ] = None,
    fail_on: Annotated[
        Threshold, typer.Option("--fail-on", help="Exit 1 on a finding of this severity or worse.")
    ] = Threshold.NEVER,
    url: options.Url = None,
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Show who has connections and what they do, the limits, who blocks whom, and what is wrong with it.

    One look takes some milliseconds of the server. With --interval it samples the sessions one to ten times a second.

    \b
    Example: dbtune connections --interval 30s --log app.log
             dbtune connections --watch
    """
    from dbtune.server import connection as server
    from dbtune.server import pgbouncer as bouncer

    seconds = _seconds(interval)
    if watch and (output_file is not None or fail_on is not Threshold.NEVER):
        raise UsageError("--watch goes on until Ctrl-C: leave out --output and --fail-on")
    output.check_writable(output_file)
    pooler = None if pgbouncer is None else bouncer.target(pgbouncer)
    told = None if not log else _told(log, quiet)
    target = server.resolve(url, output.note(quiet))
    if watch:
        from dbtune.cli import connections_watch
        from dbtune.pool.occupancy.judging import judge

        connections_watch.run(target, pooler, seconds or _WATCH_SECONDS, format, lambda seen: judge(seen, told))
        return
    report = _report(target, pooler, seconds, told, quiet)
    output.write(_text(report, format, output_file), output_file)
    if report.situation.bouncer_lost is not None:
        raise ServerError(report.situation.bouncer_lost)
    if report.worst is not None and fail_on is not Threshold.NEVER and report.worst.word in _from(fail_on):
        raise typer.Exit(1)


def _seconds(interval: str | None) -> float | None:
    if interval is None:
        return None
    seconds = duration.milliseconds(interval) / 1000
    if not seconds:
        raise UsageError("--interval must be longer than nothing; leave it out for one look")
    return seconds


def _from(threshold: Threshold) -> list[str]:
    """Return the severities from this one on, in words."""
    words = [each.value for each in Threshold if each is not Threshold.NEVER]
    return words[words.index(threshold.value) :]


def _report(target: Target, pooler: Target | None, seconds: float | None, told: Gathered | None, quiet: bool) -> Report:
    from dbtune.pool.occupancy.judging import judge
    from dbtune.server import connection as server
    from dbtune.server import situation
    from dbtune.server.interrupt import cancelling

    with ExitStack() as opened:
        try:
            connection = opened.enter_context(server.connect(target))
        except ServerError as error:
            raise full(error) from None
        opened.enter_context(server.translated(target))
        opened.enter_context(cancelling())
        tell = opened.enter_context(_watching(seconds, quiet))
        return judge(situation.read(connection, target, seconds, pooler, tell), told)


def full(error: ServerError) -> ServerError:
    """Return the error, with who can still connect where all connections are taken."""
    if not any(words in str(error) for words in _FULL):
        return error
    return ServerError(
        f"{error}; connect as a superuser, for whom superuser_reserved_connections are kept and no other limit counts"
    )


@contextmanager
def _watching(seconds: float | None, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Show how much of the interval has passed; what it yields is told the seconds since its beginning."""
    if seconds is None:
        yield lambda passed: None
        return
    steps = max(1, round(seconds * 4))
    done = 0
    with output.progress("watching", steps, quiet) as step:

        def tell(passed: float) -> None:
            nonlocal done
            while done < min(steps, round(passed * 4)):
                step("")
                done += 1

        yield tell


def _told(files: list[str], quiet: bool) -> Gathered:
    """Read logs for their events and their evidence of pools; statements are left alone."""
    from dbtune.workload.capture.log.gathered import Gathered
    from dbtune.workload.capture.log.reader import Reading, read

    told = Gathered()
    paths = [Path(name) for name in files]
    size = sum(path.stat().st_size for path in paths if path.is_file())
    with output.reading("reading", size, quiet) as progress:
        for path in paths:
            reading = told.readings[str(path)] = Reading(progress=_since_last(progress))
            for _ in told.watched(read(path, reading=reading)):
                pass
    return told


def _since_last(progress: Callable[[int], None] | None) -> Callable[[int], None] | None:
    """Return what tells ``progress`` the bytes since the last time; it is told positions in a file."""
    if progress is None:
        return None
    last = 0

    def tell(position: int) -> None:
        nonlocal last
        progress(position - last)
        last = position

    return tell


def _text(report: Report, format: options.Format, output_file: Path | None) -> str:
    if format is options.Format.JSON:
        from dbtune.render import document
        from dbtune.render.connections_document import document as connections_document

        return document.to_json(connections_document(report))
    from dbtune.render import connections as page

    markdown = format is options.Format.MARKDOWN
    width = 200 if output_file is not None else output.width()
    return page.screen(report, width, markdown=markdown, colour=output_file is None and output.has_colour())

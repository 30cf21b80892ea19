"""``dbtune health``: the whole catalogue of checks of a database."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import duration, options, output
from dbtune.errors import UsageError

if TYPE_CHECKING:
    from dbtune.health.ignores import Ignore
    from dbtune.health.report import Report
    from dbtune.server.connection import Target


class Threshold(StrEnum):
    """The severity from which findings make the command fail."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    NEVER = "never"


Interval = Annotated[
    str | None,
    typer.Option("--interval", metavar="TIME", help="Count between two readings that far apart, such as 60s."),
]
Window = Annotated[
    str, typer.Option("--window", metavar="TIME", help="Count from the stored reading whose age is nearest to this.")
]
History = Annotated[
    Path | None,
    typer.Option(
        "--history",
        metavar="FILE",
        help="Where readings are kept; else a file for each database in the user's data directory.",
        show_default=False,
    ),
]
NoHistory = Annotated[bool, typer.Option("--no-history", help="Neither use stored readings nor keep this one.")]
Replica = Annotated[
    list[str] | None,
    typer.Option("--replica", metavar="URL", help="Another server of the cluster, whose index scans are added."),
]
Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="CHECK|GROUP", help="Make these checks; all by default.")
]
LimitOf = Annotated[
    list[str] | None,
    typer.Option("--limit", metavar="CHECK.NAME=VALUE", help="Another limit, such as unused-index.days=14."),
]
Ignored = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="CHECK[:OBJECT]", help="Accept such findings; * in OBJECT stands for anything."),
]
IgnoreFile = Annotated[
    Path | None,
    typer.Option("--ignores", metavar="FILE", help="Accepted findings; else health-ignore.yaml in this folder."),
]
MeasureBloat = Annotated[
    bool,
    typer.Option("--measure-bloat", help="Have pgstattuple count what is estimated to be bloated; it reads all of it."),
]
Every = Annotated[bool, typer.Option("--all", help="Show every finding; else the 20 most worthwhile of each check.")]
Rules = Annotated[bool, typer.Option("--rules", help="List the checks, and end.")]
FailOn = Annotated[Threshold, typer.Option("--fail-on", help="Exit 1 on a finding of this severity or worse.")]


def health(
    only: Only = None,
    interval: Interval = None,
    window: Window = "24h",
    history: History = None,
    no_history: NoHistory = False,
    replica: Replica = None,
    limit: LimitOf = None,
    ignore: Ignored = None,
    ignores: IgnoreFile = None,
    measure_bloat: MeasureBloat = False,
    every: Every = False,
    rules: Rules = False,
    fail_on: FailOn = Threshold.NEVER,
    url: options.Url = None,
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Check a database: indexes, tables, vacuum, wraparound, sequences, statements, buffers, WAL, standbys, settings.

    It reads catalogs and statistics views only. Each reading is kept, so that the next one tells rates.

    \b
    Example: dbtune health
             dbtune health --only vacuum --interval 60s --fail-on critical
    """
    run(
        "health",
        only or (),
        interval=interval,
        window=window,
        history=history,
        no_history=no_history,
        replica=replica,
        limit=limit,
        ignore=ignore,
        ignores=ignores,
        measure_bloat=measure_bloat,
        every=every,
        rules=rules,
        fail_on=fail_on,
        url=url,
        format=format,
        output_file=output_file,
        quiet=quiet,
    )


def run(
    command: str,
    only: list[str] | tuple[str, ...],
    *,
    interval: str | None,
    window: str,
    history: Path | None,
    no_history: bool,
    replica: list[str] | None,
    limit: list[str] | None,
    ignore: list[str] | None,
    ignores: Path | None,
    measure_bloat: bool,
    every: bool,
    rules: bool,
    fail_on: Threshold,
    url: str | None,
    format: options.Format,
    output_file: Path | None,
    quiet: bool,
) -> None:
    """Make the checks that ``only`` names, and print what they find; shared with ``dbtune indexes``."""
    from dbtune.health import catalogue
    from dbtune.health.finding import Severity
    from dbtune.health.ignores import from_option
    from dbtune.health.survey import Wanted, survey
    from dbtune.render import health_checks
    from dbtune.server import connection as server
    from dbtune.server.interrupt import cancelling

    checks = catalogue.chosen(only)
    output.check_writable(output_file)
    if rules:
        output.write(health_checks.listing(checks, format.value, output.width()), output_file)
        return
    if history is not None and no_history:
        raise UsageError("--history names where readings are kept, --no-history keeps none: give one of them")
    wanted = Wanted(
        checks=checks,
        limits=catalogue.limits(limit or ()),
        interval=_seconds("--interval", interval) if interval is not None else None,
        window=_seconds("--window", window),
        history=history,
        keeps_history=not no_history,
        replicas=[server.Target(server.parse_url(each, "--replica"), "--replica") for each in replica or ()],
        measure_bloat=measure_bloat,
        ignores=[*(from_option(each) for each in ignore or ()), *_from_file(ignores)],
    )
    target = server.resolve(url, output.note(quiet))
    with server.connect(target) as connection, server.translated(target), cancelling():
        report = survey(connection, wanted, lambda seconds: output.wait("counting", seconds, quiet))
    output.write(_rendered(report, command, _named(target), format, output_file, every), output_file)
    if fail_on is not Threshold.NEVER and report.reaches(Severity[fail_on.name]):
        raise typer.Exit(1)


def _seconds(option: str, text: str) -> float:
    seconds = duration.milliseconds(text) / 1000
    if seconds == 0:
        raise UsageError(f"{option} must be longer than nothing")
    return seconds


def _from_file(path: Path | None) -> tuple[Ignore, ...]:
    from dbtune.health import ignores

    file = path or Path(ignores.NAME)
    return ignores.load(file) if path is not None or file.exists() else ()


def _named(target: Target) -> str:
    """Return how a shell names the server, without its password."""
    if target.source == "embedded":
        return '"$(dbtune server url)"'
    if target.source != "--url":
        return f'"${target.source}"'
    url = target.url.set(drivername="postgresql", password=None).difference_update_query(["password"])
    return f"'{url.render_as_string(hide_password=False)}'"


def _rendered(
    report: Report, command: str, at: str, format: options.Format, output_file: Path | None, every: bool
) -> str:
    from dbtune.render import document
    from dbtune.render import health as rendered

    match format:
        case options.Format.JSON:
            return document.to_json(rendered.document(report, command, at))
        case options.Format.MARKDOWN:
            return rendered.markdown(report, command, at, every)
        case _:
            width = 100 if output_file is not None else min(output.width(), 120)
            return rendered.table(report, command, at, width, every)

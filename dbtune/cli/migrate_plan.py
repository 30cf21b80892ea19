"""``dbtune migrate plan``: what an upgrade would do, what it takes, and who is in the way."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import duration, options, output

if TYPE_CHECKING:
    from dbtune.migration.preflight.plan import Plan


class Threshold(StrEnum):
    """The level from which findings make the command fail."""

    INFO = "info"
    WARN = "warn"
    NEVER = "never"


def plan(
    revision: Annotated[str, typer.Argument(metavar="[REV]", help="Where to go, as for alembic upgrade.")] = "head",
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The project's alembic.ini.")] = Path(
        "alembic.ini"
    ),
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="The database that env.py upgrades, to look at it; else what env.py's engine says.",
            show_default=False,
        ),
    ] = None,
    max_replica_lag: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE|TIME", help="A standby that is further behind is a finding: 100MB, 30s.", show_default=False
        ),
    ] = None,
    min_age: Annotated[
        str, typer.Option(metavar="TIME", help="Transactions open for less are told of, and not counted as a wait.")
    ] = "1s",
    fail_on: Annotated[
        Threshold, typer.Option(help="Exit 1 on a finding of this level or worse; that it would wait is one of warn.")
    ] = Threshold.WARN,
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Show what alembic upgrade would do now: the index work, its size and time, who is in the way. It changes nothing.

    \b
    Exits with 0 if it is ready, 1 if it would wait or something is to be known first, 4 if it would be refused.
    Example: dbtune migrate plan
             dbtune migrate plan --max-replica-lag 100MB --format json
    """
    from dbtune.errors import Unsafe
    from dbtune.migration import replica
    from dbtune.migration.preflight import plan as preflight
    from dbtune.migration.preflight.finding import Outcome
    from dbtune.migration.project import Project

    output.check_writable(output_file)
    limit = replica.limit(max_replica_lag) if max_replica_lag is not None else None
    min_seconds = duration.milliseconds(min_age) / 1000
    output.note(quiet)("reading catalogs and statistics")
    found = preflight.read(Project(config), revision, url, limit=limit, min_seconds=min_seconds)
    output.write(_rendered(found, format, output_file), output_file)
    if found.verdict.outcome is Outcome.REFUSED:
        raise typer.Exit(Unsafe.exit_code)
    if fail_on is not Threshold.NEVER and any(each.level.word in _FAILS[fail_on] for each in found.findings):
        raise typer.Exit(1)


_FAILS = {Threshold.INFO: ("info", "warn"), Threshold.WARN: ("warn",)}


def _rendered(found: Plan, format: options.Format, output_file: Path | None) -> str:
    from dbtune.render import document
    from dbtune.render import migration_plan as render

    match format:
        case options.Format.JSON:
            return document.to_json(render.document(found))
        case options.Format.MARKDOWN:
            return render.markdown(found)
        case options.Format.TABLE:
            return render.screen(found, min(100, output.width()))

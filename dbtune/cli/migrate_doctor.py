"""``dbtune migrate doctor``: what in a project keeps indexes from being built CONCURRENTLY."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dbtune.cli import options, output


class Threshold(StrEnum):
    """What makes the command fail."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    NEVER = "never"


def doctor(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The project's alembic.ini.")] = Path(
        "alembic.ini"
    ),
    fail_on: Annotated[
        Threshold, typer.Option("--fail-on", help="Exit 1 on a finding of this severity or worse.")
    ] = Threshold.WARNING,
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
) -> None:
    """Read env.py, the configuration and the revisions, and say which line keeps an index from being built, and the
    lines to write instead. Nothing of the project is executed, and no server is asked.

    \b
    Example: dbtune migrate doctor --config alembic.ini --fail-on error
    """
    from dbtune.migration.doctor.examination import examine
    from dbtune.migration.doctor.finding import Severity
    from dbtune.render import document
    from dbtune.render import migration_doctor as render

    output.check_writable(output_file)
    report = examine(config)
    match format:
        case options.Format.JSON:
            text = document.to_json(render.document(report))
        case options.Format.MARKDOWN:
            text = render.markdown(report)
        case options.Format.TABLE:
            text = render.screen(report, 120 if output_file is not None else min(output.width(), 120))
    output.write(text, output_file)
    worst = report.worst
    if fail_on is not Threshold.NEVER and worst is not None and worst >= Severity[fail_on.value.upper()]:
        raise typer.Exit(1)

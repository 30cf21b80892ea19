"""``dbtune size check``: whether all who connect fit the server, as a test for a pipeline."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dbtune.cli import options, output


class Threshold(StrEnum):
    """The severity from which traps make the command fail."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    NEVER = "never"


def check(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PATH]", help="A project's folder, or a fleet file; the current folder.", show_default=False
        ),
    ] = None,
    fleet: Annotated[
        Path | None,
        typer.Option("--fleet", metavar="FILE", help="What no other file says; alone if no PATH is given."),
    ] = None,
    max_connections: Annotated[
        int | None, typer.Option("--max-connections", min=1, help="The server's.", show_default=False)
    ] = None,
    cores: Annotated[
        int | None,
        typer.Option("--cores", min=1, help="Of the machines, for worker numbers made of them.", show_default=False),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Read the limits of this server; else no server is asked."),
    ] = None,
    fail_on: Annotated[
        Threshold, typer.Option("--fail-on", help="Traps of this severity fail it as well.")
    ] = Threshold.NEVER,
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Fail if all who connect may ask for more connections than the server has, at rest or in a deploy.

    Reads what is there, and runs none of it: Kubernetes and Helm YAML, compose files, Procfile, Dockerfile, gunicorn's
    flags and file, create_engine(…), Django's DATABASES, pgbouncer.ini, and dbtune.toml for the rest.

    \b
    Example: dbtune size check
             dbtune size check deploy/ --max-connections 200 --fail-on warning
    """
    from dbtune.cli import fleet_asking
    from dbtune.health.finding import Severity
    from dbtune.pool import traps
    from dbtune.pool.budget import budget
    from dbtune.render import document
    from dbtune.render import fleet as render

    output.check_writable(output_file)
    found = fleet_asking.ask(path, fleet, cores, max_connections, url, quiet=quiet)
    told = traps.find(found.fleet, found.clues)
    fails = tuple(each for each in told if fail_on is not Threshold.NEVER and each.severity >= Severity[fail_on.name])
    checked = render.Checked(found=found, budget=budget(found.fleet), traps=told, fails=fails)
    if format is options.Format.JSON:
        text = document.to_json(render.document(checked))
    else:
        width = 200 if output_file is not None else output.width()
        text = render.screen(checked, width, markdown=format is options.Format.MARKDOWN)
    output.write(text, output_file)
    if not checked.passed:
        raise typer.Exit(1)

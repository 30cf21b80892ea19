"""``dbtune migrate verify``: a revision, run through faults on a throw-away server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dbtune.cli import options, output

_BEFORE = 3


def verify(
    revision: Annotated[str, typer.Argument(metavar="REV", help="The revision to judge.")] = "head",
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The project's alembic.ini.")] = Path(
        "alembic.ini"
    ),
    rows: Annotated[
        int, typer.Option("--rows", min=1, metavar="N", help="Rows in each table that it touches.")
    ] = 20_000,
    plain: Annotated[
        bool, typer.Option("--plain", help="Judge it by plain alembic upgrade too, not by migrate apply alone.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="This fault alone, * and ? allowed; again for more."),
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Print the faults there are, and do nothing.")] = False,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="NAME[=TEXT]",
            help="A variable from which env.py takes its URL, or TEXT with {url}, {host}, {port}, {user}, {database}.",
        ),
    ] = None,
    pg_bindir: options.PgBindir = None,
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Run a revision through faults on a throw-away server: killed, cancelled, blocked, in the way, at once.

    \b
    The earlier revisions make the tables there, rows are made from the schema. env.py is run only where it opens that
    server; it is refused, with 4, before it connects to another. Exits with 1 where a fault ends badly.
    Example: dbtune migrate verify head --plain --pg-bindir /usr/lib/postgresql/15/bin
    """
    from dbtune.migration.project import Project
    from dbtune.migration.verify import verification
    from dbtune.render import document
    from dbtune.render import migration_verify as render

    faults = verification.chosen(only or ())
    if list_only:
        output.write(render.listed(faults), output_file)
        return
    output.check_writable(output_file)
    project = Project(config)
    wanted = verification.Wanted(
        revision=revision,
        rows=rows,
        plain=plain,
        only=tuple(only or ()),
        environment=tuple(env or ()),
        bindir=pg_bindir,
    )
    with output.progress("verifying", _BEFORE + len(faults) * (1 + plain), quiet) as step:
        report = verification.verify(project, wanted, step)
    if format is options.Format.JSON:
        text = document.to_json(render.document(report))
    else:
        text = render.screen(report, width=output.width(), markdown=format is options.Format.MARKDOWN)
    output.write(text, output_file)
    if not report.is_fine:
        raise typer.Exit(1)

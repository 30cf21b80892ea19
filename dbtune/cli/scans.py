"""``dbtune scans``: which tables are read as a whole, how often, and by which captured queries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import duration, options, output
from dbtune.errors import BadFile, UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection


def scans(
    interval: Annotated[
        str | None,
        typer.Option("--interval", metavar="TIME", help="Count within this time, such as 30s; else since the reset."),
    ] = None,
    query_dir: options.QueryDir = Path("queries"),
    url: options.Url = None,
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Show sequential scans per table from pg_stat_user_tables, and the captured queries whose plans scan the table.

    \b
    Example: dbtune scans --interval 30s
    """
    from dbtune.render import document
    from dbtune.render import scans as tables
    from dbtune.server import activity
    from dbtune.server import connection as server
    from dbtune.server.interrupt import cancelling

    seconds = None if interval is None else duration.milliseconds(interval) / 1000
    if seconds == 0:
        raise UsageError("--interval must be longer than nothing; leave it out to count since the reset")
    output.check_writable(output_file)
    target = server.resolve(url, output.note(quiet))
    with server.connect(target) as connection, server.translated(target), cancelling():
        if seconds is None:
            report = activity.table_scans(connection)
        else:
            report = activity.table_scans_over(connection, seconds, lambda s: output.wait("counting", s, quiet))
        causes, problems = _causes(connection, query_dir, quiet)
    for problem in problems:
        typer.echo(f"dbtune: {problem}", err=True)
    if format is options.Format.JSON:
        text = document.to_json(document.scans(report, causes))
    else:
        width = 200 if output_file is not None else output.width()
        text = tables.scans(report, causes, width, markdown=format is options.Format.MARKDOWN)
    output.write(text, output_file)
    if problems:
        raise typer.Exit(2)


def _causes(connection: Connection, folder: Path, quiet: bool) -> tuple[dict[str, list[str]], list[BadFile]]:
    """Return for each table the captured queries whose plans scan it; planning runs nothing."""
    from dbtune.plan import explain as plans
    from dbtune.plan.report import Report, outcome
    from dbtune.workload import files

    if not folder.is_dir() or not any(folder.glob("*.sql")):
        output.note(quiet)(f"{folder} holds no captured queries, so no causes are shown")
        return {}, []
    loaded = files.load_folder(folder)
    limit = plans.Options(analyze=False)
    explained = [plans.explain(connection, q, plans.choose_set(q), limit) for q in loaded.workload.queries]
    report = Report(server="", version="", outcomes=tuple(outcome(e) for e in explained))
    problems = [*loaded.problems, *(e.fault for e in explained if e.fault is not None)]
    return {t.relation: [q.name for q in t.queries] for t in report.scanned_tables()}, problems

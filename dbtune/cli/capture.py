"""``dbtune capture``: an application's real queries, from four sources, and what the workload holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import capture_log, capture_sqlalchemy, duration, options, output, writing
from dbtune.errors import UsageError
from dbtune.workload.redaction import Redaction

if TYPE_CHECKING:
    from dbtune.workload.capture.statements import Captured

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Turn what an application does into query files.")

_LEFT_OUT = {
    "hidden": "of other roles, which this one may not read (GRANT pg_read_all_stats)",
    "lost": "whose text the server has lost",
    "unprepared": "that the server cannot prepare here: cut, of another search_path, or in need of their values",
    "own": "of dbtune's own",
    "nested": "sent by functions",
    "utility": "that no plan is made for",
    "system": "that only ask the catalogs",
    "rare": "with fewer calls than --min-calls",
}


@app.command()
def statements(
    interval: Annotated[
        str | None,
        typer.Option("--interval", metavar="TIME", help="Count within this time, such as 30s; else since the reset."),
    ] = None,
    min_calls: Annotated[int, typer.Option(min=1, help="Leave out what ran less often.")] = 1,
    query_dir: options.QueryDir = Path("queries"),
    merge: writing.Merge = False,
    redact: writing.Redact = Redaction.KEEP,
    url: options.Url = None,
    quiet: options.Quiet = False,
) -> None:
    """Write what pg_stat_statements counted as query files, with values sampled from pg_stats.

    \b
    Example: dbtune capture statements --interval 5min --merge
    """
    from dbtune.server import connection as server
    from dbtune.server.interrupt import cancelling
    from dbtune.workload.capture import statements as source

    seconds = None if interval is None else duration.milliseconds(interval) / 1000
    if seconds == 0:
        raise UsageError("--interval must be longer than nothing; leave it out to count since the reset")
    target = server.resolve(url, output.note(quiet))
    with server.connect(target) as connection, server.translated(target), cancelling():
        captured = source.capture(
            connection,
            seconds=seconds,
            min_calls=min_calls,
            sleep=lambda time: output.wait("counting", time, quiet),
        )
    if not quiet:
        typer.echo(_told(captured))
    writing.write(captured.queries, query_dir, source=source.SOURCE, merge=merge, redact=redact, quiet=quiet)
    if captured.evictions and not quiet:
        typer.echo(
            f"dbtune: pg_stat_statements evicted statements {captured.evictions} times, so rare ones are missing or"
            " count too little; raise pg_stat_statements.max",
            err=True,
        )


def _told(captured: Captured) -> str:
    if captured.seconds is not None:
        when = f"within {captured.seconds:.0f} s"
    else:
        when = f"since {captured.since:%Y-%m-%d %H:%M:%S %Z}" if captured.since else "since the last reset"
    count = len(captured.queries)
    lines = [f"{count} {'query' if count == 1 else 'queries'} ran {when}"]
    without = sum("$1" in query.statement and not query.sets for query in captured.queries)
    if without:
        lines.append(f"  {without} without values, because pg_stats does not know any: explained by the generic plan")
    lines += [f"  left out: {count} {_LEFT_OUT[reason]}" for reason, count in sorted(captured.left_out.items())]
    return "\n".join(lines)


@app.command("list")
def list_queries(
    query_dir: options.QueryDir = Path("queries"),
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
) -> None:
    """Print the captured workload, the queries first that take the most time altogether.

    \b
    Example: dbtune capture list --format markdown
    """
    from dbtune.render import document, queries
    from dbtune.workload import files

    output.check_writable(output_file)
    loaded = files.load_folder(query_dir)
    if format is options.Format.JSON:
        text = document.to_json(queries.document(loaded.workload))
    else:
        width = 200 if output_file is not None else output.width()
        text = queries.table(loaded.workload, width, markdown=format is options.Format.MARKDOWN)
    output.write(text, output_file)
    for problem in loaded.problems:
        typer.echo(f"dbtune: {problem}", err=True)
    if loaded.problems:
        raise typer.Exit(2)


app.command("log")(capture_log.log)
app.command("sqlalchemy", context_settings={"allow_interspersed_args": False})(capture_sqlalchemy.sqlalchemy)

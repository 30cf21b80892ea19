"""The command line: each command parses, calls, renders and exits. Heavy modules are imported inside the commands."""

from __future__ import annotations

import typer

from dbtune.cli import (
    advise,
    capture,
    check,
    connections,
    explain,
    hammer,
    health,
    indexes,
    migrate,
    party,
    scans,
    server,
    size,
    snapshot,
    study,
)
from dbtune.cli.reporting import ReportingGroup

app = typer.Typer(
    name="dbtune",
    cls=ReportingGroup,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help and errors start three times as fast
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, 1 findings at or over --fail-on, 2 wrong usage or bad input file, 3 server unreachable "
    "or refused, 4 refused as unsafe, 5 gave up (time, lock, budget), 130/143 stopped by a signal.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from dbtune import __version__

        typer.echo(f"dbtune {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """PostgreSQL tuning and index migrations, with the evidence attached.

    \b
    Example: dbtune party load && dbtune explain
    """


app.command("explain")(explain.explain)
app.command("check")(check.check)
app.command("scans")(scans.scans)
app.command("connections")(connections.connections)
app.command("indexes")(indexes.indexes)
app.command("health")(health.health)
app.command("snapshot")(snapshot.snapshot)
app.command("advise")(advise.advise)
app.command("hammer")(hammer.hammer)
app.command("study")(study.study)
app.add_typer(capture.app, name="capture")
app.add_typer(migrate.app, name="migrate")
app.add_typer(party.app, name="party")
app.add_typer(server.app, name="server")
app.add_typer(size.app, name="size")

"""``dbtune migrate``: index changes as Alembic revisions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import migrate_apply, migrate_doctor, migrate_plan, migrate_status, migrate_verify, options, output

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer(
    no_args_is_help=True, help="Index changes as Alembic revisions that hold up no write.", rich_markup_mode=None
)

AlembicConfig = Annotated[Path, typer.Option("--config", metavar="FILE", help="The project's alembic.ini.")]


@app.command()
def new(
    statement: Annotated[
        str,
        typer.Argument(
            help="CREATE INDEX …, DROP INDEX … (needs --url), or ALTER TABLE … ADD CONSTRAINT … UNIQUE (…).",
            show_default=False,
        ),
    ],
    config: AlembicConfig = Path("alembic.ini"),
    head: Annotated[
        str | None,
        typer.Option(metavar="REVISION", help="The head to follow, where there are several.", show_default=False),
    ] = None,
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="TEXT", help="The title, in place of what it does.")
    ] = "",
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the revision to stdout and write nothing.")
    ] = False,
    rev_id: Annotated[
        str | None,
        typer.Option("--rev-id", metavar="ID", help="The revision's id; else made from it.", show_default=False),
    ] = None,
    replaces: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="An index that the new one replaces: dropped after it is there.", show_default=False
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="A database that has the table, to check the statement and find partitions; none is asked by default.",
            show_default=False,
        ),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Write an index statement as the next revision: built CONCURRENTLY, verified when it is noted, and undoable.

    \b
    Example: dbtune migrate new "CREATE INDEX ON orders (customer_id) WHERE state = 'open'"
             dbtune migrate new --url postgresql://localhost/shop "DROP INDEX orders_old_idx"
    """
    from dbtune.migration import asked
    from dbtune.migration import statement as statements
    from dbtune.migration.evidence import Evidence
    from dbtune.migration.project import Project

    project = Project(config)
    wanted = statements.parse(statement)
    old = None if replaces is None else statements.parse_name(replaces)
    with _connection(url) as connection:
        changes = asked.changes(wanted, connection, old)
    written = project.write(
        [(change, Evidence()) for change in changes], head=head, message=message, rev_id=rev_id, keep=not print_only
    )
    for each in written:
        if each.path is None:
            output.write(each.text, None)
        elif not quiet:
            typer.echo(each.path)


@contextmanager
def _connection(url: str | None) -> Iterator[Connection | None]:
    """Open the database that was named; none is looked for where none is."""
    if url is None:
        yield None
        return
    from dbtune.server import connection as server

    target = server.resolve(url)
    with server.connect(target) as opened, server.translated(target):
        yield opened


app.command("apply")(migrate_apply.apply)
app.command()(migrate_status.status)
app.command("verify")(migrate_verify.verify)
app.command("plan")(migrate_plan.plan)
app.command("doctor")(migrate_doctor.doctor)

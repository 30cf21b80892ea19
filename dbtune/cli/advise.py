"""``dbtune advise``: the best indexes for a workload within a budget, and how sure that is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune import config
from dbtune.cli import options, output
from dbtune.errors import UsageError

if TYPE_CHECKING:
    from dbtune.index.advice import Advice
    from dbtune.server.connection import Target

_POINTS = 12


class WhatIfMethod(StrEnum):
    """How the planner is asked what if."""

    TWIN = "twin"
    HYPOPG = "hypopg"
    REAL = "real"


class AdviceFormat(StrEnum):
    """How the advice is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    SQL = "sql"


class Sureness(StrEnum):
    """The confidence from which an advised index makes the command fail."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    NEVER = "never"


def advise(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Queries to advise for; all of the folder by default."),
    ] = None,
    query_dir: options.QueryDir = Path("queries"),
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="25%|500MB",
            help="How large new indexes may be together: a part of the tables' size, or a size; else any.",
            show_default=False,
        ),
    ] = None,
    max_indexes: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Make no more than so many.", show_default=False)
    ] = None,
    max_width: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=8, help="No more keys than this in an index; 3 by default.")
    ] = None,
    what_if: Annotated[
        WhatIfMethod,
        typer.Option(
            help="Ask a local twin of the server, HypoPG on the server, or a throw-away copy where indexes are built."
        ),
    ] = WhatIfMethod.TWIN,
    snapshot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What dbtune snapshot wrote, in place of the server.", show_default=False),
    ] = None,
    protect: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="An index that stays, or is made; repeatable.")
    ] = None,
    forbid: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A candidate, table or table.column on which none is made; repeatable."),
    ] = None,
    slowdown: Annotated[
        float | None,
        typer.Option(metavar="FACTOR", min=1, help="No query may cost more than this times what it does now."),
    ] = None,
    frontier: Annotated[bool, typer.Option("--frontier", help="Show the whole curve of cost over size.")] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Build the advised indexes on a copy and run the workload there.")
    ] = False,
    copy: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A throw-away copy of the database for --measure.", show_default=False),
    ] = None,
    throw_away: Annotated[
        bool, typer.Option("--throw-away", help="The server at --url is itself a copy that may be changed.")
    ] = False,
    requests: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What capture --keep-requests wrote: shows statements sent once a row.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="How many processes ask; as the workload needs by default."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Ask on the workers of this Dask scheduler.", show_default=False),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write an Alembic revision for each index, the evidence in its docstring.")
    ] = False,
    alembic_config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The alembic.ini of the project to --write to.")
    ] = Path("alembic.ini"),
    head: Annotated[
        str | None,
        typer.Option(metavar="REVISION", help="The head that --write follows, of several.", show_default=False),
    ] = None,
    fail_on: Annotated[
        Sureness, typer.Option(help="Exit 1 if an index of this confidence or better is advised.")
    ] = Sureness.NEVER,
    url: options.Url = None,
    pg_bindir: options.PgBindir = None,
    format: Annotated[AdviceFormat, typer.Option("--format", help="How to print the advice.")] = AdviceFormat.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Find the best set of indexes for the captured queries, prove how good it is, and say what speaks against it.

    By default the server is asked for catalogs only: candidates are planned on a local server without its data.

    \b
    Example: dbtune advise --budget 25%
             dbtune advise --snapshot production.json --query-dir queries --format sql
             dbtune advise --what-if real --throw-away --url postgresql://localhost/copy --measure
    """
    from dbtune.cli import workload
    from dbtune.index.advisor import Wanted, session
    from dbtune.index.advisor import budget as budgets
    from dbtune.index.whatif.making import Method
    from dbtune.server.interrupt import cancelling

    output.check_writable(output_file)
    wanted = Wanted(
        budget=None if budget is None else budgets(budget),
        max_indexes=max_indexes,
        max_width=max_width,
        protect=tuple(protect or ()),
        forbid=tuple(forbid or ()),
        slowdown=slowdown,
        frontier=_POINTS if frontier else 0,
    )
    if measure and copy is None and not throw_away:
        raise UsageError(
            "--measure runs the workload: give a copy with --copy URL, or say --throw-away if --url is one"
        )
    if write:
        from dbtune.migration.project import Project

        Project(alembic_config)  # what is wrong with it is better told before the work
    if pg_bindir is not None:
        os.environ[config.PG_BINDIR_VARIABLE] = str(pg_bindir.expanduser().absolute())  # workers read it as well
    chosen = workload.choose(query_dir, names or [])
    for problem in chosen.problems:
        typer.echo(f"dbtune: {problem}", err=True)
    asked = session.Session(
        method=Method(what_if.value),
        target=_target(url, snapshot, what_if, throw_away=throw_away, quiet=quiet),
        snapshot=snapshot,
        copy=_copy(copy),
        throw_away=throw_away,
        measure=measure,
        jobs=jobs,
        cluster=cluster,
        requests=requests,
    )
    with cancelling(), _progress(quiet) as say:
        advice = session.run(asked, chosen.queries, wanted, say)
    text = _render(advice, format, output_file)
    if text or output_file is not None:  # no statements are no line
        output.write(text, output_file)
    if write:
        _write(advice, alembic_config, head, quiet=quiet or (output_file is None and format is not AdviceFormat.TABLE))
    _exit(advice, fail_on, problems=bool(chosen.problems))


def _target(
    url: str | None, snapshot: Path | None, what_if: WhatIfMethod, *, throw_away: bool, quiet: bool
) -> Target | None:
    """Return the server to work with; none where a snapshot stands in for it."""
    from dbtune.server import connection as server

    if snapshot is not None and url is None and what_if is WhatIfMethod.TWIN and not throw_away:
        return None
    return server.resolve(url, output.note(quiet))


def _write(advice: Advice, alembic_config: Path, head: str | None, *, quiet: bool) -> None:
    from dbtune.migration.advised import write_revisions

    written = write_revisions(advice, alembic_config, head=head)
    if not quiet:
        for path in written:
            typer.echo(f"wrote {path}")


def _copy(url: str | None) -> Target | None:
    from dbtune.server import connection as server

    return None if url is None else server.Target(server.parse_url(url, "--copy"), "--copy")


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Tell on stderr what goes on while the block runs; silent in a pipe or when ``quiet``."""
    if quiet or not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("advising") as status:
        yield lambda text: status.update(escape(text))


def _render(advice: Advice, format: AdviceFormat, output_file: Path | None) -> str:
    from dbtune.render import advice as rendered

    match format:
        case AdviceFormat.JSON:
            from dbtune.render.document import to_json

            return to_json(rendered.document(advice))
        case AdviceFormat.MARKDOWN:
            return rendered.markdown(advice)
        case AdviceFormat.SQL:
            return rendered.sql(advice)
        case AdviceFormat.TABLE:
            return rendered.text(advice, 200 if output_file is not None else output.width())


def _exit(advice: Advice, fail_on: Sureness, *, problems: bool) -> None:
    """End with the code that tells the worst that happened."""
    from dbtune.index.advice import Confidence

    if advice.interrupted:
        raise typer.Exit(130)
    if problems:
        raise typer.Exit(2)
    if not advice.complete:
        typer.echo("dbtune: gave up before the best set was proven: this is the best so far", err=True)
        raise typer.Exit(5)
    if fail_on is not Sureness.NEVER and any(
        each.confidence >= Confidence[fail_on.value.upper()] for each in advice.recommendations
    ):
        raise typer.Exit(1)

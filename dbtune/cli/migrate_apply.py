"""``dbtune migrate apply``: Alembic's upgrade, watched, within budgets, one deployer at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import duration, options, output, stopping
from dbtune.cli.telling import objects, telling

if TYPE_CHECKING:
    from dbtune.migration.apply import Applied


class Stream(StrEnum):
    """How it is told what goes on."""

    TABLE = "table"
    JSON = "json"


def apply(
    revision: Annotated[str, typer.Argument(help="Where to go, as for alembic upgrade.")] = "head",
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The project's alembic.ini.")] = Path(
        "alembic.ini"
    ),
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="The database that env.py upgrades, to watch it; else what env.py's engine says.",
            show_default=False,
        ),
    ] = None,
    lock_budget: Annotated[
        str, typer.Option("--lock-budget", metavar="TIME", help="Give up after waiting for somebody else so long.")
    ] = "5min",
    total_budget: Annotated[
        str, typer.Option("--total-budget", metavar="TIME", help="Give up when it takes longer in all.")
    ] = "1h",
    max_replica_lag: Annotated[
        str | None,
        typer.Option(
            "--max-replica-lag",
            metavar="LAG",
            help="Begin no build while a standby is further behind (100MB, 30s), and cancel one that makes it so.",
            show_default=False,
        ),
    ] = None,
    at_once: Annotated[
        bool,
        typer.Option("--at-once", help="Begin builds although transactions are open that they will have to wait for."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be run, and whether the server allows it; change nothing.")
    ] = False,
    format: Annotated[
        Stream, typer.Option("--format", help="Lines on stderr, or events on stdout, one JSON object a line.")
    ] = Stream.TABLE,
    quiet: options.Quiet = False,
) -> None:
    """Run alembic upgrade with a watcher: one deployer at a time, blockers named, cancelled when a budget runs out.

    \b
    Exits with 1 where an index is INVALID although its revision is noted, with 5 when a budget ran out.
    Example: dbtune migrate apply --lock-budget 10min --max-replica-lag 100MB
    """
    from dbtune.migration import apply as applying
    from dbtune.migration import events, replica
    from dbtune.migration.project import Project
    from dbtune.render import migration_apply as render

    as_json = format is Stream.JSON
    with _concluded(as_json), telling(as_json=as_json, quiet=quiet) as tell:
        budget = applying.Budget(
            lock=duration.milliseconds(lock_budget) / 1000, total=duration.milliseconds(total_budget) / 1000
        )
        max_lag = None if max_replica_lag is None else replica.limit(max_replica_lag)
        project = Project(config)
        if dry_run:
            found, target = applying.plan(project, revision, url)
            would = events.Begin(server=str(target), heads=found.heads, pending=found.pending)
            if as_json:
                objects(would)
                objects(events.Result(exit_code=0, reason=None, heads=found.heads))
            else:
                output.write(render.begin(would, revision), None)
            return
        with stopping.twice(_leave(as_json), quiet or as_json):
            done = applying.apply(project, revision, url, budget, tell, max_lag=max_lag, at_once=at_once)
    _end(done, as_json)


def _end(done: Applied, as_json: bool) -> None:
    from dbtune.migration import events
    from dbtune.render import migration_apply as render

    invalid = [render.invalid(each) for each in done.indexes if not each.is_valid]
    if as_json:
        reason = "; ".join(invalid) or None
        objects(
            events.Result(
                exit_code=int(bool(invalid)),
                reason=reason,
                heads=done.heads,
                revisions=done.revisions,
                seconds=done.seconds,
            )
        )
    else:
        output.write(render.applied(done), None)
        for line in invalid:
            typer.echo(f"dbtune: {line}", err=True)
    if invalid:
        raise typer.Exit(1)


@contextmanager
def _concluded(as_json: bool) -> Iterator[None]:
    """End a stream of events with what the process will exit with, if that is no success."""
    if not as_json:
        yield
        return
    from dbtune.errors import DbtuneError
    from dbtune.migration.events import Result

    try:
        yield
    except DbtuneError as error:
        objects(Result(exit_code=error.exit_code, reason=str(error)))
        raise
    except typer.BadParameter as error:
        objects(Result(exit_code=2, reason=error.message))
        raise
    except (KeyboardInterrupt, SystemExit) as error:
        code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 130
        objects(Result(exit_code=code, reason="stopped by a signal"))
        raise
    except BrokenPipeError:
        raise
    except Exception as error:
        objects(Result(exit_code=1, reason=f"{type(error).__name__}: {error}"))
        raise


def _leave(as_json: bool) -> Callable[[int], None]:
    """Return what is said when it is left at once, straight to the files: nobody else writes to them any more."""

    def leave(code: int) -> None:
        from dbtune.migration.events import Result
        from dbtune.render import migration_apply as render

        said = f"left at once; the server may go on building. Resume with: {stopping.command()}"
        shows_cursor = "\r\x1b[2K\x1b[?25h" if sys.stderr.isatty() else ""
        os.write(2, f"{shows_cursor}dbtune: {said}\n".encode())
        if as_json:
            os.write(1, f"{render.document(Result(exit_code=code, reason=said))}\n".encode())

    return leave

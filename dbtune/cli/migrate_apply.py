"""``dbtune migrate apply``: Alembic's upgrade, watched, within budgets, one deployer at a time."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from dbtune.cli import duration, options, output

TERMINATED = 143


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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be run, and whether the server allows it; change nothing.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Run alembic upgrade with a watcher: one deployer at a time, blockers named, cancelled when a budget runs out.

    \b
    Example: dbtune migrate apply --lock-budget 10min
    """
    from dbtune.migration import apply as applying
    from dbtune.migration.project import Project

    project = Project(config)
    budget = applying.Budget(
        lock=duration.milliseconds(lock_budget) / 1000, total=duration.milliseconds(total_budget) / 1000
    )
    if dry_run:
        found, target = applying.plan(project, revision, url)
        lines = [f"{each.revision}  {each.title}" for each in found.pending] or ["nothing to do"]
        at = ", ".join(found.heads) or "base"
        output.write("\n".join([f"{target} is at {at}; an upgrade to {revision} would run:", *lines]), None)
        return
    with _terminable():
        done = applying.apply(project, revision, url, budget, _teller(quiet))
    at = ", ".join(done.heads) or "base"
    if not done.revisions:
        output.write(f"nothing to do: the database is at {at}", None)
        return
    lines = [f"{each.revision}  {each.title}" for each in done.revisions]
    output.write("\n".join([*lines, f"done in {done.seconds:.1f} s; the database is at {at}"]), None)


def _teller(quiet: bool) -> Any:
    """Return what writes a line to stderr: a deploy log has no terminal, and waiting must be seen in it."""
    return (lambda line: None) if quiet else (lambda line: typer.echo(f"dbtune: {line}", err=True))


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, with its own exit code."""

    def end(number: int, frame: Any) -> None:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

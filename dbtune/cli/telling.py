"""Telling what goes on while it does: lines for a log, a live line on a terminal, or objects for a program."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dbtune.migration.events import Event

Tell = Callable[["Event"], None]

_LINES_S = 15.0
_OBJECTS_S = 5.0


@contextmanager
def telling(*, as_json: bool, quiet: bool) -> Iterator[Tell]:
    """Yield what is given events; progress is thinned out to what is new, and to a sign of life now and then."""
    if as_json:
        yield _thinned(objects, _OBJECTS_S)
    elif quiet:
        yield lambda event: None
    elif sys.stderr.isatty():
        with _live() as tell:
            yield tell
    else:
        yield _thinned(lines, _LINES_S)


def lines(event: Event) -> None:
    """Write a line to stderr: a deploy log has no terminal, and waiting must be seen in it."""
    from dbtune.render import migration_apply as render

    if (line := render.line(event)) is not None:
        typer.echo(f"dbtune: {line}", err=True)


def objects(event: Event) -> None:
    """Write an object to stdout, where a program reads it at once."""
    from dbtune.cli import output
    from dbtune.render import migration_apply as render

    output.write(render.document(event), None)


def _thinned(tell: Tell, every_s: float) -> Tell:
    from dbtune.migration.progress import Progress

    told = time.monotonic()

    def thinned(event: Event) -> None:
        nonlocal told
        now = time.monotonic()
        if not isinstance(event, Progress):
            tell(event)
        elif event.is_new or now - told > every_s:
            told = now
            tell(event)

    return thinned


@contextmanager
def _live() -> Iterator[Tell]:
    """Show progress on one line of the terminal that is gone in the end; what is new stays above it."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from dbtune.migration.progress import Progress
    from dbtune.render import migration_apply as render

    console = Console(stderr=True, highlight=False)
    with Live(Text(), console=console, transient=True, refresh_per_second=4, redirect_stdout=False) as live:

        def tell(event: Event) -> None:
            if isinstance(event, Progress):
                live.update(Text(event.doing))
            if (not isinstance(event, Progress) or event.is_new) and (line := render.line(event)) is not None:
                console.print(Text(f"dbtune: {line}"), soft_wrap=True)

        yield tell

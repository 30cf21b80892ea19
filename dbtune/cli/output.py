"""Where text goes: results to stdout or a file, notes and progress to stderr."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from dbtune.errors import UsageError

_UNBOUNDED = 200


def width() -> int:
    """Return how many columns a table may use: the terminal's, or plenty where the reader is a file or a program."""
    if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return _UNBOUNDED


def has_colour() -> bool:
    """Return whether stdout takes colour: a terminal that is not dumb, and NO_COLOR is not set (no-color.org)."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def check_writable(path: Path | None) -> None:
    """Find out before the work whether its result can be written.

    :raises UsageError: it cannot.
    """
    if path is None:
        return
    try:
        if path.exists():
            with path.open("a"):
                pass
        else:
            with path.open("x"):
                pass
            path.unlink()
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another --output") from None


def write(text: str, path: Path | None) -> None:
    """Write ``text`` to ``path``, all or nothing, or to stdout.

    :raises UsageError: it cannot be written.
    """
    text = text if text.endswith("\n") else text + "\n"
    if path is None:
        _print(text)
        return
    try:
        if path.exists() and not path.is_file():  # a device or pipe
            path.write_text(text, encoding="utf-8")
            return
        part = path.with_name(f"{path.name}.part-{os.getpid()}")
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another --output") from None


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        silence_stdout()
        raise UsageError(f"cannot write the output: {error.strerror}") from None


def silence_stdout() -> None:
    """Let nothing more go to stdout: the interpreter flushes it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(quiet: bool) -> Callable[[str], None]:
    """Return a function that tells people on a terminal what goes on; silent in a pipe or when ``quiet``."""
    if quiet or not sys.stderr.isatty():
        return lambda text: None
    return lambda text: typer.echo(f"dbtune: {text}", err=True)


@contextmanager
def progress(description: str, total: int, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show a bar on stderr while the block runs; call what it yields once for each step, with the step's name."""
    if quiet or not sys.stderr.isatty():
        yield lambda name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda name: bar.update(task, advance=1, description=f"{description} {name}")


@contextmanager
def stages(description: str, total: int, quiet: bool) -> Iterator[tuple[Callable[[str], None], Callable[[str], None]]]:
    """Show a bar on stderr as :func:`progress` does; also yields what tells of a step how far it is."""
    if quiet or not sys.stderr.isatty():
        yield (lambda name: None), (lambda text: None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield (lambda name: bar.update(task, advance=1)), (lambda text: bar.update(task, description=text))


@contextmanager
def reading(description: str, size: int, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """Show on stderr how much of ``size`` bytes was read; what it yields, if anything, is told how many more were."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(description), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=size or None)
        yield lambda more: bar.advance(task, more)


def wait(description: str, seconds: float, quiet: bool) -> None:
    """Sleep, with a bar that shows for how long."""
    steps = max(1, round(seconds * 4))
    with progress(description, steps, quiet) as step:
        for _ in range(steps):
            time.sleep(seconds / steps)
            step("")

"""How a command ends: an expected error is one line on stderr and its exit code; the rest keeps its traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from dbtune.cli import output
from dbtune.errors import DbtuneError


class ReportingGroup(TyperGroup):
    """The top-level group, which reports errors for every command below it."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        with reported():
            return super().invoke(ctx)


@contextmanager
def reported() -> Iterator[None]:
    """Turn expected errors into one line and an exit code.

    A reader that closed the pipe ends the command as SIGPIPE would, without a word.
    """
    try:
        yield
        sys.stdout.flush()
    except DbtuneError as error:
        typer.echo(f"dbtune: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:
        output.silence_stdout()
        raise typer.Exit(141) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None

"""The options that several commands share, spelled the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="The database; else $DBTUNE_URL, else $DATABASE_URL, else the embedded server.",
        show_default=False,
    ),
]
QueryDir = Annotated[Path, typer.Option("--query-dir", metavar="DIR", help="The folder of captured queries.")]
OutputFormat = Annotated[Format, typer.Option("--format", help="How to print the result.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write the result to a file.", show_default=False),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes on stderr.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Where the embedded server keeps its data; else $DBTUNE_DATA_DIR, else the user's data directory.",
        show_default=False,
    ),
]
PgBindir = Annotated[
    Path | None,
    typer.Option(
        "--pg-bindir",
        metavar="DIR",
        help="PostgreSQL's programs to use (13 or newer); else $DBTUNE_PG_BINDIR, else those that came with dbtune.",
        show_default=False,
    ),
]


def given(ctx: typer.Context, *names: str) -> list[str]:
    """Return those of a command's options, by the names of its parameters, that its user wrote, as they are written."""
    return [
        option.opts[0]
        for option in ctx.command.params
        if option.name in names and getattr(ctx.get_parameter_source(option.name), "name", None) == "COMMANDLINE"
    ]

"""``dbtune snapshot``: one file with schema, statistics, sizes and settings, to plan away from the server."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from dbtune.cli import options, output, writing
from dbtune.workload.redaction import Redaction

_STDOUT = Path("-")

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE|-",
        help="The file to write, gzipped if it ends in .gz; - is stdout. Else DATABASE.snapshot.json.gz.",
        show_default=False,
    ),
]
Redact = Annotated[
    Redaction,
    typer.Option("--redact", help="Values from rows stay (keep), go (types), or each becomes a hash or rounder."),
]


def snapshot(
    output_file: Output = None,
    redact: Redact = Redaction.KEEP,
    url: options.Url = None,
    format: options.OutputFormat = options.Format.TABLE,
    quiet: options.Quiet = False,
) -> None:
    """Write schema, statistics, sizes, counters and settings to one file, so that advise works away from the server.

    One read-only transaction over the catalogs: no table is read, and no lock beyond ACCESS SHARE taken. What the role
    cannot see is listed; pg_read_all_data or ownership is enough for most. --format is that of the summary.

    \b
    Example: dbtune snapshot --output shop.snapshot.json.gz
    """
    from dbtune.render import document
    from dbtune.render import snapshot as rendered
    from dbtune.server import connection as server
    from dbtune.server.interrupt import cancelling
    from dbtune.snapshot import file
    from dbtune.snapshot.read import read
    from dbtune.snapshot.redaction import redacted
    from dbtune.snapshot.summary import summary

    to_stdout = output_file == _STDOUT
    if output_file is not None and not to_stdout:
        output.check_writable(output_file)
    secret = writing.key() if redact is Redaction.HASH else b""
    target = server.resolve(url, output.note(quiet))
    output.note(quiet)(f"reading the catalogs of {target}")
    with server.connect(target) as connection, server.translated(target), cancelling():
        taken = read(connection)
    taken = redacted(taken, redact, secret)
    if to_stdout:
        text = file.dump(taken)
        size = len(text.encode("utf-8"))
        output.write(text, None)
    else:
        output_file = output_file or Path(_file_name(taken.database))
        size = file.save(taken, output_file)
    told = summary(taken)
    if format is options.Format.JSON:
        report = document.to_json(rendered.document(told, None if to_stdout else str(output_file), size))
    else:
        name = "stdout" if to_stdout else str(output_file)
        markdown = format is options.Format.MARKDOWN
        report = rendered.summary(told, name, size, output.width(), markdown=markdown)
    if not to_stdout:
        output.write(report, None)
    elif not quiet:
        sys.stderr.write(report)


def _file_name(database: str) -> str:
    """Return a name for the database's file, of characters that every file system takes."""
    name = re.sub(r"[^\w.-]+", "_", database).lstrip(".-")
    return f"{name or 'database'}.snapshot.json.gz"

"""What the commands of ``dbtune capture`` share: how queries are redacted and written, and what is told of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune import config
from dbtune.errors import UsageError
from dbtune.workload.redaction import Redaction

if TYPE_CHECKING:
    from dbtune.workload.query import Query

Merge = Annotated[
    bool,
    typer.Option("--merge", help="Add to the queries that are there; else those of the same source are replaced."),
]
Redact = Annotated[
    Redaction,
    typer.Option("--redact", help="Values stay (keep), only their types are told, or each becomes a hash."),
]
KeepRequests = Annotated[
    Path | None,
    typer.Option("--keep-requests", metavar="FILE", help="Write when which query was sent too.", show_default=False),
]

_KEY_FILE = "redaction-key"


def write(queries: Sequence[Query], folder: Path, *, source: str, merge: bool, redact: Redaction, quiet: bool) -> None:
    """Write the queries to ``folder`` and tell how many files that made.

    :raises UsageError: the folder, or the key for hashes, cannot be written.
    """
    from dbtune.workload import store
    from dbtune.workload.redaction import redacted

    secret = key() if redact is Redaction.HASH else b""
    written = store.write(folder, [redacted(each, redact, secret) for each in queries], merge=merge, source=source)
    if not quiet:
        typer.echo(
            f"{folder}: {written.new} new, {written.changed} changed, {written.kept} kept, {written.removed} removed"
        )


def key() -> bytes:
    """Return this machine's key for hashes, made when it is first asked for: equal values stay equal in all captures.

    :raises UsageError: it cannot be written or read.
    """
    from dbtune.workload.redaction import new_key

    path = config.data_dir() / _KEY_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_bytes()
        with os.fdopen(made, "wb") as file:
            found = new_key()
            file.write(found)
        return found
    except OSError as error:
        raise UsageError(
            f"{path}: the key for hashes cannot be kept: {error.strerror}; set ${config.DATA_DIR_VARIABLE}"
        ) from None

"""``dbtune capture sqlalchemy``: what an application's engines send becomes query files."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import options, output, writing
from dbtune.errors import ServerError, UsageError
from dbtune.workload.redaction import Redaction

if TYPE_CHECKING:
    from dbtune.workload.capture.execution import Execution
    from dbtune.workload.capture.recording import Told
    from dbtune.workload.query import Query

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([kMG]?)B?", re.IGNORECASE)
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def sqlalchemy(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND …", help="What to run, such as gunicorn app:app.")
    ] = None,
    recording: Annotated[
        Path | None,
        typer.Option("--recording", metavar="FILE", help="Keep the recording here.", show_default=False),
    ] = None,
    recorded: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Read this recording instead of running.", show_default=False),
    ] = None,
    sample: Annotated[float, typer.Option(help="The part of the statements to record, up to 1.")] = 1.0,
    max_size: Annotated[str, typer.Option(metavar="SIZE", help="Stop recording when its file is so large.")] = "256MB",
    query_dir: options.QueryDir = Path("queries"),
    merge: writing.Merge = False,
    redact: writing.Redact = Redaction.KEEP,
    keep_requests: writing.KeepRequests = None,
    url: options.Url = None,
    quiet: options.Quiet = False,
) -> None:
    """Run a command and write what all SQLAlchemy engines in it send as query files, with the values.

    Every Python process that the command starts is recorded, with its forks; nothing in its code changes. The exit
    code is the command's where that is not 0.

    \b
    Example: dbtune capture sqlalchemy -- gunicorn app:app
             dbtune capture sqlalchemy -- python -m pytest tests
             dbtune capture sqlalchemy --from app.recording --merge
    """
    from dbtune.workload.capture import launch

    if not 0 < sample <= 1:
        raise UsageError(f"--sample is the part of the statements to record, over 0 and up to 1, not {sample:g}")
    limit = _bytes(max_size)
    if recorded is not None:
        if command:
            raise UsageError("--from reads what was recorded before: it takes no command")
        _write(recorded, query_dir, url, merge=merge, redact=redact, keep_requests=keep_requests, quiet=quiet)
        return
    if not command:
        raise UsageError("nothing to run; write dbtune capture sqlalchemy -- COMMAND …")
    output.check_writable(recording)
    with tempfile.TemporaryDirectory(prefix="dbtune-") as folder:
        path = (recording or Path(folder) / "recording").absolute()
        path.unlink(missing_ok=True)
        code = launch.run(command, launch.environment(path, sample=sample, max_bytes=limit))
        if path.exists():
            _write(path, query_dir, url, merge=merge, redact=redact, keep_requests=keep_requests, quiet=quiet)
        elif not quiet:
            typer.echo(f"dbtune: {command[0]} sent nothing through SQLAlchemy, so no file was written", err=True)
    if code:
        raise typer.Exit(code)


def _bytes(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    if found is None or not (size := int(float(found[1]) * _UNITS[found[2].lower()])):
        raise UsageError(f"--max-size {text!r} is no size; write 256MB")
    return size


def _write(
    path: Path,
    query_dir: Path,
    url: str | None,
    *,
    merge: bool,
    redact: Redaction,
    keep_requests: Path | None,
    quiet: bool,
) -> None:
    from dbtune.workload.capture import recording
    from dbtune.workload.capture.collect import collect
    from dbtune.workload.capture.sqlalchemy import SOURCE

    told = recording.Told()
    queries = collect(_kept(recording.read(path, told), keep_requests), source=SOURCE)
    queries = _typed(queries, url, quiet)
    if not quiet:
        typer.echo(_summary(queries, told))
    if queries:
        writing.write(queries, query_dir, source=SOURCE, merge=merge, redact=redact, quiet=quiet)
    if told.skipped and not quiet:
        typer.echo(f"dbtune: {path}: {told.skipped} lines break off or cannot be read", err=True)


def _kept(executions: Iterator[Execution], path: Path | None) -> Iterator[Execution]:
    if path is None:
        return executions
    from dbtune.workload import requests
    from dbtune.workload.redaction import new_key

    return requests.kept(path, executions, new_key())


def _typed(queries: list[Query], url: str | None, quiet: bool) -> list[Query]:
    """Let the server name the types of parameters; where none is named, or there, those that were stated must do."""
    import os

    from dbtune import config
    from dbtune.server import connection as server
    from dbtune.workload.capture.collect import resolve_types

    if not queries or (url is None and not any(os.environ.get(name) for name in config.URL_VARIABLES)):
        return queries
    target = server.resolve(url, output.note(quiet))
    try:
        with server.connect(target) as connection, server.translated(target):
            return resolve_types(connection, queries)
    except ServerError as error:
        if not quiet:
            typer.echo(f"dbtune: types of parameters are as the application stated them: {error}", err=True)
        return queries


def _summary(queries: list[Query], told: Told) -> str:
    calls = sum(query.calls or 0 for query in queries)
    lines = [
        f"{_counted(len(queries), 'query', 'queries')}, {_counted(calls, 'call', 'calls')}"
        f" from {_counted(len(told.processes), 'process', 'processes')}"
    ]
    if told.wait_mean_ms is not None:
        lines.append(
            f"  waited for a connection {_counted(told.waits, 'time', 'times')}:"
            f" {told.wait_mean_ms:,.2f} ms on average, {told.wait_most_ms:,.0f} ms at most"
        )
    if told.hold_mean_ms is not None:
        lines.append(
            f"  kept a connection {_counted(told.holds, 'time', 'times')}:"
            f" {told.hold_mean_ms:,.2f} ms on average, {told.hold_most_ms:,.0f} ms at most"
        )
    if told.denials:
        lines.append(
            f"  got no connection {_counted(told.denials, 'time', 'times')},"
            f" after {told.denial_most_ms:,.0f} ms at most: {told.denial}"
        )
    return "\n".join(lines)


def _counted(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"

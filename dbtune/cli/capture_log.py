"""``dbtune capture log``: queries, plans and events from a server's log, evidence of pools from an application's."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from dbtune.cli import options, output, writing
from dbtune.errors import UsageError
from dbtune.workload.redaction import Redaction

if TYPE_CHECKING:
    from dbtune.workload.capture.execution import Execution
    from dbtune.workload.capture.log.gathered import Gathered

SOURCE = "log"


def log(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE…|-", help="Logs, also packed with gzip, bzip2, xz, zstd; - is stdin.")
    ],
    prefix: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The server's log_line_prefix; else it is found out.", show_default=False),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as the file grows, until Ctrl-C.")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="How many processes read large plain files.")] = 1,
    query_dir: options.QueryDir = Path("queries"),
    merge: writing.Merge = False,
    redact: writing.Redact = Redaction.KEEP,
    keep_requests: writing.KeepRequests = None,
    keep_plans: Annotated[
        Path | None,
        typer.Option(
            "--keep-plans", metavar="DIR", help="Write each query's slowest auto_explain plan.", show_default=False
        ),
    ] = None,
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Write what a server's log tells as query files, and print the events in it that matter for pools and locks.

    Reads stderr's format with any prefix, csvlog and jsonlog. The server writes durations and values with
    log_min_duration_statement (or its sampling), plans with auto_explain. Of an application's log it prints what is
    told of its connection pools: time-outs, sizes, connections checked out.

    \b
    Example: dbtune capture log /var/log/postgresql/*.log --jobs 2
    """
    from dbtune.render import document
    from dbtune.render import log as rendered
    from dbtune.workload.capture.collect import collect
    from dbtune.workload.capture.log import gathered as gathering
    from dbtune.workload.capture.log.prefix import prefix as prefix_of
    from dbtune.workload.fingerprint import fingerprint

    sources = _sources(files, follow)
    if keep_requests is not None and jobs > 1:
        raise UsageError("--keep-requests writes every call in its order, which needs --jobs 1")
    if keep_plans is not None and redact is not Redaction.KEEP:
        raise UsageError("plans hold values, which --redact cannot take out; leave out --keep-plans or --redact")
    output.check_writable(output_file)
    _check_folder(keep_plans)
    chosen = None if prefix is None else prefix_of(prefix)
    told = gathering.Gathered()
    plans: dict[str, dict[str, Any]] = {}
    with _until_interrupted(follow) as stopped:
        if follow:
            assert isinstance(sources[0], Path)  # so says _sources
            output.note(quiet)(f"following {sources[0]}; Ctrl-C ends it and writes the queries")
            executions = gathering.following(sources[0], chosen, told, stopped)
        else:
            executions = gathering.gathered(sources, chosen, told, jobs=jobs)
        if keep_plans is not None:
            executions = gathering.with_plans(executions, plans, fingerprint)
        with output.reading("reading", _size(sources), quiet or follow) as told.progress:
            queries = collect(_kept(executions, keep_requests), source=SOURCE)
    _warn(told, quiet)
    if queries:
        writing.write(
            queries,
            query_dir,
            source=SOURCE,
            merge=merge,
            redact=redact,
            quiet=quiet or format is not options.Format.TABLE or output_file is not None,
        )
    elif not quiet and told.is_of_server:
        typer.echo(
            "dbtune: no statement with its duration in it, so no file was written or removed; on the server set"
            " log_min_duration_statement = 0, or log_min_duration_sample for a part",
            err=True,
        )
    if keep_plans is not None:
        _write_plans(keep_plans, {q.name: plans[key] for q in queries if (key := fingerprint(q.statement)) in plans})
    if format is options.Format.JSON:
        output.write(document.to_json(rendered.document(told, queries)), output_file)
    elif not (quiet and output_file is None) and (
        text := rendered.text(told, markdown=format is options.Format.MARKDOWN)
    ):
        output.write(text, output_file)


def _sources(files: Sequence[str], follow: bool) -> list[Path | BinaryIO]:
    if files.count("-") > 1:
        raise UsageError("- is standard input, which can be read only once")
    if follow and (len(files) != 1 or files[0] == "-"):
        raise UsageError("--follow takes one file; a pipe is read until its end without it")
    return [sys.stdin.buffer if name == "-" else Path(name) for name in files]


def _size(sources: Sequence[Path | BinaryIO]) -> int:
    """Return the bytes of all files together; of a stream nobody knows, and a missing one is told when it is read."""
    return sum(each.stat().st_size for each in sources if isinstance(each, Path) and each.is_file())


def _check_folder(folder: Path | None) -> None:
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make {folder}: {error.strerror}; choose another --keep-plans") from None


def _kept(executions: Iterator[Execution], path: Path | None) -> Iterator[Execution]:
    if path is None:
        return executions
    from dbtune.workload import requests
    from dbtune.workload.redaction import new_key

    return requests.kept(path, executions, new_key())


@contextmanager
def _until_interrupted(wanted: bool) -> Iterator[Callable[[], bool]]:
    """Within the block Ctrl-C or a friendly kill ends a ``wanted`` following in order; the second one at once."""
    seen: list[int] = []

    def stop(number: int, frame: object) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM) if wanted else ()
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _warn(told: Gathered, quiet: bool) -> None:
    if quiet:
        return
    for name, reading in told.readings.items():
        if reading.format is None:
            typer.echo(f"dbtune: {name}: holds no entry", err=True)
        elif reading.unread.lines:
            first = reading.unread.first.encode("unicode_escape").decode()
            typer.echo(f"dbtune: {name}: {reading.unread.lines} lines belong to no entry, the first: {first}", err=True)


def _write_plans(folder: Path, plans: dict[str, dict[str, Any]]) -> None:
    try:
        for name, plan in plans.items():
            (folder / f"{name}.json").write_text(json.dumps([plan], indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}; choose another --keep-plans") from None

"""Running a schedule in this process or in several, with progress, and telling what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

import typer

from dbtune.cli import options, output
from dbtune.errors import ServerError, UsageError
from dbtune.load import record
from dbtune.load.hammer import Hammer, Options, check_files
from dbtune.load.outcome import Outcome
from dbtune.load.record import Head, Row, Writer
from dbtune.load.route import Route
from dbtune.load.schedule import Schedule
from dbtune.load.summary import Summary
from dbtune.load.timeline import Timeline

_AHEAD_S = 1.5
"""Processes start together this long after they were asked to."""

_KEPT = 200_000
"""Of more rows than this the page shows only a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What to send; ``shard`` as people write it, ``words`` the schedule as they read it."""

    target: str
    routes: tuple[Route, ...]
    schedule: Schedule
    words: str
    options: Options
    shard: str = "1/1"

    def mine(self) -> Schedule:
        """Return this shard's part.

        :raises UsageError: it is not written K/M.
        """
        k, _, m = self.shard.partition("/")
        if not (k.isdigit() and m.isdigit()):
            raise UsageError(f"--shard {self.shard!r}: write K/M, such as 1/3")
        return self.schedule.shard(int(k), int(m))


@dataclass(slots=True)
class Done:
    """What came of it; ``rows`` are the first of them."""

    head: Head
    summary: Summary
    timeline: Timeline
    rows: list[Row]
    interrupted: bool = False
    count: int = 0
    good: int = 0

    def add(self, row: Row) -> None:
        """Count a row."""
        self.count += 1
        self.good += row.outcome.is_success
        self.summary.add(row)
        self.timeline.add(row)
        if len(self.rows) < _KEPT:
            self.rows.append(row)


def send(run: Run, raw: Path | None, processes: int, quiet: bool) -> Done:
    """Send it all, keeping raw rows where asked; on Ctrl-C what was sent so far is told.

    :raises ServerError: the service was never there.
    """
    schedule = run.mine()
    doubt = check_files(schedule, run.options.timeout)
    if doubt is not None:
        typer.echo(f"dbtune: {doubt}", err=True)
    head = Head(
        target=run.target,
        schedule=run.words,
        requests=len(schedule.due),
        began=time.time(),
        shard=run.shard,
        cells=run.schedule.cells,
        routes=tuple(route.name for route in run.routes),
    )
    done = Done(head, Summary(planned=len(schedule.due)), Timeline(schedule.seconds), [])
    with _raw(raw) as file, output.progress("sending", max(1, len(schedule.due)), quiet) as step:
        if processes == 1:
            done.interrupted = _here(run, schedule, done, head, file, step)
        else:
            done.interrupted = _shared(run, schedule, done, head, file, step, processes)
    answered = sum(count for outcome, count in done.summary.all.outcomes.items() if outcome is not Outcome.REFUSED)
    if done.summary.all.count and not answered:
        raise ServerError(f"{run.target} refuses every connection: is the service there?")
    return done


@contextlib.contextmanager
def _raw(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    with path.open("w", encoding="utf-8") as file:
        yield file


def _here(
    run: Run, schedule: Schedule, done: Done, head: Head, file: TextIO | None, step: Callable[[str], None]
) -> bool:
    """Send it from this process; return whether a signal ended it."""
    writer = None if file is None else Writer(file, head)

    def keep(row: Row) -> None:
        done.add(row)
        if writer is not None:
            writer.write(row)
        step(f"{done.good / done.count:.0%} ok")

    return _sent(run.target, run.routes, schedule, run.options, keep)


def _sent(
    target: str, routes: tuple[Route, ...], schedule: Schedule, given: Options, keep: Callable[[Row], None]
) -> bool:
    import uvloop

    hammer = Hammer(target, routes, schedule, given, keep)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(hammer.run())
    except KeyboardInterrupt:
        return True
    return False


def _shared(
    run: Run,
    schedule: Schedule,
    done: Done,
    head: Head,
    file: TextIO | None,
    step: Callable[[str], None],
    processes: int,
) -> bool:
    """Send it from several processes, which write raw rows that are merged; return whether a signal ended it."""
    at = run.options.start_at if run.options.start_at is not None else time.time() + _AHEAD_S + 0.2 * processes
    given = replace(run.options, start_at=at)
    context = multiprocessing.get_context("spawn")
    writer = None if file is None else Writer(file, head)
    interrupted = False
    with tempfile.TemporaryDirectory(prefix="dbtune-hammer-") as folder:
        workers = []
        for k in range(processes):
            part = Schedule(due=schedule.due[k::processes], cells=schedule.cells)
            ours, theirs = context.Pipe(duplex=False)
            path = Path(folder) / f"{k}"
            process = context.Process(
                target=_work, args=(run.target, run.routes, part, given, head, path, theirs), daemon=True
            )
            process.start()
            theirs.close()
            workers.append((process, ours, path))
        told = ""
        try:
            for process, ours, _ in workers:
                while True:
                    try:
                        told = told or ours.recv()
                    except EOFError:
                        break
                process.join()
        except KeyboardInterrupt:
            interrupted = True
            for process, _, _ in workers:
                process.join(5)
                process.kill()
        if told:
            raise UsageError(told)
        for _, _, path in workers:
            with contextlib.suppress(UsageError):
                for row in record.rows(path):
                    done.add(row)
                    step("")
                    if writer is not None:
                        writer.write(row)
    return interrupted


def _work(
    target: str,
    routes: tuple[Route, ...],
    part: Schedule,
    given: Options,
    head: Head,
    path: Path,
    told: Connection,
) -> None:
    """Send a part, in a process of its own."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with path.open("w", encoding="utf-8") as file:
        writer = Writer(file, head)
        try:
            _sent(target, routes, part, given, writer.write)
        except UsageError as error:
            told.send(str(error))
    told.close()


def tell(done: Done, format: options.Format, output_file: Path | None, html: Path | None) -> None:
    """Write what came of it."""
    from dbtune.render import document
    from dbtune.render import load as render

    if html is not None:
        from dbtune.render.html import load as web

        output.write(web.page(done.head, done.summary, done.rows, done.timeline), html)
    if format is options.Format.JSON:
        text = document.to_json(render.document(done.head, done.summary))
    else:
        width = 200 if output_file is not None else output.width()
        markdown = format is options.Format.MARKDOWN
        text = render.screen(done.head, done.summary, done.timeline, width, markdown=markdown)
    output.write(text, output_file)

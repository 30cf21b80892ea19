"""Running a schedule in this process or in several, with progress, and keeping what comes of it."""

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

from dbtune.cli import output
from dbtune.cli.hammered import Done, begin
from dbtune.errors import ServerError, UsageError
from dbtune.load import record
from dbtune.load.hammer import Hammer, Options, check_files
from dbtune.load.outcome import Outcome
from dbtune.load.record import Head, Row, Writer
from dbtune.load.route import Route
from dbtune.load.schedule import Schedule

_AHEAD_S = 1.5
"""Processes start together this long after they were asked to."""


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

    def head(self, schedule: Schedule, began: float) -> Head:
        """Return what is said of a run of this part of the schedule."""
        return Head(
            target=self.target,
            schedule=self.words,
            requests=len(schedule.due),
            began=began,
            seconds=self.schedule.seconds,
            shard=self.shard,
            cells=self.schedule.cells,
            routes=tuple(dict.fromkeys(route.name for route in self.routes)),
        )


def send(run: Run, raw: Path | None, processes: int, quiet: bool) -> Done:
    """Send it all, keeping raw rows where asked; on Ctrl-C what was sent so far is told.

    :raises ServerError: the service was never there.
    """
    schedule = run.mine()
    doubt = check_files(schedule, run.options.timeout)
    if doubt is not None:
        typer.echo(f"dbtune: {doubt}", err=True)
    given = run.options
    if given.start_at is None and processes > 1:
        given = replace(given, start_at=time.time() + _AHEAD_S + 0.2 * processes)
    head = run.head(schedule, time.time() if given.start_at is None else given.start_at)
    done = begin(head, schedule.seconds)
    with opened(raw) as file, output.progress("sending", max(1, len(schedule.due)), quiet) as step:
        if processes == 1:
            done.interrupted = _here(run, given, schedule, done, file, step)
        else:
            done.interrupted = _shared(run, given, schedule, done, file, step, processes)
    return checked(run, done)


def checked(run: Run, done: Done) -> Done:
    """Return what came of a run.

    :raises ServerError: the service was never there.
    """
    answered = sum(count for outcome, count in done.summary.all.outcomes.items() if outcome is not Outcome.REFUSED)
    if done.summary.all.count and not answered:
        raise ServerError(f"{run.target} refuses every connection: is the service there?")
    return done


@contextlib.contextmanager
def opened(path: Path | None) -> Iterator[TextIO | None]:
    """Open the file for raw rows for the block, if there is to be one."""
    if path is None:
        yield None
        return
    with path.open("w", encoding="utf-8") as file:
        yield file


def _here(
    run: Run, given: Options, schedule: Schedule, done: Done, file: TextIO | None, step: Callable[[str], None]
) -> bool:
    """Send it from this process; return whether a signal ended it."""
    writer = None if file is None else Writer(file, done.head)

    def keep(row: Row) -> None:
        done.add(row)
        if writer is not None:
            writer.write(row)
        step(f"{done.good / done.count:.0%} ok")

    return _sent(run.target, run.routes, schedule, given, keep)


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
    given: Options,
    schedule: Schedule,
    done: Done,
    file: TextIO | None,
    step: Callable[[str], None],
    processes: int,
) -> bool:
    """Send it from several processes, which write raw rows that are merged; return whether a signal ended it."""
    context = multiprocessing.get_context("spawn")
    writer = None if file is None else Writer(file, done.head)
    interrupted = False
    with tempfile.TemporaryDirectory(prefix="dbtune-hammer-") as folder:
        workers = []
        for k in range(processes):
            part = Schedule(due=schedule.due[k::processes], cells=schedule.cells)
            ours, theirs = context.Pipe(duplex=False)
            path = Path(folder) / f"{k}"
            process = context.Process(
                target=_work, args=(run.target, run.routes, part, given, done.head, path, theirs), daemon=True
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

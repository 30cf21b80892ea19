"""Running a schedule in this process or in several, with progress, and keeping what comes of it."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
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

_AHEAD_S = 0.3
"""Processes start together this long after all of them are ready."""


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
    with contextlib.ExitStack() as stack:
        workers = stack.enter_context(_started(run, schedule, processes)) if processes > 1 else ()
        begins = run.options.start_at
        if workers and begins is None:
            begins = time.time() + _AHEAD_S
        head = run.head(schedule, time.time() if begins is None else begins)
        done = begin(head, schedule.seconds)
        file = stack.enter_context(opened(raw))
        step = stack.enter_context(output.progress("sending", max(1, len(schedule.due)), quiet))
        if begins is not None and workers:
            done.interrupted = _shared(workers, begins, done, file, step)
        else:
            done.interrupted = _here(run, schedule, done, file, step)
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


def _here(run: Run, schedule: Schedule, done: Done, file: TextIO | None, step: Callable[[str], None]) -> bool:
    """Send it from this process; return whether a signal ended it."""
    writer = None if file is None else Writer(file, done.head)

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


@dataclass(frozen=True, slots=True)
class _Worker:
    """A process that sends a part and writes its rows to ``path``."""

    process: SpawnProcess
    pipe: Connection
    path: Path


@contextlib.contextmanager
def _started(run: Run, schedule: Schedule, processes: int) -> Iterator[Sequence[_Worker]]:
    """Start processes that have loaded all that they need, and wait to be told when to begin."""
    context = multiprocessing.get_context("spawn")
    head = run.head(schedule, 0.0)
    with tempfile.TemporaryDirectory(prefix="dbtune-hammer-") as folder:
        workers = []
        for k in range(processes):
            part = Schedule(due=schedule.due[k::processes], cells=schedule.cells)
            ours, theirs = context.Pipe()
            path = Path(folder, str(k))
            arguments = (run.target, run.routes, part, run.options, head, path, theirs)
            process = context.Process(target=_work, args=arguments, daemon=True)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # it must not end with a traceback as it loads
            try:
                process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            theirs.close()
            workers.append(_Worker(process, ours, path))
        try:
            for worker in workers:
                worker.pipe.recv()
        except EOFError:
            raise UsageError("a process that was to send ended before it began") from None
        yield workers


def _shared(
    workers: Sequence[_Worker], begins: float, done: Done, file: TextIO | None, step: Callable[[str], None]
) -> bool:
    """Let all send from ``begins``, Unix time, and merge their rows; return whether a signal ended it."""
    writer = None if file is None else Writer(file, done.head)
    interrupted = False
    told = ""
    try:
        for worker in workers:
            worker.pipe.send(begins)
        for worker in workers:
            with contextlib.suppress(EOFError):
                told = worker.pipe.recv() or told
            worker.process.join()
    except KeyboardInterrupt:
        interrupted = True
        for worker in workers:
            worker.process.join(5)
            worker.process.kill()
    if told:
        raise UsageError(told)
    for worker in workers:
        with contextlib.suppress(UsageError):
            for row in record.rows(worker.path):
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
    pipe: Connection,
) -> None:
    """Send a part, in a process of its own."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt, EOFError):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        pipe.send("")
        begins = pipe.recv()
        with path.open("w", encoding="utf-8") as file:
            try:
                _sent(target, routes, part, replace(given, start_at=begins), Writer(file, head).write)
            except UsageError as error:
                pipe.send(str(error))
    pipe.close()

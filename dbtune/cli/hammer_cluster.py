"""Sending with the workers of a Dask cluster, with progress, and keeping what comes of it."""

from __future__ import annotations

import math
import time
from pathlib import Path

import typer

from dbtune.cli import output
from dbtune.cli.hammered import Done, begin
from dbtune.cli.hammering import Run, checked, opened
from dbtune.cluster import connected
from dbtune.errors import UsageError
from dbtune.load import cluster
from dbtune.load.cluster import Clock, Shared
from dbtune.load.record import Head, Writer

_TOLERATED_S = 0.02
"""Clocks that are known less well than this are told of: the workers may be out of step by it."""


def send(run: Run, raw: Path | None, address: str, processes: int, quiet: bool) -> Done:
    """Let each worker send its part; on Ctrl-C all stop, and what was sent so far is told.

    :raises UsageError: an option of one machine's is given too, or a worker cannot send.
    :raises ServerError: the scheduler, a worker or the service is not there.
    """
    if processes > 1 or run.shard != "1/1" or run.options.start_at is not None:
        raise UsageError("--cluster shares the load among its workers: leave out --processes, --shard and --start-at")
    with connected(address) as client:
        names = cluster.workers(client)
        head = run.head(run.schedule, time.time())
        shared = cluster.send(client, names, run.target, run.routes, run.schedule, run.options, head)
        if not quiet:
            typer.echo(f"dbtune: {_compared(shared.clocks)}", err=True)
        done = begin(_began(head, shared), run.schedule.seconds)
        done.interrupted = _wait(shared, run.schedule.seconds, quiet)
        with opened(raw) as file:
            writer = None if file is None else Writer(file, done.head)
            for row in sorted(shared.rows(), key=lambda row: row.due if row.done is None else row.done):
                done.add(row)
                if writer is not None:
                    writer.write(row)
    return checked(run, done)


def _began(head: Head, shared: Shared) -> Head:
    from dataclasses import replace

    told = [{"worker": each.worker, "ahead_s": each.ahead, "error_s": each.error} for each in shared.clocks]
    return replace(head, began=shared.began, notes={"workers": told})


def _wait(shared: Shared, seconds: float, quiet: bool) -> bool:
    """Wait for all parts; return whether a signal ended it."""
    steps = max(1, math.ceil(seconds))
    shown = 0
    with output.progress(f"sending with {len(shared.futures)} workers", steps, quiet) as step:
        try:
            while not shared.wait(1.0):
                while shown < min(steps, int(time.time() - shared.began)):
                    shown += 1
                    step("")
        except KeyboardInterrupt:
            shared.stop()
            while not shared.wait(1.0):
                pass
            return True
    return False


def _compared(clocks: tuple[Clock, ...]) -> str:
    spread = max(each.ahead for each in clocks) - min(each.ahead for each in clocks)
    error = max(each.error for each in clocks)
    told = f"{len(clocks)} workers; their clocks are {spread * 1000:.1f} ms apart, known to {error * 1000:.1f} ms"
    return told + (": they may be out of step by that" if error > _TOLERATED_S else "")

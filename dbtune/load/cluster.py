"""A run shared among the workers of a Dask cluster: a part for each, begun together by their own clocks.

A worker's clock is compared by asking it for the time: it read it somewhere between question and answer, so half of
the quickest round trip bounds the error (Cristian's algorithm).
"""

from __future__ import annotations

import asyncio
import io
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dbtune.errors import DbtuneError, ServerError, UsageError
from dbtune.load import record
from dbtune.load.hammer import Hammer, Options, check_files
from dbtune.load.record import Head, Row, Writer
from dbtune.load.route import Route
from dbtune.load.schedule import Schedule

if TYPE_CHECKING:
    from distributed import Client, Future

_TRIPS = 7
_POLL_S = 0.2
_AHEAD_S = 2.0
"""Workers begin together this long after they were asked to, and a little longer for each of them."""

_AHEAD_EACH_S = 0.1
_ANSWER_S = 10.0

_stopped: set[str] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """By how many seconds a worker's clock is ahead of ours, and how far that may be wrong."""

    worker: str
    ahead: float
    error: float


@dataclass(slots=True)
class Shared:
    """A run under way; ``rows`` are there when it is over."""

    client: Client
    id: str
    began: float
    clocks: tuple[Clock, ...]
    futures: dict[str, Future[bytes]]

    def wait(self, seconds: float) -> bool:
        """Wait so long at most, and return whether all parts are over.

        :raises ServerError: a worker is gone.
        """
        from distributed import wait

        pending = [future for future in self.futures.values() if not _is_over(future)]
        if pending:
            try:
                with self.client.as_current():  # wait() takes the current client, and ours is not the default
                    wait(pending, timeout=seconds)  # type: ignore[no-untyped-call]
            except TimeoutError:
                there = self.client.nthreads()  # type: ignore[no-untyped-call]
                for worker, future in self.futures.items():
                    if worker not in there and not _is_over(future):
                        raise ServerError(f"worker {worker} is gone, and its part of the requests with it") from None
        return all(_is_over(future) for future in self.futures.values())

    def stop(self) -> None:
        """Let the workers stop; what was sent so far is there afterwards."""
        self.client.run(_stop, self.id, workers=list(self.futures))

    def rows(self) -> Iterator[Row]:
        """Yield the rows of all parts, a part after the other.

        :raises UsageError: a worker could not send.
        :raises ServerError: a worker failed.
        """
        for worker, future in self.futures.items():
            try:
                packed = future.result(timeout=_ANSWER_S)
            except DbtuneError as error:
                raise UsageError(f"worker {worker}: {error}") from None
            except ImportError as error:
                raise UsageError(f"worker {worker}: {error}: install the same dbtune[load] there") from None
            except Exception as error:
                raise ServerError(
                    f"worker {worker}: {str(error).partition(chr(10))[0] or type(error).__name__}"
                ) from None
            yield from record.parsed(zlib.decompress(packed).decode())


def _is_over(future: Future[bytes]) -> bool:
    return bool(future.done())  # type: ignore[no-untyped-call]


def workers(client: Client) -> list[str]:
    """Return the addresses of the cluster's workers, in order.

    :raises ServerError: there is none.
    """
    found = sorted(client.nthreads())  # type: ignore[no-untyped-call]
    if not found:
        raise ServerError("the cluster has no workers: start some (dask worker ADDRESS)")
    return found


def clocks(client: Client, names: Sequence[str]) -> tuple[Clock, ...]:
    """Return how the clocks of the workers compare with ours."""
    found = []
    for name in names:
        tries = []
        for _ in range(_TRIPS):
            before = time.time()
            theirs = client.run(time.time, workers=[name])[name]
            after = time.time()
            tries.append(((after - before) / 2, theirs - (before + after) / 2))
        error, ahead = min(tries)
        found.append(Clock(worker=name, ahead=ahead, error=error))
    return tuple(found)


def send(
    client: Client,
    names: Sequence[str],
    target: str,
    routes: tuple[Route, ...],
    schedule: Schedule,
    options: Options,
    head: Head,
) -> Shared:
    """Hand each worker its part, of every m-th request, and return at once.

    :raises ServerError: a worker does not tell its time.
    """
    compared = clocks(client, names)
    began = time.time() + _AHEAD_S + _AHEAD_EACH_S * len(names)
    run = uuid.uuid4().hex
    futures = {}
    for k, clock in enumerate(compared):
        part = Schedule(due=schedule.due[k :: len(names)], cells=schedule.cells)
        futures[clock.worker] = client.submit(
            _work,
            target,
            routes,
            part,
            replace(options, start_at=began + clock.ahead),
            head,
            run,
            key=f"dbtune-hammer-{run}-{k}",
            workers=[clock.worker],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
    return Shared(client=client, id=run, began=began, clocks=compared, futures=futures)


def _work(target: str, routes: tuple[Route, ...], part: Schedule, options: Options, head: Head, run: str) -> bytes:
    """Send a part, on a worker; return its raw rows."""
    import uvloop

    text = io.StringIO()
    writer = Writer(text, head)
    if part.due:
        check_files(part, options.timeout)
        hammer = Hammer(target, routes, part, options, writer.write)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_unwanted(hammer, _wanted(run)))
    return zlib.compress(text.getvalue().encode())


async def _until_unwanted(hammer: Hammer, wanted: Callable[[], bool]) -> None:
    """Run it, and stop it when nobody wants it any more; what is under way is told as not answered."""
    task = asyncio.create_task(hammer.run())
    while not task.done():
        await asyncio.wait([task], timeout=_POLL_S)
        if not task.done() and not wanted():
            task.cancel()
            await asyncio.wait([task])
            return
    task.result()


def _wanted(run: str) -> Callable[[], bool]:
    """Return what tells whether a part is still wanted: not if it was stopped, nor if whoever asked for it is gone."""
    from distributed import get_worker

    worker: Any = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return run not in _stopped and task is not None and task.state == "executing"

    return wanted


def _stop(run: str) -> None:
    _stopped.add(run)

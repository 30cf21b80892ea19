"""Sending a schedule: each request at its time, whether or not the ones before were answered."""

from __future__ import annotations

import asyncio
import base64
import errno
import math
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
from aiohttp.client_exceptions import ClientConnectorError, ClientOSError, ServerDisconnectedError
from yarl import URL

from dbtune.errors import UsageError
from dbtune.load.outcome import Outcome, of_status
from dbtune.load.record import Row
from dbtune.load.route import Request, Route
from dbtune.load.schedule import Due, Schedule

_SPARE_FILES = 64
_GRACE_S = 0.25
_WORDS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to send. ``timeout`` is in seconds, of a whole request; ``user`` are the name and password of basic auth."""

    timeout: float = 60.0
    keep_alive: bool = True
    user: tuple[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    seed: int = 1
    start_at: float | None = None


@dataclass(slots=True)
class Progress:
    """How far a run is; ``in_flight`` are sent and not answered."""

    sent: int = 0
    done: int = 0
    failed: int = 0

    @property
    def in_flight(self) -> int:
        """Return how many wait for an answer."""
        return self.sent - self.done


def check_files(schedule: Schedule, timeout: float) -> str | None:
    """Raise the limit of open files as far as it may be; return what to know if it may still be too low.

    :raises UsageError: it is too low for what is sent within one second.
    """
    most = _within(schedule, timeout) + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= most:
        if soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return None
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if schedule.peak + _SPARE_FILES > hard:
        raise UsageError(
            f"{schedule.peak} requests within a second need as many open files, and this process may have {hard}:"
            " raise ulimit -n, or share the load (--processes, --shard)"
        )
    return f"up to {most} requests may be open at once, and this process may have {hard} files: raise ulimit -n"


def _within(schedule: Schedule, seconds: float) -> int:
    """Return the most requests that are due within so many seconds."""
    most = first = 0
    for number, each in enumerate(schedule.due):
        while each.at - schedule.due[first].at > seconds:
            first += 1
        most = max(most, number - first + 1)
    return most


class Hammer:
    """Sends one schedule to ``target``, a URL; ``keep`` is given each row as soon as it is known."""

    def __init__(
        self,
        target: str,
        routes: Sequence[Route],
        schedule: Schedule,
        options: Options,
        keep: Callable[[Row], None],
    ) -> None:
        self._target = target.rstrip("/")
        self._routes = routes
        self._schedule = schedule
        self._options = options
        self._keep = keep
        self._start = 0.0
        self.progress = Progress()
        self.began = 0.0

    async def run(self, tell: Callable[[Progress], None] = lambda progress: None) -> None:
        """Send all of it and wait for the last answer; cancelled, it tells of what is under way as not answered."""
        options = self._options
        headers = dict(options.headers)
        if options.user is not None:
            pair = ":".join(options.user).encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        connector = aiohttp.TCPConnector(limit=0, force_close=not options.keep_alive)
        timeout = aiohttp.ClientTimeout(total=options.timeout)
        tasks: set[asyncio.Task[None]] = set()
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            headers=headers,
            auto_decompress=False,
            skip_auto_headers=("User-Agent",),
        ) as session:
            await self._begin()
            teller = asyncio.create_task(self._telling(tell))
            try:
                for due in self._schedule.due:
                    ahead = self._start + due.at - time.perf_counter()
                    if ahead > 0:
                        # Whole milliseconds, uvloop's unit, which it rounds: nothing is sent before it is due.
                        await asyncio.sleep(math.ceil(ahead * 1000) / 1000)
                    elif due.number % 64 == 0:
                        await asyncio.sleep(0)  # behind, but answers must be read all the same
                    task = asyncio.create_task(self._send(session, due))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                if tasks:
                    await asyncio.wait(tasks)
            finally:
                teller.cancel()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin(self) -> None:
        """Agree on when the schedule starts: at a time that several machines were told, or now."""
        wait = _GRACE_S if self._options.start_at is None else self._options.start_at - time.time()
        if wait < 0:
            raise UsageError(f"--start-at: that was {-wait:.1f} s ago")
        self.began = time.time() + wait
        self._start = time.perf_counter() + wait

    async def _telling(self, tell: Callable[[Progress], None]) -> None:
        while True:
            await asyncio.sleep(0.25)
            tell(self.progress)

    async def _send(self, session: aiohttp.ClientSession, due: Due) -> None:
        route = self._routes[due.route]
        request = route.request(due.number, self._options.seed)
        sent = time.perf_counter() - self._start
        self.progress.sent += 1
        status: int | None = None
        try:
            outcome, status, detail = await self._answer(session, request)
        except asyncio.CancelledError:
            outcome, detail = Outcome.TIMED_OUT, "the run was stopped"
            raise
        except Exception as error:
            outcome, detail = _failure(error)
        finally:
            self.progress.done += 1
            self.progress.failed += not outcome.is_success
            self._keep(
                Row(
                    number=due.number,
                    cell=due.cell,
                    route=route.name,
                    due=due.at,
                    sent=sent,
                    done=time.perf_counter() - self._start,
                    outcome=outcome,
                    status=status,
                    detail=detail,
                )
            )

    async def _answer(self, session: aiohttp.ClientSession, request: Request) -> tuple[Outcome, int, str]:
        async with session.request(
            request.method,
            URL(self._target + request.path, encoded=True),
            json=request.body,
            headers=request.headers or None,
            allow_redirects=False,
        ) as answer:
            body = await answer.read()
        outcome = of_status(answer.status)
        if not outcome.is_success and answer.status not in request.statuses:
            return outcome, answer.status, " ".join(body[:400].decode(errors="replace").split())[:_WORDS]
        wrong = request.wrong(answer.status, body)
        if wrong is not None:
            return Outcome.WRONG, answer.status, wrong
        return (outcome if outcome.is_success else Outcome.SUCCESS), answer.status, ""


def _failure(error: Exception) -> tuple[Outcome, str]:
    """Return what an error of the connection's means."""
    said = " ".join(str(error).split())[:_WORDS]
    if isinstance(error, TimeoutError):
        return Outcome.TIMED_OUT, "no answer in time"
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return Outcome.UNSENT, "too many open files"
    if isinstance(error, ClientConnectorError):
        if error.errno == errno.ETIMEDOUT:
            return Outcome.TIMED_OUT, "no connection in time"
        return (Outcome.RESET if error.errno == errno.ECONNRESET else Outcome.REFUSED), said
    if isinstance(error, ServerDisconnectedError):
        return Outcome.EMPTY, "closed without an answer"
    if isinstance(error, ClientOSError | OSError):
        return Outcome.RESET, said
    if isinstance(error, aiohttp.ClientError):
        return Outcome.EMPTY, said or type(error).__name__
    raise error

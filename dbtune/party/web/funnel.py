"""The funnel: how many requests reached each stage, counted by every process where any other can read it.

Each process keeps its counts in a file of its own that it has mapped into memory, so they outlive it, and a reader
sums the files. A request that is done stands on one line of each of these sums (``hit`` = ``no_database`` +
``pool_wait`` and so on); one under way makes the left side larger. :data:`SUMS` has them all.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

STAGES = {
    "accepted": "requests that a process took from its socket",
    "turned_away": "answered before the route's function: no such path, no right, malformed",
    "cached": "answered from the cache",
    "hit": "reached the route's function",
    "no_database": "answered by the function without the database",
    "pool_wait": "began to wait for a connection of the pool",
    "pool_timeout": "gave up: no connection came free within pool_timeout (sqlalche.me/e/20/3o7r)",
    "too_many_clients": "refused by the server: it has no connection left (SQLSTATE 53300)",
    "connect_failed": "could not connect for another reason",
    "connection": "got a connection",
    "no_query": "got one and sent nothing",
    "query_started": "sent a statement",
    "query_failed": "a statement or the commit failed",
    "query_completed": "all statements and the commit done",
    "written": "the answer was given to the kernel",
    "unwritten": "the client had gone before its answer was written",
    "status_2xx": "answers by status",
    "status_3xx": "",
    "status_4xx": "",
    "status_500": "",
    "status_503": "",
    "status_5xx": "other 5xx",
    "statements": "statements sent, several a request",
    "unthreaded": "connections dropped because no thread could be started",
}
"""Each counter with its meaning, in a request's order."""

SUMS = {
    "accepted": ("turned_away", "cached", "hit"),
    "hit": ("no_database", "pool_wait"),
    "pool_wait": ("pool_timeout", "too_many_clients", "connect_failed", "connection"),
    "connection": ("no_query", "query_started"),
    "query_started": ("query_failed", "query_completed"),
}
"""Where the requests of a stage went next; also ``accepted`` = ``written`` + ``unwritten``."""

_INDEX = {name: at for at, name in enumerate(STAGES)}
_SUFFIX = ".counts"
_BYTES = 8


@dataclass(frozen=True, slots=True)
class Funnel:
    """The counts of each process, by its id."""

    processes: dict[int, dict[str, int]]

    @property
    def total(self) -> dict[str, int]:
        """The counts of all processes together."""
        return {name: sum(counts[name] for counts in self.processes.values()) for name in STAGES}

    @property
    def in_flight(self) -> int:
        """How many requests were accepted and not answered: they are under way, or died with their process."""
        total = self.total
        return total["accepted"] - total["written"] - total["unwritten"]

    @property
    def open(self) -> dict[str, int]:
        """How many requests stand at each stage of :data:`SUMS` and have gone no further; all 0 when all are done."""
        total = self.total
        return {stage: total[stage] - sum(total[each] for each in next_) for stage, next_ in SUMS.items()}

    def since(self, earlier: Funnel) -> Funnel:
        """Return what was counted after ``earlier``."""
        none = dict.fromkeys(STAGES, 0)
        return Funnel(
            {
                pid: {name: count - earlier.processes.get(pid, none)[name] for name, count in counts.items()}
                for pid, counts in self.processes.items()
            }
        )

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "schema_version": 1,
            "total": self.total,
            "in_flight": self.in_flight,
            "processes": [{"pid": pid, "counts": counts} for pid, counts in sorted(self.processes.items())],
        }


def read(folder: Path) -> Funnel:
    """Return the counts of all processes that count in ``folder``."""
    found = {}
    for path in folder.glob(f"*{_SUFFIX}"):
        cells = memoryview(path.read_bytes()).cast("Q")
        if len(cells) == len(STAGES):  # else its process is just making it
            found[int(path.stem)] = dict(zip(STAGES, cells, strict=True))
    return Funnel(found)


class Counters:
    """The counts of this process, kept in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        size = len(STAGES) * _BYTES
        with (folder / f"{os.getpid()}{_SUFFIX}").open("a+b") as file:
            file.truncate(size)
            self._cells = memoryview(mmap.mmap(file.fileno(), size)).cast("Q")

    def add(self, *names: str) -> None:
        """Count one of each."""
        with self._lock:
            for name in names:
                self._cells[_INDEX[name]] += 1


class Trail:
    """How far one request has come. Marks beyond the first of a kind change nothing: a stage counts requests."""

    __slots__ = ("_counters", "_marks", "status")

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._marks: set[str] = set()
        self.status = 0

    def mark(self, name: str) -> None:
        """Note that the request reached the stage."""
        if name not in self._marks:
            self._marks.add(name)
            self._counters.add(name)

    def has(self, name: str) -> bool:
        """Return whether the request reached the stage."""
        return name in self._marks

    def statement(self) -> None:
        """Note that a statement is sent."""
        self._counters.add("statements")
        self.mark("query_started")

    def finish(self, *, written: bool) -> None:
        """Note the answer, and at which stage the request left the funnel."""
        if not self.has("hit"):
            self.mark("cached" if self.status == 200 else "turned_away")
        elif not self.has("pool_wait"):
            self.mark("no_database")
        elif not self.has("connection"):
            if not self._marks & {"pool_timeout", "too_many_clients"}:
                self.mark("connect_failed")
        elif not self.has("query_started"):
            self.mark("no_query")
        elif not self.has("query_completed"):
            self.mark("query_failed")
        exact = f"status_{self.status}"
        self.mark(
            exact if exact in STAGES else f"status_{self.status // 100}xx" if self.status >= 200 else "status_5xx"
        )
        self.mark("written" if written else "unwritten")


_current: ContextVar[Trail | None] = ContextVar("party_trail", default=None)


def current() -> Trail | None:
    """Return the trail of the request that is being answered, if one is."""
    return _current.get()


class Counted:
    """A WSGI application around another, which counts the requests below ``prefix``."""

    def __init__(self, application: WSGIApplication, counters: Counters, prefix: str) -> None:
        self._application = application
        self._counters = counters
        self._prefix = prefix

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if not environ.get("PATH_INFO", "").startswith(self._prefix):
            return self._application(environ, start_response)
        trail = Trail(self._counters)
        trail.mark("accepted")

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            trail.status = int(status[:3])
            return start_response(status, headers, exc_info)

        token = _current.set(trail)
        try:
            return _Answer(self._application(environ, start), trail)
        except BaseException:
            trail.finish(written=False)
            raise
        finally:
            _current.reset(token)


class _Answer:
    """An answer's body, which knows whether the server wrote all of it: it asks for more when it has."""

    def __init__(self, body: Iterable[bytes], trail: Trail) -> None:
        self._body = body
        self._chunks = iter(body)
        self._trail = trail
        self._done = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except StopIteration:
            self._finish(written=True)
            raise

    def close(self) -> None:
        """Be done, written or not."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()
        self._finish(written=False)

    def _finish(self, *, written: bool) -> None:
        if not self._done:
            self._done = True
            self._trail.finish(written=written)

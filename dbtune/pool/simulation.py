"""The same pools by events: any holds and arrivals, several processes, a server that refuses, QueuePool's order.

A process's pool works as SQLAlchemy's QueuePool does: it keeps ``size`` connections once opened, opens ``overflow``
more under need and closes them on return, and lets callers wait for ``patience`` seconds. The server refuses those
beyond ``limit``; what is kept open by one process cannot be used by another. Busy connections share the server: with n
of them busy each goes on at the pace X(n)/n.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from dbtune.errors import UsageError
from dbtune.pool.curve import Curve
from dbtune.pool.queue import Steady, Wait

_WARM = 0.1
"""The share of requests at the start that is not counted: the pools are empty then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What is simulated. ``patience`` in seconds; ``limit`` None: the server refuses nobody.

    ``variation`` is the coefficient of variation of the holds (1: exponential, 0: all alike, above: gamma distributed),
    ``burstiness`` that of the times between arrivals. ``slips`` is how long, in seconds, a returned connection lies in
    the queue before the waiter that it woke takes it: in that time a newcomer may take it, and the waiter goes to the
    end of the queue (``queue.Queue`` of Python, which QueuePool's is made after). ``arrivals`` are the seconds at which
    requests come, in order, instead of ``requests`` at random; all of them are counted, also those at the start.
    Whoever asked goes away ``deadline`` seconds after asking; the work is done all the same, for nobody.

    ``dwell`` is how long, in seconds, each keeps its connection after its work without taking any of the server's time.
    ``refusal`` is the work of telling somebody that the server refused, in that of one who is served.
    """

    rate: float
    curve: Curve
    size: int
    overflow: int = 0
    patience: float = 30.0
    deadline: float = math.inf
    processes: int = 1
    limit: int | None = None
    variation: float = 1.0
    burstiness: float = 1.0
    slips: float = 0.0
    dwell: float = 0.0
    refusal: float = 0.0
    requests: int = 100_000
    arrivals: tuple[float, ...] = ()
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.rate > 0 or self.size + self.overflow < 1 or self.processes < 1:
            raise UsageError("a pool needs a rate above 0, at least one connection and one process")


@dataclass(slots=True)
class _Request:
    process: int
    at: float
    work: float
    state: str = "new"


@dataclass(slots=True)
class _Pool:
    idle: int = 0
    open: int = 0
    waiters: deque[_Request] = field(default_factory=deque)
    woken: int = 0


def simulate(system: System) -> Steady:
    """Return what comes out in the mean of ``system.requests`` requests after a warming up. Same seed, same answer."""
    return _Run(system).steady()


class _Run:
    """One run. Work is counted in the seconds that a hold takes alone."""

    def __init__(self, system: System) -> None:
        self._system = system
        dice = random.Random(system.seed)  # the same seed gives the same answer
        self._gap = _drawn(dice, 1 / system.rate, system.burstiness)
        self._alone = system.curve.per_second(1)
        self._work = _drawn(dice, 1 / self._alone, system.variation)
        self._choose = partial(dice.randrange, system.processes) if system.processes > 1 else int
        self._pools = [_Pool() for _ in range(system.processes)]
        self._running: list[tuple[float, int, _Request]] = []  # by how much work all had done when it ends
        self._done_work = 0.0  # what one busy connection has got through since the start
        self._timers: list[tuple[float, int, str, _Request]] = []
        self._paces = {0: 0.0}
        self._number = 0
        self._now = 0.0
        self._open = 0
        self._busy = 0
        self._held = 0.0
        self._waits: list[float] = []
        self._counts = {"served": 0, "timed out": 0, "refused": 0, "waited": 0, "late": 0}
        self._counted_from = math.inf

    def steady(self) -> Steady:
        system = self._system
        warm = 0 if system.arrivals else int(system.requests * _WARM)
        total = len(system.arrivals) or system.requests
        for number, arrives in enumerate(system.arrivals or self._times(warm + total)):
            self._until(arrives)
            if number == warm:
                self._counted_from, self._held = self._now, 0.0
            self._arrive(_Request(process=self._choose(), at=self._now, work=self._work()))
        elapsed = self._now - self._counted_from
        busy = self._held / elapsed if elapsed else 0.0
        self._until(math.inf)
        waits = sorted(self._waits)
        return Steady(
            success=self._counts["served"] / total,
            timed_out=self._counts["timed out"] / total,
            refused=self._counts["refused"] / total,
            p_wait=self._counts["waited"] / total,
            wait=Wait(
                mean=math.fsum(waits) / len(waits) if waits else 0.0,
                p50=_at(waits, 0.5),
                p95=_at(waits, 0.95),
                p99=_at(waits, 0.99),
            ),
            busy=busy,
            late=self._counts["late"] / total,
        )

    def _times(self, number: int) -> Iterator[float]:
        """Yield when requests come, at random."""
        at = 0.0
        for _ in range(number):
            at += self._gap()
            yield at

    def _pace(self, working: int) -> float:
        """Return how much work each of so many gets done in a second."""
        if working not in self._paces:
            self._paces[working] = self._system.curve.per_second(working) / (working * self._alone)
        return self._paces[working]

    def _until(self, end: float) -> None:
        """Let happen what happens before ``end``."""
        while True:
            working = len(self._running)
            pace = self._pace(working)
            ends = self._now + max(0.0, self._running[0][0] - self._done_work) / pace if working else math.inf
            timer = self._timers[0][0] if self._timers else math.inf
            when = min(ends, timer, end)
            if math.isinf(when):
                return
            self._held += (when - self._now) * self._busy
            self._done_work += (when - self._now) * pace
            self._now = when
            if when == end:
                return
            if ends <= timer:
                _, _, request = heapq.heappop(self._running)
                if request.state == "served":
                    self._worked(request)
            else:
                _, _, what, request = heapq.heappop(self._timers)
                self._ring(what, request)

    def _worked(self, request: _Request) -> None:
        if self._system.dwell > 0:
            self._later(self._now + self._system.dwell, "dwelt", request)
        else:
            self._end(request)

    def _end(self, request: _Request) -> None:
        if self._now - request.at > self._system.deadline and request.at >= self._counted_from:
            self._counts["late"] += 1
        self._busy -= 1
        self._return(request.process)

    def _ring(self, what: str, request: _Request) -> None:
        pool = self._pools[request.process]
        if what == "dwelt":
            self._end(request)
        elif what == "patience" and request.state == "waiting":
            request.state = "gone"
            self._count(request, "timed out")
        elif what == "woken":
            pool.woken -= 1
            if request.state != "woken":
                return
            if pool.idle > 0:
                self._take(pool, request)
            elif self._now >= request.at + self._system.patience:
                request.state = "gone"
                self._count(request, "timed out")
            else:
                request.state = "waiting"
                pool.waiters.append(request)

    def _arrive(self, request: _Request) -> None:
        pool = self._pools[request.process]
        if pool.idle > 0:  # also one that was returned for somebody who has been woken, but has not taken it yet
            self._take(pool, request)
            return
        if pool.open < self._system.size + self._system.overflow:
            if self._system.limit is not None and self._open >= self._system.limit:
                request.state = "refused"
                self._count(request, "refused")
                if self._system.refusal > 0:
                    self._work_on(request, request.work * self._system.refusal)
                return
            pool.open += 1
            self._open += 1
            pool.idle += 1
            self._take(pool, request)
            return
        if request.at >= self._counted_from:
            self._counts["waited"] += 1
        request.state = "waiting"
        pool.waiters.append(request)
        if not math.isinf(self._system.patience):
            self._later(request.at + self._system.patience, "patience", request)

    def _take(self, pool: _Pool, request: _Request) -> None:
        pool.idle -= 1
        request.state = "served"
        self._busy += 1
        self._count(request, "served")
        self._work_on(request, request.work)

    def _work_on(self, request: _Request, work: float) -> None:
        self._number += 1
        heapq.heappush(self._running, (self._done_work + work, self._number, request))

    def _return(self, process: int) -> None:
        pool = self._pools[process]
        while pool.waiters and pool.waiters[0].state != "waiting":
            pool.waiters.popleft()
        if not pool.waiters and pool.idle >= self._system.size:
            pool.open -= 1
            self._open -= 1
            return
        pool.idle += 1
        if pool.waiters:
            woken = pool.waiters.popleft()
            if self._system.slips > 0:
                woken.state = "woken"
                pool.woken += 1
                self._later(self._now + self._system.slips, "woken", woken)
            else:
                self._take(pool, woken)

    def _later(self, at: float, what: str, request: _Request) -> None:
        self._number += 1
        heapq.heappush(self._timers, (at, self._number, what, request))

    def _count(self, request: _Request, outcome: str) -> None:
        if request.at < self._counted_from:
            return
        self._counts[outcome] += 1
        if outcome == "served":
            self._waits.append(self._now - request.at)


def _drawn(dice: random.Random, mean: float, variation: float) -> Callable[[], float]:
    """Return what draws times of that mean and coefficient of variation, gamma distributed."""
    if variation <= 0:
        return lambda: mean
    if variation == 1:
        rate = 1 / mean
        return lambda: dice.expovariate(rate)
    shape = variation**-2
    scale = mean / shape
    return lambda: dice.gammavariate(shape, scale)


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0

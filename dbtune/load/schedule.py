"""When requests are sent: seconds from the start, fixed before the first is sent, whatever the service does.

The same plan and seed give the same schedule on every machine, so that k of m machines can each send their share.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dbtune.errors import UsageError

REPORT_COUNTS, REPORT_OFFSETS_MS = (100, 200, 500), (50, 100, 200, 1000, 2000)
"""Requests and milliseconds between them, of the 15 sets that each route was asked in 2019."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One set of requests: its name, when each is due, in seconds, and the route, by index, None: any."""

    name: str
    times: tuple[float, ...]
    route: int | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A request that is due ``at`` seconds from the start; ``number`` counts all of the schedule's from 0."""

    number: int
    at: float
    cell: str
    route: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """All requests in order of time, and the names of the cells."""

    due: tuple[Due, ...]
    cells: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Return when the last request is due."""
        return self.due[-1].at if self.due else 0.0

    @property
    def peak(self) -> int:
        """Return the most requests that are due within one second."""
        most = first = 0
        for number, each in enumerate(self.due):
            while each.at - self.due[first].at > 1.0:
                first += 1
            most = max(most, number - first + 1)
        return most

    def shard(self, k: int, m: int) -> Schedule:
        """Return the share of machine ``k`` of ``m``, from 1: every m-th request; numbers and times stay.

        :raises UsageError: there is no such share.
        """
        if not 1 <= k <= m:
            raise UsageError(f"--shard {k}/{m}: write 1/{m} to {m}/{m}")
        return Schedule(due=tuple(each for each in self.due if each.number % m == k - 1), cells=self.cells)


def sets(
    counts: Sequence[int],
    offsets_ms: Sequence[float],
    routes: int,
    *,
    overlapped: bool,
    drain_s: float = 5.0,
    faster: float = 1.0,
    seed: int = 1,
) -> Schedule:
    """Return every count at every offset for every route: all begun together, or one after the other.

    Cells that are not ``overlapped`` are ``drain_s`` apart. ``faster`` divides the offsets.

    :raises UsageError: a number is not more than 0.
    """
    if min([*counts, *offsets_ms, routes, faster], default=0) <= 0:
        raise UsageError("counts, offsets and their compression must be more than 0")
    cells = []
    begins = 0.0
    for route in range(routes):
        for count in counts:
            for offset in offsets_ms:
                step = offset / 1000 / faster
                cells.append(
                    Cell(
                        name=f"{count} × {offset:g} ms",
                        times=tuple(begins + number * step for number in range(count)),
                        route=route,
                    )
                )
                if not overlapped:
                    begins += count * step + drain_s
    return joined(cells, routes, seed)


def constant(rate: float, seconds: float, routes: int, seed: int = 1) -> Schedule:
    """Return ``rate`` requests a second, evenly."""
    _check(rate, seconds)
    times = tuple(number / rate for number in range(round(rate * seconds)))
    return joined([Cell(name=f"{rate:g}/s", times=times)], routes, seed)


def poisson(rate: float, seconds: float, routes: int, seed: int = 1) -> Schedule:
    """Return requests at random, ``rate`` a second on average."""
    _check(rate, seconds)
    dice = random.Random(seed)
    times = []
    at = dice.expovariate(rate)
    while at < seconds:
        times.append(at)
        at += dice.expovariate(rate)
    return joined([Cell(name=f"{rate:g}/s at random", times=tuple(times))], routes, seed)


def ramp(first: float, last: float, seconds: float, routes: int, seed: int = 1) -> Schedule:
    """Return a rate that grows, or falls, evenly from ``first`` to ``last`` a second."""
    _check(max(first, last), seconds)
    if min(first, last) < 0:
        raise UsageError("a rate must not be negative")
    slope = (last - first) / seconds
    total = (first + last) / 2 * seconds
    # The n-th request is due when the integral of the rate reaches n: a quadratic equation in t.
    times = tuple(
        number / first
        if abs(slope) < 1e-12
        else (-first + math.sqrt(max(0.0, first * first + 2 * slope * number))) / slope
        for number in range(int(total))
    )
    return joined([Cell(name=f"{first:g} to {last:g}/s", times=times)], routes, seed)


def steps(rates: Sequence[float], seconds: float, routes: int, seed: int = 1) -> Schedule:
    """Return each rate for ``seconds``, one after the other, each a cell of its own."""
    cells = []
    for place, rate in enumerate(rates):
        _check(rate, seconds)
        times = tuple(place * seconds + number / rate for number in range(round(rate * seconds)))
        cells.append(Cell(name=f"{rate:g}/s", times=times))
    return joined(cells, routes, seed)


def joined(cells: Sequence[Cell], routes: int, seed: int = 1) -> Schedule:
    """Return the cells as one schedule; requests without a route take the routes in turn, shuffled in rounds.

    :raises UsageError: there is nothing to send.
    """
    turn = _turns(routes, seed)
    flat = sorted((at, place, cell.name, cell.route) for place, cell in enumerate(cells) for at in cell.times)
    if not flat or routes < 1:
        raise UsageError("the schedule is empty: nothing would be sent")
    due = tuple(
        Due(number, at, name, next(turn) if route is None else route)
        for number, (at, _, name, route) in enumerate(flat)
    )
    return Schedule(due=due, cells=tuple(dict.fromkeys(cell.name for cell in cells)))


def _turns(routes: int, seed: int) -> Iterator[int]:
    dice = random.Random(seed)
    order = list(range(routes))
    while True:
        dice.shuffle(order)
        yield from order


def _check(rate: float, seconds: float) -> None:
    if not rate > 0 or not seconds > 0:
        raise UsageError("a rate and a time must be more than 0")

"""Measuring X(n): n callers in a closed loop, each with its own connection, for a few seconds at each of several n."""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from dbtune.errors import ServerError
from dbtune.pool.curve import Curve, Point, fit
from dbtune.pool.work import Evenly, Work, read_only
from dbtune.server.connection import Target, pooled, reason

STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
_FEW = 4
"""With more callers the holds differ also by how the machine schedules them."""

_WARM = 0.15
_FALLEN = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """The points, the curve through them, and the coefficient of variation of holds while few hold one.

    ``stopped`` says why larger n were left out, None where all were measured.
    """

    points: tuple[Point, ...]
    curve: Curve
    variation: float
    stopped: str | None = None


def sweep(
    target: Target,
    work: Work,
    most: int,
    seconds: float = 5.0,
    steps: Sequence[int] = STEPS,
    tell: Callable[[str], None] = lambda text: None,
) -> Swept:
    """Measure the ``steps`` up to ``most`` connections, ``seconds`` each, and fit the curve.

    It ends early where the server has done less than 70 % of its best twice in a row. Sessions are read-only.

    :raises ServerError: the server refuses a connection or a statement.
    """
    points: list[Point] = []
    uneven: list[float] = []
    fallen = 0
    stopped = None
    for n in [step for step in steps if step <= most]:
        tell(f"{n} connections")
        done, holds = closed_loop(target, work, n, seconds)
        if n <= _FEW and holds:
            mean = statistics.fmean(holds)
            uneven += [hold / mean for hold in holds]
        points.append(Point(n=n, per_second=done))
        fallen = fallen + 1 if done < _FALLEN * max(point.per_second for point in points) else 0
        if fallen == 2:
            stopped = f"{n} connections did less than {_FALLEN:.0%} of the best, as did the step before"
            break
    variation = statistics.stdev(uneven) if len(uneven) > 1 else 1.0
    return Swept(points=tuple(points), curve=fit(points), variation=variation, stopped=stopped)


def closed_loop(target: Target, work: Work, n: int, seconds: float) -> tuple[float, list[float]]:
    """Return what ``n`` callers got done in a second, and the seconds of every use after the warming up."""
    engine = pooled(target, n)
    holds: list[list[float]] = [[] for _ in range(n)]
    errors: list[BaseException] = []
    ready = threading.Barrier(n + 1)
    stop = threading.Event()
    counted_from = [math.inf]
    dice = Evenly()

    def call(number: int) -> None:
        try:
            with engine.connect() as opened:
                read_only(opened)
                work.prepare(opened)
                ready.wait()  # with the connection in hand, so that each caller prepares another one
            while not stop.is_set():
                began = time.perf_counter()
                with engine.connect() as connection:
                    work.run(connection, dice)
                if began >= counted_from[0]:
                    holds[number].append(time.perf_counter() - began)
        except threading.BrokenBarrierError:
            pass
        except BaseException as error:
            errors.append(error)
            ready.abort()
            stop.set()

    threads = [threading.Thread(target=call, args=(number,), daemon=True) for number in range(n)]
    with _ended(threads, stop, ready):
        for thread in threads:
            thread.start()
        try:
            ready.wait()
        except threading.BrokenBarrierError:
            pass
        else:
            stop.wait(seconds * _WARM)
            counted_from[0] = time.perf_counter()
            stop.wait(seconds)
    elapsed = time.perf_counter() - counted_from[0]
    engine.dispose()
    if errors:
        first = errors[0]
        raise ServerError(f"{target}: {reason(first)}") if isinstance(first, DBAPIError) else first
    every = [hold for each in holds for hold in each]
    # A caller is within a use when the time is up, on average halfway: all n together have done that much more or less,
    # so what is done is counted by time spent, which a few long uses do not distort.
    return (n / statistics.fmean(every) if every else 1 / elapsed), every


@contextmanager
def _ended(threads: Sequence[threading.Thread], stop: threading.Event, ready: threading.Barrier) -> Iterator[None]:
    """Let no caller outlive the block, also when a signal ends it."""
    try:
        yield
    finally:
        stop.set()
        ready.abort()
        for thread in threads:
            if thread.ident is not None:
                thread.join()

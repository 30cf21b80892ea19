"""What to expect of an arm before it runs: the pool model, by events, over the very times at which requests will come.

The curve X(n) is that of the whole service, measured by a closed loop of n callers. Under an emulated hold a request
keeps its connection, but not the machine. One that the server refuses takes some of the machine's time as well.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.load.closed import Looped
from dbtune.load.route import Route
from dbtune.load.schedule import Due, Schedule
from dbtune.party.web.servers import Kind, Server
from dbtune.party.web.settings import Caching
from dbtune.pool.curve import Curve, Point, fit
from dbtune.pool.queue import Steady
from dbtune.pool.simulation import System, simulate
from dbtune.study.arm import Arm

_STEPS = (1, 2, 4, 8, 15, 24, 32, 48, 64, 96, 128)
_FEW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Shares of all requests, from 0 to 1; seconds. ``no_claim`` says why the model does not speak for the arm."""

    success: float
    pool_timeout: float
    refused: float
    no_answer: float
    p50_s: float
    capacity: float
    hits: float
    words: str
    no_claim: str | None = None


def curve(looped: Sequence[Looped], hold_s: float) -> Curve:
    """Return X(n) of a service that keeps each connection for ``hold_s`` more without working."""
    base = fit([Point(n=each.callers, per_second=each.per_second) for each in looped])
    if not hold_s:
        return base
    return fit([Point(n=n, per_second=_with_hold(base, n, hold_s)) for n in _STEPS])


def _with_hold(base: Curve, n: int, hold_s: float) -> float:
    """Return what n connections do of which some work and the others are held: n = m + X(m)·hold."""
    low, high = 0.0, float(n)
    for _ in range(60):
        middle = (low + high) / 2
        if middle + base.per_second(middle) * hold_s > n:
            high = middle
        else:
            low = middle
    return base.per_second(low)


def doors(server: Server) -> float:
    """Return how many requests one process has at work at once."""
    return {
        Kind.THREADED: math.inf,
        Kind.SYNC: 1,
        Kind.GTHREAD: server.threads,
        Kind.GEVENT: 1,  # a driver that blocks lets one run at a time
        Kind.GEVENT_GREEN: server.worker_connections,
    }[server.kind]


def exceeds(arm: Arm, usable: int) -> bool:
    """Return whether an arm's pools may ask for more connections than can be had."""
    size, overflow = _sizes(arm, usable)
    return (size + overflow) * arm.server.workers > usable


def _sizes(arm: Arm, usable: int) -> tuple[int, int]:
    """Return how many connections a process keeps, and how many more it opens under need."""
    cap = arm.settings.cap or usable
    at_door = doors(arm.server)
    if at_door < cap:
        return int(at_door), 0
    size = arm.settings.pool_size or cap
    return size, cap - size


def expect(
    arm: Arm,
    schedule: Schedule,
    routes: Sequence[Route],
    seed: int,
    looped: Sequence[Looped],
    usable: int,
    client_timeout_s: float,
    refusal_s: float = 0.0,
) -> Expectation:
    """Return what to expect; ``refusal_s`` is how long the service takes, alone, to say that the server refused."""
    settings, server = arm.settings, arm.server
    made = curve(looped, settings.hold_s)
    cap = settings.cap or usable
    at_door = doors(server) < cap
    patience = math.inf if at_door else settings.pool_timeout  # what a worker has taken it does, wanted or not
    at_best = made.per_second(min(doors(server), cap) * server.workers)
    misses = _misses(arm, schedule, routes, seed, at_best, client_timeout_s if at_door else patience)
    hits = 1 - len(misses) / len(schedule.due)
    size, overflow = _sizes(arm, usable)
    system = System(
        rate=1.0,
        curve=curve(looped, 0.0),
        size=size,
        overflow=overflow,
        patience=patience,
        deadline=client_timeout_s,
        processes=server.workers,
        limit=usable if exceeds(arm, usable) else None,
        variation=looped[0].variation,
        dwell=settings.hold_s,
        refusal=refusal_s / looped[0].seconds,
        arrivals=tuple(due.at for due in misses),
        seed=seed,
    )
    found = simulate(system) if misses else None
    return _told(arm, schedule, made, found, hits, system)


def _told(arm: Arm, schedule: Schedule, made: Curve, found: Steady | None, hits: float, system: System) -> Expectation:
    asked = 1 - hits
    late = asked * (found.late if found else 0.0)
    success = hits + asked * (found.success if found else 1.0) - late
    timed_out = asked * (found.timed_out if found else 0.0)
    refused = asked * (found.refused if found else 0.0)
    capacity = made.per_second(min((system.size + system.overflow) * system.processes, system.limit or math.inf))
    wait = found.wait.p50 if found else 0.0
    busy = max(1.0, min(found.busy if found else 1.0, (system.size + system.overflow) * system.processes))
    p50 = (wait + made.hold(busy)) if hits < 0.5 else 0.0
    words = f"{capacity:.0f}/s at most, {schedule.peak} asked in the busiest second"
    if hits:
        words += f", {hits:.0%} of them from the cache"
    return Expectation(
        success=success,
        pool_timeout=timed_out,
        refused=refused,
        no_answer=late,
        p50_s=p50,
        capacity=capacity,
        hits=hits,
        words=words,
        no_claim=_no_claim(arm, schedule, capacity),
    )


def _no_claim(arm: Arm, schedule: Schedule, capacity: float) -> str | None:
    if arm.killed_at_s is not None:
        return "its processes are killed"
    if schedule.peak > arm.server.backlog + capacity:
        return (
            f"{schedule.peak} arrive within a second, and the listen queue has {arm.server.backlog}:"
            " what is lost before the service takes it is not in the model"
        )
    return None


def _misses(
    arm: Arm, schedule: Schedule, routes: Sequence[Route], seed: int, per_second: float, patience: float
) -> list[Due]:
    """Return the requests that the cache will not answer.

    Each process has a cache of its own and takes requests at random. An answer is kept once it is there, which a queue
    delays: the queue is counted as work in and ``per_second`` out, and who would wait longer than ``patience`` adds
    nothing to it, nor to the cache.
    """
    settings = arm.settings
    if settings.caching is Caching.OFF:
        return list(schedule.due)
    dice = random.Random(seed)
    kept: list[dict[str, float]] = [{} for _ in range(arm.server.workers)]
    missed = []
    queued, last = 0.0, 0.0
    for due in schedule.due:
        queued = max(0.0, queued - (due.at - last) * per_second)
        last = due.at
        path = routes[due.route].request(due.number, seed).path
        key = path.partition("?")[0] if settings.caching is Caching.PATH else path
        cache = kept[dice.randrange(arm.server.workers)]
        ready = cache.get(key)
        if ready is not None and ready <= due.at < ready + settings.cache_seconds:
            continue
        missed.append(due)
        wait = queued / per_second
        if wait > patience:
            continue
        queued += 1
        if ready is None or ready + settings.cache_seconds <= due.at:
            if len(cache) > settings.cache_entries:
                del cache[min(cache, key=cache.__getitem__)]
            cache[key] = due.at + wait + 1 / per_second
    return missed

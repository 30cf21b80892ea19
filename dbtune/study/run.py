"""Running an arm: its service is started, hammered, watched and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import psycopg2
import uvloop
from sqlalchemy import make_url, text

from dbtune.load.closed import Looped, loop
from dbtune.load.hammer import Hammer, Options, check_files
from dbtune.load.record import Row
from dbtune.load.route import Route
from dbtune.load.schedule import Schedule
from dbtune.load.summary import Summary
from dbtune.load.timeline import Timeline
from dbtune.party.web import serving
from dbtune.party.web.application import BASE
from dbtune.party.web.serving import Running
from dbtune.party.web.settings import Settings
from dbtune.server.connection import MARKER
from dbtune.study import asking
from dbtune.study.arm import Arm, Study
from dbtune.study.ground import ROLE, Ground, yielding
from dbtune.study.measured import Measured, Sessions

STEPS = (1, 2, 4, 8, 16)
"""Callers of the closed loop that measures what a service can do."""

_LOOK_S = 0.2
_SETTLE_S = 2.0
_SPEED_S = 0.1
_SESSIONS = f"""{MARKER} SELECT count(*), count(*) FILTER (WHERE state = 'active'),
 count(*) FILTER (WHERE state LIKE 'idle in transaction%') FROM pg_catalog.pg_stat_activity WHERE usename = '{ROLE}'"""


def run(ground: Ground, arm: Arm, study: Study, speed_before: float, tell: Callable[[str], None]) -> Measured:
    """Run an arm once.

    :raises ServerError: its service does not start.
    """
    began = time.perf_counter()
    url = ground.prepare(arm.scale, arm.indexes, tell)
    schedule = arm.schedule(study.seed)
    with ground.connected(ground.database(arm.scale)) as connection:
        routes = asking.routes(connection, arm.routes, arm.keys)
    doubt = check_files(schedule, study.client_timeout_s)
    settings = replace(arm.settings, url=url)
    pace = speed() / speed_before
    marked = ground.log_size()
    with serving.start(settings, arm.server) as running:
        yielding(running.pid)
        before = running.funnel()
        with _watched(ground) as seen:
            summary, timeline, rows = _hammered(running, routes, schedule, settings, study, arm.killed_at_s, tell)
        ended = None if running.alive else f"its process ended by {_ending(running.join())}"
        if running.alive:
            _settle(running)
        funnel = running.stop().since(before)
    _emptied(ground, arm.settings.hold_s + _SETTLE_S)
    broken, refused = ground.logged(marked)
    return Measured(
        summary=summary,
        timeline=timeline,
        rows=tuple(rows),
        funnel=funnel,
        sessions=seen(),
        broken=broken,
        refused=refused,
        pace=pace,
        ended=ended,
        seconds=time.perf_counter() - began,
        notes=() if doubt is None else (doubt,),
    )


def calibrate(ground: Ground, arm: Arm, study: Study, tell: Callable[[str], None]) -> list[Looped]:
    """Return what an arm's kind of service does for a few callers at once, without cache, hold or a short pool.

    :raises ServerError: it does not start or does not answer.
    """
    url = ground.prepare(arm.scale, arm.indexes, tell)
    with ground.connected(ground.database(arm.scale)) as connection:
        routes = asking.routes(connection, arm.routes, arm.scale.businesses)
    each = min(max(STEPS), max(1, ground.usable // arm.server.workers))
    settings = Settings(url=url, pool_size=each, max_overflow=0, log_level=arm.settings.log_level)
    found = []
    with (
        serving.start(settings, arm.server) as running,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        yielding(running.pid)
        for callers in STEPS:
            tell(f"what {callers} callers get done")
            looped = loop(
                running.address + BASE,
                routes,
                callers,
                study.calibrate_s,
                user=(settings.user, settings.password),
                seed=study.seed,
                keep_alive=False,
            )
            found.append(runner.run(looped))
    return found


def refusal(ground: Ground, arm: Arm, study: Study, tell: Callable[[str], None]) -> float:
    """Return the seconds that an arm's kind of service takes to say that the server has no connection left.

    :raises ServerError: it does not start or does not answer.
    """
    url = ground.prepare(arm.scale, arm.indexes, tell)
    with ground.connected(ground.database(arm.scale)) as connection:
        routes = asking.routes(connection, arm.routes, arm.keys)
    settings = Settings(url=url, log_level=arm.settings.log_level, errors=arm.settings.errors)
    tell("what a refusal costs")
    with (
        _full(ground, arm),
        serving.start(settings, arm.server) as running,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        yielding(running.pid)
        looped = loop(
            running.address + BASE,
            routes,
            1,
            study.calibrate_s,
            user=(settings.user, settings.password),
            seed=study.seed,
            keep_alive=False,
            failing=True,
        )
        seconds = runner.run(looped).seconds
    _emptied(ground, _SETTLE_S)
    return seconds


@contextlib.contextmanager
def _full(ground: Ground, arm: Arm) -> Iterator[None]:
    """Take all connections that the service could have."""
    url = make_url(ground.url(ground.database(arm.scale), ROLE)).set(drivername="postgresql")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg2.OperationalError):
            while True:
                stack.enter_context(contextlib.closing(psycopg2.connect(url.render_as_string(hide_password=False))))
        yield


def speed() -> float:
    """Return how fast the machine is now: turns of an empty loop in a second of one core."""
    turns, end = 0, time.perf_counter() + _SPEED_S
    while time.perf_counter() < end:
        turns += 1
    return turns / _SPEED_S


def _hammered(
    running: Running,
    routes: Sequence[Route],
    schedule: Schedule,
    settings: Settings,
    study: Study,
    killed_at_s: float | None,
    tell: Callable[[str], None],
) -> tuple[Summary, Timeline, list[Row]]:
    summary, timeline, rows = Summary(planned=len(schedule.due)), Timeline(schedule.seconds), []

    def keep(row: Row) -> None:
        summary.add(row)
        timeline.add(row)
        rows.append(row)

    options = Options(
        timeout=study.client_timeout_s, keep_alive=False, user=(settings.user, settings.password), seed=study.seed
    )
    hammer = Hammer(running.address + BASE, routes, schedule, options, keep)

    async def both() -> None:
        if killed_at_s is not None:
            asyncio.get_running_loop().call_later(killed_at_s, _kill, running.pid)
        await hammer.run(lambda at: tell(f"{at.done} of {len(schedule.due)} done, {at.in_flight} under way"))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(both())
    return summary, timeline, rows


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _settle(running: Running) -> None:
    """Wait for what is still under way in the service, though its client has gone."""
    end = time.monotonic() + _SETTLE_S
    while running.alive and running.funnel().in_flight and time.monotonic() < end:
        time.sleep(0.05)


def _emptied(ground: Ground, within_s: float) -> None:
    """Wait until the server has noticed that the service is gone: a session does so when its statement ends."""
    end = time.monotonic() + within_s
    with ground.connected() as connection:
        while connection.execute(text(_SESSIONS)).one()[0] and time.monotonic() < end:
            connection.rollback()
            time.sleep(0.05)


@contextlib.contextmanager
def _watched(ground: Ground) -> Iterator[Callable[[], Sessions]]:
    """Look at the service's sessions until the block ends; what it yields tells the most that were seen."""
    most = [0, 0, 0]
    over = threading.Event()

    def work() -> None:
        with ground.connected() as connection:
            while not over.wait(_LOOK_S):
                row = connection.execute(text(_SESSIONS)).one()
                connection.rollback()
                most[:] = [max(old, new) for old, new in zip(most, row, strict=True)]

    thread = threading.Thread(target=work, name="sessions", daemon=True)
    thread.start()
    try:
        yield lambda: Sessions(most=most[0], active=most[1], idle_in_transaction=most[2])
    finally:
        over.set()
        thread.join(5)


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"

"""Conducting a study: arm by arm, each predicted before it runs; what fails is told, and the next goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from dbtune.errors import DbtuneError
from dbtune.load.closed import Looped
from dbtune.study import asking, run
from dbtune.study.arm import Arm, Study
from dbtune.study.expectation import Expectation, exceeds, expect
from dbtune.study.ground import Ground, ground
from dbtune.study.measured import Measured
from dbtune.study.result import Result, Results

Tell = Callable[[str], None]


@dataclass(slots=True)
class Conducted:
    """How far a study is."""

    study: Study
    version: str = ""
    usable: int = 0
    arms: list[Result] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)
    looped: dict[object, list[Looped]] = field(default_factory=dict)
    refusals_s: dict[object, float] = field(default_factory=dict)

    def results(self, *, interrupted: bool) -> Results:
        """Return what there is."""
        return Results(
            study=self.study,
            version=self.version,
            cores=os.cpu_count() or 1,
            usable=self.usable,
            arms=tuple(self.arms),
            seconds=time.perf_counter() - self.began,
            interrupted=interrupted,
        )


def conduct(study: Study, tell: Tell = lambda text: None, step: Tell = lambda name: None) -> Results:
    """Run it all. ``tell`` hears what goes on, ``step`` the name of each arm that is done. On Ctrl-C: what there is.

    :raises EmbeddedError: the server cannot be started.
    """
    done = Conducted(study)
    interrupted = False
    with suppress(KeyboardInterrupt):
        interrupted = True
        with ground(study.max_connections, tell) as own:
            done.version, done.usable = own.version, own.usable
            speed = run.speed()
            for arm in study.arms:
                done.arms.append(_arm(own, arm, done, speed, tell))
                step(arm.name)
        interrupted = False
    return done.results(interrupted=interrupted)


def _arm(own: Ground, arm: Arm, done: Conducted, speed: float, tell: Tell) -> Result:
    def named(text: str) -> None:
        tell(f"{arm.name}: {text}")

    expectation: Expectation | None = None
    looped: list[Looped] = []
    runs: list[Measured] = []
    failed = None
    try:
        kind = (arm.scale, arm.indexes, arm.server)
        if kind not in done.looped:
            done.looped[kind] = run.calibrate(own, arm, done.study, named)
        looped = done.looped[kind]
        if exceeds(arm, own.usable) and kind not in done.refusals_s:
            done.refusals_s[kind] = run.refusal(own, arm, done.study, named)
        expectation = _expected(own, arm, done.study, looped, done.refusals_s.get(kind, 0.0), named)
        runs.extend(run.run(own, arm, done.study, speed, named) for _ in range(done.study.repeat))
    except DbtuneError as error:
        failed = str(error)
    return Result(arm=arm, expectation=expectation, looped=tuple(looped), runs=tuple(runs), failed=failed)


def _expected(own: Ground, arm: Arm, study: Study, looped: list[Looped], refusal_s: float, tell: Tell) -> Expectation:
    own.prepare(arm.scale, arm.indexes)
    with own.connected(own.database(arm.scale)) as connection:
        routes = asking.routes(connection, arm.routes, arm.keys)
    schedule = arm.schedule(study.seed)
    found = expect(arm, schedule, routes, study.seed, looped, own.usable, study.client_timeout_s, refusal_s)
    tell(f"predicted {found.success:.1%} success")
    return found

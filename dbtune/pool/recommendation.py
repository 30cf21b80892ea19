"""Which pool to set: the smallest that does what is wanted, recovers from a burst, and fits the server."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dbtune.pool import formulas
from dbtune.pool.prediction import Demand, Method, Prediction, Settings, predict
from dbtune.pool.recovery import MARGIN, drain, largest_safe

_FULL = 0.95
"""The share of the server's best, within what a measurement tells, from which more connections bring nothing."""

_SHORT = 5_000
"""Requests of a simulation that tells which sizes are worth one of full length."""

_PLOTTED = 10_000
"""Requests of a simulation that is a point of a plot."""

_CLOSEST = 4
"""How many of the sizes that came nearest in short are looked at in full."""

_LARGEST = 1000
"""Connections of one process: more were never of use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is wanted: the share of requests that succeed, and the wait in seconds that 95 % of them stay below."""

    success: float = 0.999
    p95: float = 0.05

    def is_met(self, found: Prediction) -> bool:
        """Return whether the steady state is good enough."""
        waits = found.steady.wait.p95 <= self.p95 or only_moved(found)
        return found.steady.success >= self.success and waits

    def may_be_met(self, found: Prediction) -> bool:
        """Return whether a short simulation leaves it open that a long one meets it."""
        waits = found.steady.wait.p95 <= 1.5 * self.p95 or only_moved(found)
        return found.steady.success >= self.success - 0.01 and waits


def only_moved(found: Prediction) -> bool:
    """Return whether more connections would only move the wait into the server, which does no more with them.

    In line each request is served as fast as the server can; together they slow each other down, so unless some holds
    are much longer than others nobody is done sooner.
    """
    most = found.demand.curve.most
    return found.demand.variation <= 1 and not math.isinf(most) and found.capacity >= _FULL * most


@dataclass(frozen=True, slots=True, kw_only=True)
class Inequality:
    """A condition in words and numbers, and whether it holds."""

    words: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Settings under a name, what they are predicted to do, and what they satisfy.

    ``drains`` are the seconds until a burst of one second's double rate is worked off, infinite where it never is.
    ``margin`` is how many connections the server has left, None where its limit is not known.
    """

    name: str
    prediction: Prediction
    inequalities: tuple[Inequality, ...]
    drains: float
    margin: int | None

    @property
    def settings(self) -> Settings:
        """Return the settings."""
        return self.prediction.settings

    @property
    def holds(self) -> bool:
        """Return whether every condition holds."""
        return all(each.holds for each in self.inequalities)

    @property
    def breaks_first(self) -> str:
        """Return what gives way first when more is asked."""
        found = self.prediction
        if found.reason is not None:
            return found.reason
        if self.margin is not None and self.margin < 0:
            return f"server: {found.settings.most} asked, {found.settings.limit} there"
        if found.utilisation >= 1:
            return "a burst wedges it: with all busy the server does less than is asked"
        most = found.demand.curve.most
        if found.capacity >= 0.98 * most and not math.isinf(most):
            return f"the server at {most:.0f}/s"
        return f"the pool at {found.capacity:.0f}/s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooler:
    """One shared pool of ``size`` connections in front of the server, and why it would pay."""

    size: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The recommended choice, or None where no pool helps, with the reason; and those it was compared with."""

    best: Choice | None
    why_none: str | None
    others: tuple[Choice, ...]
    goal: Goal
    pooler: Pooler | None = None

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Return all, the best first."""
        return (() if self.best is None else (self.best,)) + self.others


def judge(name: str, settings: Settings, demand: Demand, goal: Goal) -> Choice:
    """Return what these settings do, and which conditions they satisfy."""
    found = predict(settings, demand)
    steady = found.steady
    reachable = min(settings.most, settings.limit or settings.most)
    full = demand.curve.per_second(reachable)
    inequalities = [
        Inequality(words=f"success {steady.success:.2%} ≥ {goal.success:.2%}", holds=steady.success >= goal.success),
        _waits(found, goal),
        Inequality(
            words=f"X({reachable}) = {full:.1f}/s ≥ {MARGIN} × {demand.rate:.4g}/s, so that a burst drains",
            holds=full >= MARGIN * demand.rate,
        ),
    ]
    if settings.limit is not None:
        inequalities.append(
            Inequality(
                words=f"{settings.processes} × ({settings.size} + {settings.overflow}) = {settings.most}"
                f" ≤ {settings.limit} that the server has for them",
                holds=not settings.exceeds,
            )
        )
    return Choice(
        name=name,
        prediction=found,
        inequalities=tuple(inequalities),
        drains=drain(demand.curve, reachable, demand.rate, math.ceil(demand.rate)),
        margin=None if settings.limit is None else settings.limit - settings.most,
    )


def _waits(found: Prediction, goal: Goal) -> Inequality:
    p95 = found.steady.wait.p95
    if p95 > goal.p95 and only_moved(found):
        return Inequality(
            words=f"wait of 95 % {p95 * 1000:.0f} ms: more connections would only move it into the server, which does"
            f" {found.capacity:.1f} of {found.demand.curve.most:.1f}/s with these",
            holds=True,
        )
    return Inequality(words=f"wait of 95 % {p95 * 1000:.0f} ms ≤ {goal.p95 * 1000:.0f} ms", holds=p95 <= goal.p95)


def every_size(demand: Demand, base: Settings, most: int) -> tuple[Prediction, ...]:
    """Return what pools of 1 to ``most`` connections a process do, for a plot: some thirty of them."""
    sizes = sorted({max(1, round(most ** (step / 30))) for step in range(31)} | set(range(1, min(most, 12) + 1)))
    return tuple(predict(replace(base, size=size, overflow=0), demand, band=False, requests=_PLOTTED) for size in sizes)


def recommend(
    demand: Demand,
    base: Settings,
    goal: Goal | None = None,
    today: Settings | None = None,
    cores: int | None = None,
) -> Advice:
    """Return the smallest pool that meets the goal and recovers, within the server's limit, beside today's and rules.

    ``base`` gives time-out, processes and limit. Every process has the same pool. Where none meets all, the one that
    comes nearest is told with what it misses, unless the server itself cannot do what is asked.
    """
    goal = goal or Goal()
    others = _others(demand, base, goal, today, cores)
    most = demand.curve.most
    if most < demand.rate:
        why = (
            f"no pool helps: the server does {most:.1f} requests a second at most, and {demand.rate:g} are asked."
            " Shorten what is held (an index, fewer statements), or ask for less"
        )
        return Advice(best=None, why_none=why, others=others, goal=goal)
    cap = _smallest(demand, base, goal)
    if cap is None:
        fits = _LARGEST if base.limit is None else base.limit // base.processes
        why = (
            f"{base.processes} processes of one connection each are more than the {base.limit} that the server has"
            if fits < 1
            else f"no pool of up to {min(fits, _LARGEST)} connections a process meets all conditions"
        )
        near = _nearest(demand, base, goal, min(fits, _LARGEST)) if fits >= 1 else None
        return Advice(best=near, why_none=why, others=others, goal=goal, pooler=_pooler(demand, base, goal))
    best = judge("recommended", split(cap, demand, base), demand, goal)
    return Advice(best=best, why_none=None, others=others, goal=goal, pooler=_pooler(demand, base, goal, cap))


def split(cap: int, demand: Demand, base: Settings) -> Settings:
    """Return ``cap`` as pool_size and max_overflow: what is busy but for two standard deviations is kept open.

    Overflow costs a new connection at each use, so it is for peaks only.
    """
    busy = predict(replace(base, size=cap, overflow=0), demand, band=False).steady.busy / base.processes
    if base.limit is not None and base.processes * cap > base.limit:
        return replace(base, size=cap, overflow=0)
    size = min(cap, max(1, math.ceil(busy + 2 * math.sqrt(busy))))
    return replace(base, size=size, overflow=cap - size)


def _smallest(demand: Demand, base: Settings, goal: Goal) -> int | None:
    """Return the fewest connections a process that meet everything; each of them is tried, as more may do worse."""
    fits = _LARGEST if base.limit is None else min(_LARGEST, base.limit // base.processes)
    first = max(1, math.floor(demand.rate / demand.curve.most / base.processes))
    for cap in _sizes(first, fits):
        settings = replace(base, size=cap, overflow=0)
        if demand.curve.per_second(settings.most) < MARGIN * demand.rate:
            continue
        if _meets(settings, demand, goal):
            return cap
    return None


def _meets(settings: Settings, demand: Demand, goal: Goal) -> bool:
    found = predict(settings, demand, band=False, requests=_SHORT)
    if found.method is Method.SIMULATED and goal.may_be_met(found):
        found = predict(settings, demand, band=False)
    return goal.is_met(found)


def _sizes(first: int, last: int) -> Sequence[int]:
    """Return what to try: every size up to 64, then in steps of some 3 %."""
    sizes = list(range(first, min(last, 64) + 1))
    size = max(first, 65)
    while size <= last:
        sizes.append(size)
        size += max(1, size // 32)
    return sizes


def _nearest(demand: Demand, base: Settings, goal: Goal, most: int) -> Choice:
    """Return what comes nearest: success first, then the wait, then the fewer connections."""
    sizes = [replace(base, size=cap, overflow=0) for cap in _sizes(1, most)]
    tried = sorted((predict(each, demand, band=False, requests=_SHORT) for each in sizes), key=_far)
    near = [judge("nearest", each.settings, demand, goal) for each in tried[:_CLOSEST]]
    return min(near, key=lambda each: _far(each.prediction))


def _far(found: Prediction) -> tuple[bool, float, float, int]:
    """Return how far off it is, the nearest first."""
    is_unsafe = found.settings.exceeds or found.capacity < MARGIN * found.demand.rate
    return is_unsafe, -round(found.steady.success, 4), round(found.steady.wait.p95, 3), found.settings.most


def _others(
    demand: Demand, base: Settings, goal: Goal, today: Settings | None, cores: int | None
) -> tuple[Choice, ...]:
    """Return today's settings and the alternatives, each only once."""
    named: list[tuple[str, Settings]] = [] if today is None else [("today", today)]
    size, overflow = formulas.SQLALCHEMY
    named.append(("SQLAlchemy's default", replace(base, size=size, overflow=overflow)))
    if cores is not None:
        for name, total in (("cores × 2", formulas.doubled(cores)), ("HikariCP's rule", formulas.hikari(cores))):
            named.append((name, replace(base, size=max(1, round(total / base.processes)), overflow=0)))
    if base.limit is not None:
        named.append(("all that the server has", replace(base, size=max(1, base.limit // base.processes), overflow=0)))
    elif (last := largest_safe(demand.curve, demand.rate, most=_LARGEST)) is not None and last < _LARGEST:
        named.append(("the most that recovers", replace(base, size=max(1, last // base.processes), overflow=0)))
    seen: set[Settings] = set()
    told = []
    for name, settings in named:
        if settings not in seen:
            seen.add(settings)
            told.append(judge(name, settings, demand, goal))
    return tuple(told)


def _pooler(demand: Demand, base: Settings, goal: Goal, cap: int | None = None) -> Pooler | None:
    """Return what one shared pool in front of the server would need, None where it does not pay."""
    if base.processes == 1:
        return None
    shared = _smallest(demand, replace(base, processes=1), goal)
    if shared is None:
        return None
    if cap is None:
        words = f"a pooler pays: {base.processes} pools do not fit, one shared pool of {shared} connections would"
    elif base.processes * cap >= 2 * shared:
        words = (
            f"a pooler begins to pay: one shared pool would need {shared} connections where {base.processes} pools"
            f" need {base.processes} × {cap} = {base.processes * cap}"
        )
    else:
        return None
    return Pooler(size=shared, words=f"{words} (in transaction mode: mind prepared statements, SET, LISTEN)")

"""What success and waiting to expect of pools' settings: the closed form where it holds, events where it does not."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from dbtune.errors import UsageError
from dbtune.pool.curve import Curve
from dbtune.pool.queue import Steady, refusing, waiting
from dbtune.pool.simulation import System, simulate

_ALIKE = 0.2
"""How far a coefficient of variation may be from 1 for the closed form to be taken."""

REQUESTS = 50_000
"""How many requests a simulation takes: success is then known to a tenth of a point."""

_ROUNDS = 100
_SETTLED = 1e-6
_MISS = 0.1


class Method(StrEnum):
    """How a prediction was made."""

    WAITING = "closed form, queue with patience"
    REFUSING = "closed form, server that refuses"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one engine in each of ``processes`` alike processes; SQLAlchemy's defaults.

    ``limit`` is how many connections the server has for them all, None where it does not matter. Seconds.
    """

    size: int = 5
    overflow: int = 10
    timeout: float = 30.0
    processes: int = 1
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.size < 1 or self.overflow < 0:
            raise UsageError(
                "pool_size must be at least 1 and max_overflow at least 0; pool_size=0 and max_overflow=-1 have no cap"
            )
        if self.timeout < 0 or self.processes < 1 or (self.limit is not None and self.limit < 1):
            raise UsageError("pool_timeout must not be negative; processes and connections must be at least 1")

    @property
    def cap(self) -> int:
        """Return how many connections one process opens at most."""
        return self.size + self.overflow

    @property
    def most(self) -> int:
        """Return how many connections all processes open at most."""
        return self.cap * self.processes

    @property
    def exceeds(self) -> bool:
        """Return whether the server has to refuse some of them."""
        return self.limit is not None and self.most > self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is asked of the pools: requests per second in all, and how irregular they and their holds are."""

    rate: float
    curve: Curve
    variation: float = 1.0
    burstiness: float = 1.0
    slips: float = 0.0

    def with_miss(self, factor: float) -> Demand:
        """Return the demand if both rate and hold time were ``factor`` times as large."""
        return replace(self, rate=self.rate * factor, curve=self.curve.times(1 / factor))

    @property
    def is_regular(self) -> bool:
        """Return whether arrivals and holds are about those that the closed forms assume, and callers keep order."""
        return abs(self.variation - 1) <= _ALIKE and abs(self.burstiness - 1) <= _ALIKE and not self.slips


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The steady state with these settings. ``low`` and ``high`` bound success for a load 10 % off."""

    settings: Settings
    demand: Demand
    steady: Steady
    method: Method
    low: float
    high: float

    @property
    def capacity(self) -> float:
        """Return what the server does in a second when every connection that can be had is busy, in 1/s."""
        most = min(self.settings.most, self.settings.limit or self.settings.most)
        return self.demand.curve.per_second(most)

    @property
    def utilisation(self) -> float:
        """Return the rate as a share of the capacity; above 1 some requests must fail."""
        return self.demand.rate / self.capacity

    @property
    def is_fragile(self) -> bool:
        """Return whether one burst can wedge it: it does well, but less than the rate with every connection busy."""
        return self.utilisation >= 1 and self.steady.success > 1 / self.utilisation + 0.005

    @property
    def reason(self) -> str | None:
        """Return what the requests that fail fail of, None where none to speak of do."""
        steady, settings = self.steady, self.settings
        if steady.refused >= max(0.0005, steady.timed_out):
            return (
                f"the server refuses: {settings.processes} × {settings.cap} connections are asked,"
                f" {settings.limit} can be had (SQLSTATE 53300)"
            )
        if steady.timed_out >= 0.0005:
            return f"QueuePool limit of size {settings.size} overflow {settings.overflow} reached, time-out"
        return None


def predict(settings: Settings, demand: Demand, *, band: bool = True, requests: int = REQUESTS) -> Prediction:
    """Return what to expect.

    Time-outs of one process: closed form; of several: each has its share of the requests, and shares the server. A
    server that refuses the only process: closed form. Several processes that ask for more than the server has, holds or
    arrivals that are not like Poisson's: simulated.

    ``band``: also what it would be if rate and hold time were each 5 % larger or smaller, which makes the load 10 % so.

    ``requests``: how many are simulated, if they are; a tenth takes a tenth of the time, and is three times as far off.

    :raises UsageError: there is no steady state.
    """
    steady, method = _steady(settings, demand, requests)
    low = _steady(settings, demand.with_miss(1 + _MISS / 2), requests)[0] if band else steady
    high = _steady(settings, demand.with_miss(1 - _MISS / 2), requests)[0] if band else steady
    return Prediction(
        settings=settings,
        demand=demand,
        steady=steady,
        method=method,
        low=min(low.success, steady.success),
        high=max(high.success, steady.success),
    )


def _steady(settings: Settings, demand: Demand, requests: int) -> tuple[Steady, Method]:
    if demand.is_regular:
        if not settings.exceeds:
            return _shared(settings, demand), Method.WAITING
        if settings.processes == 1:
            assert settings.limit is not None
            return refusing(demand.rate, demand.curve, settings.limit), Method.REFUSING
    return simulate(system(settings, demand, requests)), Method.SIMULATED


def system(settings: Settings, demand: Demand, requests: int = REQUESTS) -> System:
    """Return it as a system to simulate."""
    return System(
        rate=demand.rate,
        curve=demand.curve,
        size=settings.size,
        overflow=settings.overflow,
        patience=settings.timeout,
        processes=settings.processes,
        limit=settings.limit,
        variation=demand.variation,
        burstiness=demand.burstiness,
        slips=demand.slips,
        requests=requests,
    )


def _shared(settings: Settings, demand: Demand) -> Steady:
    """Return the state of alike processes, which slow each other down by what they have busy in all.

    Each sees the others at their mean, which is found by going round until it settles.
    """
    rate = demand.rate / settings.processes
    others = 0.0
    steady = waiting(rate, demand.curve, settings.cap, settings.timeout)
    for _ in range(0 if demand.curve.is_straight or settings.processes == 1 else _ROUNDS):
        steady = waiting(rate, demand.curve.beside(others), settings.cap, settings.timeout)
        now = steady.busy * (settings.processes - 1)
        if math.isclose(now, others, rel_tol=_SETTLED):
            break
        others = (others + now) / 2
    return replace(steady, busy=steady.busy * settings.processes)

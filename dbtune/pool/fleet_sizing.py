"""A whole fleet sized: each service's pool on what the others leave it, and whether all of them together fit.

Every service gets the fewest connections that do what is wanted of it; that their sum fits is then one inequality, and
no pool could be smaller without missing its goal. Where it does not fit, a pool in front of the server or a larger
max_connections is what remains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dbtune.errors import UsageError
from dbtune.pool.budget import Budget, Moment, budget
from dbtune.pool.curve import Curve
from dbtune.pool.fleet import Engine, Fact, Fleet, Service
from dbtune.pool.formulas import SQLALCHEMY
from dbtune.pool.kinds import Kind
from dbtune.pool.prediction import Demand, Settings
from dbtune.pool.recommendation import Advice, Choice, Goal, judge, recommend

ENDLESS = 3600.0
"""What a pool that waits for ever is taken to wait, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """A service with what its pool does today, and what is recommended."""

    service: Service
    engine: Engine
    today: Choice
    advice: Advice

    @property
    def best(self) -> Choice | None:
        """Return what is recommended, None where no pool does it."""
        return self.advice.best


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetAdvice:
    """The services that were sized, and the sums before and with what is recommended."""

    sized: tuple[Sized, ...]
    before: Budget
    after: Budget

    @property
    def needed(self) -> int | None:
        """Return the max_connections that the recommended pools need at least; None where something has no limit."""
        total = self.after.server(Moment.DEPLOY).total
        server = self.after.fleet.server
        return None if total is None else total + server.max_connections.value - server.usable

    @property
    def holds(self) -> bool:
        """Return whether each does what is wanted, and all of them fit."""
        return self.after.holds and all(each.best is not None and each.best.holds for each in self.sized)


def demand(service: Service) -> Demand | None:
    """Return what a service is asked for, by what is said of its rate and hold; None where it is not."""
    if service.rate is None or service.hold is None:
        return None
    return Demand(rate=service.rate.value, curve=Curve.straight(service.hold.value))


def engine_of(service: Service) -> Engine:
    """Return the pool of a service that can be sized: its first of SQLAlchemy's.

    :raises UsageError: it has none, or one without a cap.
    """
    found = next((each for each in service.engines if each.kind is Kind.SQLALCHEMY), None)
    if found is None:
        raise UsageError(f"{service.name} has no pool of SQLAlchemy's: dbtune size check counts its connections")
    return found


def settings_of(fleet: Fleet, service: Service) -> Settings:
    """Return today's settings of a service's pool in its processes at rest, where each has more to do than in a deploy.

    ``limit`` is what they may have together so that all fit in a deploy too, when all others have taken theirs.

    :raises UsageError: there is nothing to size, or nothing is left.
    """
    made = engine_of(service)
    if made.is_uncapped:
        size, overflow = SQLALCHEMY
        made = replace(made, pool_size=Fact(size, ""), max_overflow=Fact(overflow, ""))
    pods, each = service.pods.value, service.processes.value
    return Settings(
        size=made.pool_size.value,
        overflow=made.max_overflow.value,
        timeout=ENDLESS if made.pool_timeout is None else made.pool_timeout.value,
        processes=max(1, pods * each),
        limit=max(1, left_for(fleet, service) * pods // max(1, pods + service.rollout.extra(pods))),
    )


def left_for(fleet: Fleet, service: Service) -> int:
    """Return how many connections a service's pool has when all others have theirs, of the server or of its pooler.

    :raises UsageError: none, or something else has no limit.
    """
    without = replace(fleet, services=tuple(each for each in fleet.services if each is not service))
    pooler = fleet.pooler(service.via)
    if pooler is not None:
        taken = sum(each.in_deploy or 0 for each in without.services if each.via == pooler.name)
        usable, of = pooler.clients, f"max_client_conn of {pooler.name}"
    else:
        total = budget(without).server(Moment.DEPLOY).total
        if total is None:
            raise UsageError(f"nothing limits what others than {service.name} open: see dbtune size check")
        taken, usable, of = total, fleet.server.usable, "the server"
    made = engine_of(service)
    beside = replace(service, engines=tuple(each for each in service.engines if each is not made)).in_deploy
    left = usable - taken - (beside or 0)
    if left < 1:
        raise UsageError(f"{of} has {usable} connections and others take {taken}: none is left for {service.name}")
    return left


def advise(
    fleet: Fleet, goal: Goal, demands: Mapping[str, Demand] | None = None, cores: int | None = None
) -> FleetAdvice:
    """Return the pools of all services whose demand is known, by their own rate and hold or by ``demands``.

    :raises UsageError: no service has a demand, or one cannot be sized.
    """
    wanted = {each.name: found for each in fleet.services if (found := (demands or {}).get(each.name) or demand(each))}
    if not wanted:
        raise UsageError(
            'no service has a rate and a hold: write rate = 36 and hold = "30ms" below its [[service]], or give'
            " --service NAME --rate --hold"
        )
    others = replace(fleet, services=tuple(each for each in fleet.services if each.name not in wanted))
    sized, after = [], fleet
    for service in fleet.services:
        if (asked := wanted.get(service.name)) is None:
            continue
        alone = replace(others, services=(*others.services, service))
        base = settings_of(alone, service)
        advice = recommend(asked, base, goal, base, cores)
        today = judge("today", base, asked, goal)
        sized.append(Sized(service=service, engine=engine_of(service), today=today, advice=advice))
        if advice.best is not None:
            after = _with(after, service, advice.best.settings)
    return FleetAdvice(sized=tuple(sized), before=budget(fleet), after=budget(after))


def _with(fleet: Fleet, service: Service, settings: Settings) -> Fleet:
    """Return the fleet with a service's pool set so."""
    source = "recommended"
    old = engine_of(service)
    new = replace(old, pool_size=Fact(settings.size, source), max_overflow=Fact(settings.overflow, source))
    changed = replace(service, engines=tuple(new if each is old else each for each in service.engines))
    return replace(fleet, services=tuple(changed if each.name == service.name else each for each in fleet.services))

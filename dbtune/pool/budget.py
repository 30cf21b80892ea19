"""Whether a fleet fits its server: the sums at rest and during a deploy, who is squeezed, and what would make it fit.

usable = max_connections − superuser_reserved_connections − reserved_connections − the provider's own
asked  = Σ services: pods × processes × Σ engines (pool_size + max_overflow), and the rest
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from dbtune.pool.fleet import Cap, Fact, Fleet, Pooler, Service, engine
from dbtune.pool.kinds import Kind

MOST_PODS = 100_000
"""More pods than anybody has."""

_MOST_CONNECTIONS = 10_000


class Moment(StrEnum):
    """When a sum is taken."""

    REST = "at rest"
    DEPLOY = "during a deploy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one of them asks for at most; None where nothing limits it."""

    who: str
    connections: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inequality:
    """Σ asks ≤ usable, of the server, a pooler's clients, a role or a database."""

    of: str
    moment: Moment
    asks: tuple[Ask, ...]
    usable: int

    @property
    def total(self) -> int | None:
        """Return the sum, None where nothing limits it."""
        total = 0
        for each in self.asks:
            if each.connections is None:
                return None
            total += each.connections
        return total

    @property
    def holds(self) -> bool:
        """Return whether it fits."""
        return self.total is not None and self.total <= self.usable

    @property
    def headroom(self) -> int | None:
        """Return how many connections are left, below zero where they do not fit, None where nothing limits the sum."""
        return None if self.total is None else self.usable - self.total


@dataclass(frozen=True, slots=True, kw_only=True)
class Squeezed:
    """Who gets ``left`` of what it asks for when all others have taken theirs."""

    who: str
    asks: int | None
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How far one service may grow with all others as they are.

    ``pods`` and ``cap`` are the most pods, and connections a process, that still fit during a deploy; None where
    nothing limits them.
    """

    service: str
    pods: int | None
    cap: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleLimit:
    """What ``ALTER ROLE … CONNECTION LIMIT`` would hold a service to. ``role`` None: nobody said who it logs in as."""

    services: tuple[str, ...]
    role: str | None
    connections: int

    @property
    def statement(self) -> str:
        """Return it as SQL."""
        role = '"' + self.role.replace('"', '""') + '"' if self.role is not None else "the_role"
        return f"ALTER ROLE {role} CONNECTION LIMIT {self.connections};"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The sums of a fleet."""

    fleet: Fleet
    inequalities: tuple[Inequality, ...]
    squeezed: tuple[Squeezed, ...]
    room: tuple[Room, ...]
    role_limits: tuple[RoleLimit, ...]

    @property
    def holds(self) -> bool:
        """Return whether all fits, at rest and during a deploy."""
        return not self.broken

    @property
    def broken(self) -> tuple[Inequality, ...]:
        """Return what does not fit."""
        return tuple(each for each in self.inequalities if not each.holds)

    def server(self, moment: Moment) -> Inequality:
        """Return the server's own sum."""
        return next(each for each in self.inequalities if each.of == SERVER and each.moment is moment)


SERVER = "max_connections"
"""The name of the server's own inequality."""


def budget(fleet: Fleet) -> Budget:
    """Return the sums of a fleet, and what follows from them."""
    found = inequalities(fleet)
    broken = not all(each.holds for each in found)
    deploy = next(each for each in found if each.of == SERVER and each.moment is Moment.DEPLOY)
    return Budget(
        fleet=fleet,
        inequalities=found,
        squeezed=_squeezed(deploy),
        room=tuple(_room(fleet, each) for each in fleet.services if each.engines),
        role_limits=() if broken else _role_limits(fleet),
    )


def inequalities(fleet: Fleet) -> tuple[Inequality, ...]:
    """Return every sum that has to fit: the server's, each pooler's clients, each limited role and database."""
    found = [
        Inequality(of=SERVER, moment=moment, asks=_on_server(fleet, moment), usable=fleet.server.usable)
        for moment in Moment
    ]
    for pooler in fleet.poolers:
        clients = [each for each in fleet.services if each.via == pooler.name]
        if clients:
            asks = tuple(Ask(who=each.name, connections=each.in_deploy) for each in clients)
            of = f"max_client_conn of {pooler.name}"
            found.append(Inequality(of=of, moment=Moment.DEPLOY, asks=asks, usable=pooler.clients))
    for cap in fleet.server.caps:
        asks = _under(fleet, cap)
        if asks:
            of = f"connection limit of {cap.kind} {cap.name}"
            found.append(Inequality(of=of, moment=Moment.DEPLOY, asks=asks, usable=cap.most.value))
    return tuple(found)


def _on_server(fleet: Fleet, moment: Moment) -> tuple[Ask, ...]:
    def asked(each: Service | Pooler) -> int | None:
        return each.at_rest if moment is Moment.REST else each.in_deploy

    direct: list[Service | Pooler] = [each for each in fleet.services if fleet.pooler(each.via) is None]
    takers = [each for each in [*direct, *fleet.poolers] if each.at_rest != 0 or moment is Moment.DEPLOY]
    extras = [each for each in fleet.extras if moment is Moment.DEPLOY or not each.is_deploy_only]
    return (
        *(Ask(who=each.name, connections=asked(each)) for each in takers),
        *(Ask(who=each.name, connections=each.connections.value) for each in extras),
    )


def _under(fleet: Fleet, cap: Cap) -> tuple[Ask, ...]:
    """Return who connects as a role, or to a database, as far as that is known."""
    asks = []
    for each in fleet.services:
        if fleet.pooler(each.via) is not None:
            continue
        if cap.kind == "role":
            if each.role is not None and each.role.value == cap.name:
                asks.append(Ask(who=each.name, connections=each.in_deploy))
            continue
        engines = tuple(e for e in each.engines if e.database is not None and e.database.value == cap.name)
        if engines:
            asks.append(Ask(who=each.name, connections=replace(each, engines=engines).in_deploy))
    return tuple(asks)


def _squeezed(deploy: Inequality) -> tuple[Squeezed, ...]:
    found = []
    for each in deploy.asks:
        others = [ask.connections for ask in deploy.asks if ask is not each]
        taken = sum(number for number in others if number is not None)
        left = 0 if None in others else max(0, deploy.usable - taken)
        if each.connections is None or left < each.connections:
            found.append(Squeezed(who=each.who, asks=each.connections, left=left))
    return tuple(found)


def _room(fleet: Fleet, service: Service) -> Room:
    def fits(changed: Service) -> bool:
        services = tuple(changed if each is service else each for each in fleet.services)
        concerned = [
            each
            for each in inequalities(replace(fleet, services=services))
            if any(ask.who == service.name for ask in each.asks)
        ]
        return all(each.holds for each in concerned)

    def holding(connections: int) -> Service:
        return replace(service, engines=(engine(Kind.CONNECTION, pool_size=Fact(connections, "")),))

    return Room(
        service=service.name,
        pods=_largest(lambda pods: fits(service.with_pods(pods, "")), MOST_PODS),
        cap=_largest(lambda connections: fits(holding(connections)), _MOST_CONNECTIONS),
    )


def _largest(fits: Callable[[int], bool], most: int) -> int | None:
    """Return the largest number up to ``most`` that fits, None if all do; what fits, fits for less as well."""
    if fits(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _role_limits(fleet: Fleet) -> tuple[RoleLimit, ...]:
    """Return what would hold each service to its share; services with the same role share it.

    A service behind a pooler is held by the pooler's own pool.
    """
    shares: dict[str, list[Service]] = {}
    for each in fleet.services:
        if fleet.pooler(each.via) is None and each.in_deploy:
            shares.setdefault(f"role {each.role.value}" if each.role is not None else f"of {each.name}", []).append(
                each
            )
    return tuple(
        RoleLimit(
            services=tuple(each.name for each in services),
            role=services[0].role.value if services[0].role is not None else None,
            connections=sum(each.in_deploy or 0 for each in services),
        )
        for services in shares.values()
    )

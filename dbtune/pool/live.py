"""Asking a running server what its pools must do: transactions and their hold times, limits, and true causes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from dbtune.errors import UsageError
from dbtune.plan.survey import Wanted, survey
from dbtune.pool import causes
from dbtune.server import limits, sessions, traffic
from dbtune.server.limits import Limits
from dbtune.server.traffic import Traffic
from dbtune.workload.query import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What a server told."""

    traffic: Traffic
    limits: Limits
    causes: tuple[str, ...]

    @property
    def hold(self) -> float:
        """Return the seconds that a transaction holds its connection.

        :raises UsageError: nobody can tell.
        """
        if self.traffic.hold is None:
            raise UsageError(
                "the server does not tell how long connections are held: give --hold, or ask as a member of pg_monitor"
            )
        return self.traffic.hold


def observe(
    connection: Connection,
    seconds: float,
    queries: Sequence[Query] = (),
    tell: Callable[[float], None] = lambda passed: None,
) -> Live:
    """Watch the connection's database for ``seconds``; ``queries`` are then run once each, as ``explain`` does.

    :raises UsageError: no transaction ended.
    """
    seen = traffic.measure(connection, seconds, tell)
    if seen.is_quiet:
        raise UsageError(
            f"no transaction ended in {seen.database} within {seen.seconds:.0f} s:"
            " measure under load (--interval), or give --rate and --hold"
        )
    found = [causes.idle(seen), causes.blocked(sessions.read(connection))]
    if queries:
        found.append(causes.statement(survey(connection, queries, Wanted(alternatives=False, prove=False), server="")))
    return Live(traffic=seen, limits=limits.read(connection), causes=tuple(each for each in found if each is not None))

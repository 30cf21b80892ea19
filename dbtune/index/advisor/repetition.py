"""One statement sent again and again within a request, once for each row of another: the N+1 pattern.

No index helps that as much as asking once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from dbtune.workload.query import Query
from dbtune.workload.requests import Request, fingerprint_hash

TIMES = 10
"""A statement that follows itself this often is told."""

_PAUSE_SECONDS = 1.0


def repeated(queries: Sequence[Query], requests: Iterable[Request]) -> Mapping[str, str]:
    """Return, by query, how often it was sent in a row by one route, where that was often.

    A row ends with another statement of the same route, and with a second's pause.
    """
    longest: dict[tuple[str, str], list[int]] = {}
    open_: dict[str, tuple[str, int, datetime, str | None]] = {}
    for request in requests:
        route = request.route or ""
        last = open_.get(route)
        follows = (
            last is not None
            and last[0] == request.fingerprint
            and last[3] != request.parameters
            and _seconds(last[2], request.time) <= _PAUSE_SECONDS
        )
        count = last[1] + 1 if follows and last is not None else 1
        if last is not None and not follows and last[1] >= TIMES:
            longest.setdefault((last[0], route), []).append(last[1])
        open_[route] = (request.fingerprint, count, request.time, request.parameters)
    for route, (fingerprint, count, _, _) in open_.items():
        if count >= TIMES:
            longest.setdefault((fingerprint, route), []).append(count)
    told = {}
    for query in queries:
        own = fingerprint_hash(query.statement)
        found = sorted((max(counts), route) for (fingerprint, route), counts in longest.items() if fingerprint == own)
        if found:
            most, route = found[-1]
            where = f" by {route}" if route else ""
            told[query.name] = (
                f"it was sent {most} times in a row{where}, with other values each time:"
                " asking once for all of them saves more than any index"
            )
    return told


def _seconds(one: datetime, other: datetime) -> float:
    if (one.tzinfo is None) != (other.tzinfo is None):
        return _PAUSE_SECONDS + 1
    return abs((other - one).total_seconds())

"""What every exported plan has: each different request once, and when which of them is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dbtune.errors import UsageError
from dbtune.load.hammer import Options
from dbtune.load.route import Route
from dbtune.load.schedule import Schedule

MOST = 500_000
"""Plans are read as a whole by the tools that run them: so many requests are some 10 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request: ``body`` is JSON or None; ``statuses`` and ``json`` are what a right answer has, as a route says."""

    name: str
    method: str
    path: str
    body: str | None
    headers: Mapping[str, str]
    statuses: tuple[int, ...]
    json: Mapping[str, Any]

    def told(self) -> dict[str, Any]:
        """Return it as the scripts of the plans have it."""
        return {
            "name": self.name,
            "method": self.method,
            "path": self.path,
            "body": self.body,
            "headers": dict(self.headers),
            "statuses": list(self.statuses),
            "json": dict(self.json),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``due`` has seconds from the start, and which of the ``requests`` is sent then."""

    target: str
    words: str
    options: Options
    requests: tuple[Asked, ...]
    due: tuple[tuple[float, int], ...]
    peak: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A plan's file, and the data that must be in another file beside it, where its tool wants that."""

    text: str
    data: str | None = None


def plan(target: str, words: str, routes: Sequence[Route], schedule: Schedule, options: Options) -> Plan:
    """Return what the hammer would send with these.

    :raises UsageError: it is more than the tools could read.
    """
    if len(schedule.due) > MOST:
        raise UsageError(f"a plan has at most {MOST:,} requests, and these are {len(schedule.due):,}: shorten --for")
    places: dict[str, int] = {}
    requests: list[Asked] = []
    due = []
    for each in schedule.due:
        route = routes[each.route]
        request = route.request(each.number, options.seed)
        asked = Asked(
            name=route.name,
            method=request.method,
            path=request.path,
            body=None if request.body is None else json.dumps(request.body),
            headers={**options.headers, **request.headers},
            statuses=request.statuses,
            json=request.json,
        )
        place = places.setdefault(json.dumps(asked.told(), sort_keys=True), len(requests))
        if place == len(requests):
            requests.append(asked)
        due.append((round(each.at, 6), place))
    return Plan(
        target=target.rstrip("/"),
        words=" ".join(words.split()),
        options=options,
        requests=tuple(requests),
        due=tuple(due),
        peak=schedule.peak,
    )


def rows(due: Sequence[tuple[float, int]], opening: str, closing: str) -> str:
    """Return the times as a script's list of pairs, some a line."""
    told = [f"{opening}{at}, {which}{closing}" for at, which in due]
    return "\n".join("    " + ", ".join(told[first : first + 6]) + "," for first in range(0, len(told), 6))

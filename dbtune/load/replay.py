"""What a service was asked before, to be asked again at the same times: access logs, JSON lines, captured streams.

- An access log in the Common Log Format or one that begins like it: nginx, Apache, gunicorn, werkzeug. It knows whole
  seconds only, so the requests of a second are spread evenly within it. It has no bodies, so only GET is sent again.
- JSON lines with a time (``time``, ``at``, ``timestamp``, ``ts``, ``@timestamp``: ISO 8601, or Unix seconds or
  milliseconds), a ``method`` (GET if there is none) and a ``path`` or ``url``, with ``body`` and ``headers`` if there
  are any; or with the request as an access log writes it, in ``request`` or ``message``. A method other than GET is
  sent again only where ``body`` is there, if only as null: a mere log of what was deleted deletes nothing.
- The stream of ``dbtune capture --keep-requests``, which has hashes in place of values: the routes and values are then
  those of a routes file, and the same hash takes the same values.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from dbtune.errors import BadFile, UsageError
from dbtune.load.route import METHODS, Route
from dbtune.load.schedule import Due, Schedule

CELL = "replayed"
_TIMES = ("time", "at", "timestamp", "ts", "@timestamp")
_PATHS = ("path", "uri", "url", "request_uri")
_MILLISECONDS = 1e11
"""Unix times above this many seconds, the year 5138, are in milliseconds."""
_SAFE = "%/?:@!$&'()*+,;=~"
"""What stays as it is in a path and a query: RFC 3986, and escapes that are there already."""

_LOGGED = re.compile(r"\[(?P<time>\d{1,2}/\w{3}/\d{4}[: ]\d\d:\d\d:\d\d(?: [+-]\d{4})?)\] \"(?P<request>[^\"]*)\"")
_LINE = re.compile(r"(?P<method>[A-Z]+) (?P<path>\S+)(?: HTTP/[\d.]+)?")
_QUOTED = re.compile(r"\"([A-Z]+ \S+ HTTP/[\d.]+)\"")
_NUMBER = re.compile(r"\d{9,13}(?:\.\d+)?")
_ID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|\d+|[0-9a-fA-F]{16,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """``routes`` are literal ones, a different request each, or those of a routes file; ``notes`` what was left out."""

    routes: tuple[Route, ...]
    schedule: Schedule
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _What:
    """A request; ``body`` and ``headers`` as JSON."""

    method: str
    path: str
    body: str = "null"
    headers: str = "{}"


@dataclass(frozen=True, slots=True)
class _Captured:
    """A statement of a captured stream: of which route, which one, and a hash of its values."""

    route: str | None
    fingerprint: str
    values: str | None


@dataclass(frozen=True, slots=True)
class _Line:
    """What was asked when, in Unix time."""

    at: float
    what: _What | _Captured


@dataclass(slots=True)
class _Left:
    """What is not sent, and why."""

    counts: Counter[str] = field(default_factory=Counter)
    unread: int = 0
    first: int | None = None

    def notes(self) -> Iterator[str]:
        if self.first is not None:
            yield f"{self.unread} lines are no requests, the first of them line {self.first}"
        yield from (f"{count} left out: {why}" for why, count in self.counts.items())


def load(path: Path, routes: Sequence[Route] = (), *, speed: float = 1.0) -> Replay:
    """Return the requests of a file, ``speed`` times as fast; ``routes`` are for a captured stream.

    :raises BadFile: it cannot be read, or there is no request in it.
    :raises UsageError: a captured stream needs routes, or another file needs none.
    """
    if not speed > 0:
        raise UsageError("--speed must be more than 0")
    left = _Left()
    lines = sorted(_read(path, left), key=lambda line: line.at)
    is_captured = {isinstance(line.what, _Captured) for line in lines}
    if len(is_captured) > 1:
        raise BadFile(path, "has lines of dbtune capture --keep-requests and others: replay them apart")
    if is_captured == {True}:
        if not routes:
            raise UsageError(f"{path} has no values: give the routes that its names stand for with --routes")
        lines, made, keys = _of_routes(lines, routes, left)
    elif routes:
        raise UsageError("--replay has its own requests; --routes is for a file of dbtune capture --keep-requests")
    else:
        made = {line.what: _literal(line.what) for line in lines if isinstance(line.what, _What)}
        keys = [line.what for line in lines]
    if not lines:
        told = "; ".join(left.notes())
        raise BadFile(path, f"has no request to send{f': {told}' if told else ''}")
    places = {key: place for place, key in enumerate(made)}
    due = tuple(
        Due(number, at / speed, CELL, places[key])
        for number, (at, key) in enumerate(zip(_times(lines), keys, strict=True))
    )
    notes = list(left.notes())
    if _are_whole(lines) and len(lines) > 1:
        notes.append("its times are whole seconds: the requests of each are spread evenly within it")
    return Replay(routes=tuple(made.values()), schedule=Schedule(due=due, cells=(CELL,)), notes=tuple(notes))


def name(method: str, path: str) -> str:
    """Return a request's name in tables: what looks like an id is ``{id}``, values of the query are left out."""
    plain, _, query = path.partition("?")
    parts = ["{id}" if _ID.fullmatch(part) else part for part in plain.split("/")]
    names = list(dict.fromkeys(pair.partition("=")[0] for pair in query.split("&") if pair))
    return f"{method} {'/'.join(parts)}{'?' + '&'.join(names) if names else ''}"


def _literal(what: _What) -> Route:
    return Route(
        method=what.method,
        path=what.path,
        name=name(what.method, what.path),
        body=json.loads(what.body),
        headers=json.loads(what.headers),
        literal=True,
    )


def _of_routes(
    lines: Sequence[_Line], routes: Sequence[Route], left: _Left
) -> tuple[list[_Line], dict[Hashable, Route], list[Hashable]]:
    """Return the lines that are requests, the routes that they take, each with one set of values, and which takes what.

    Of a route's statements the one that came first stands for the request.
    """
    known = {label: place for place, each in enumerate(routes) for label in (f"{each.method} {each.path}", each.name)}
    firsts: dict[str, str] = {}
    made: dict[Hashable, Route] = {}
    kept: list[_Line] = []
    keys: list[Hashable] = []
    for number, line in enumerate(lines):
        assert isinstance(line.what, _Captured)
        label = line.what.route
        if label is None or label not in known:
            left.counts["of no route" if label is None else f"{label} is not among the routes"] += 1
            continue
        if firsts.setdefault(label, line.what.fingerprint) != line.what.fingerprint:
            continue
        route = routes[known[label]]
        turn = number if line.what.values is None else int(line.what.values, 16)
        key = known[label], turn % len(route.parameters)
        made[key] = replace(route, parameters=(route.parameters[key[1]],))
        kept.append(line)
        keys.append(key)
    return kept, made, keys


def _are_whole(lines: Sequence[_Line]) -> bool:
    """Return whether no time tells of parts of a second."""
    return all(line.at.is_integer() for line in lines)


def _times(lines: Sequence[_Line]) -> Iterator[float]:
    """Yield seconds from the first request; where whole seconds are all that is known, spread within each."""
    first = lines[0].at
    if not _are_whole(lines):
        yield from (line.at - first for line in lines)
        return
    counts = Counter(line.at for line in lines)
    seen: Counter[float] = Counter()
    for line in lines:
        yield line.at - first + seen[line.at] / counts[line.at]
        seen[line.at] += 1


def _read(path: Path, left: _Left) -> Iterator[_Line]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, text in enumerate(file, 1):
                if not text.strip():
                    continue
                found = _of_json(text, left) if text.lstrip().startswith("{") else _of_log(text, left)
                if isinstance(found, _Line):
                    yield found
                elif found is None:
                    left.unread += 1
                    left.first = left.first or number
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}") from None


def _of_log(text: str, left: _Left) -> _Line | bool | None:
    """Return the request of a line of an access log, False where it is not sent again, None where there is none."""
    logged = _LOGGED.search(text)
    request = _LINE.fullmatch(logged["request"]) if logged else None
    if logged is None or request is None:
        return None
    layout = "%d/%b/%Y:%H:%M:%S" if logged["time"][11] == ":" else "%d/%b/%Y %H:%M:%S"
    try:
        at = datetime.strptime(logged["time"], f"{layout} %z" if logged["time"][-5] in "+-" else layout)
    except ValueError:
        return None
    return _without_body(at, request["method"], request["path"], left)


def _of_json(text: str, left: _Left) -> _Line | bool | None:
    try:
        told = json.loads(text)
    except ValueError:
        return None
    at = _time(next((told[key] for key in _TIMES if told.get(key) is not None), None))
    if at is None:
        return None
    if "fingerprint" in told and "parameters" in told:
        route = told.get("route")
        values = told["parameters"]
        what = _Captured(None if route is None else str(route), str(told["fingerprint"]), values and str(values))
        return _Line(at.timestamp(), what)
    path = next((told[key] for key in _PATHS if isinstance(told.get(key), str)), None)
    if path is None:
        return _quoted(at, told, left)
    method = str(told.get("method") or told.get("request_method") or "GET").upper()
    if method not in METHODS:
        left.counts[f"{method} is not sent"] += 1
        return False
    if method != "GET" and "body" not in told:
        left.counts[f"{method} without its body"] += 1
        return False
    headers = told.get("headers") if isinstance(told.get("headers"), dict) else {}
    return _Line(
        at.timestamp(),
        _What(
            method,
            _path(path),
            json.dumps(told.get("body"), sort_keys=True),
            json.dumps({str(key): str(value) for key, value in (headers or {}).items()}, sort_keys=True),
        ),
    )


def _quoted(at: datetime, told: Mapping[str, Any], left: _Left) -> _Line | bool | None:
    """Return a request that stands in a field as in an access log."""
    for key in ("request", "message"):
        text = told.get(key)
        if isinstance(text, str) and (found := _QUOTED.search(text) or _LINE.fullmatch(text)):
            request = _LINE.fullmatch(found[1] if found.re is _QUOTED else found[0])
            if request is not None:
                return _without_body(at, request["method"], request["path"], left)
    return None


def _without_body(at: datetime, method: str, path: str, left: _Left) -> _Line | bool:
    if method != "GET":
        left.counts[f"{method} is not sent again from an access log"] += 1
        return False
    return _Line(at.timestamp(), _What("GET", _path(path)))


def _path(text: str) -> str:
    """Return the path and the query, of a whole URL too, as they are sent."""
    parts = urlsplit(text)
    path = parts.path if parts.path.startswith("/") else f"/{parts.path}"
    return quote(f"{path}?{parts.query}" if parts.query else path, safe=_SAFE)


def _time(value: object) -> datetime | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        seconds = value / 1000 if value > _MILLISECONDS else float(value)
        try:
            return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    if isinstance(value, str):
        if _NUMBER.fullmatch(value):
            return _time(float(value))
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    return None

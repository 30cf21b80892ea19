"""What is asked: routes with parameters from JSON or CSV, and what a right answer looks like.

A routes file is JSON: ``{"routes": [{"method": "GET", "path": "/items/{id}", "parameters": "ids.csv",
"body": {"id": "{id}"}, "headers": {}, "expect": {"status": [200], "json": {"id": "{id}"}}}]}``. ``parameters`` is a
list of objects or strings (named after the path's only name), or the name of a JSON or CSV file beside it.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dbtune.errors import BadFile, UsageError

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_NAME = re.compile(r"\{(\w+)\}")
_BITS = (1 << 64) - 1
_KEYS = {"method", "path", "name", "parameters", "body", "headers", "expect"}

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What makes an answer right: its status, any of these (none: below 400), and these values in its JSON object."""

    statuses: tuple[int, ...] = ()
    json: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method and a path below the target, with names in braces, and the values that take turns for them.

    In a ``literal`` one braces are braces.
    """

    method: str
    path: str
    name: str
    parameters: tuple[Values, ...] = ({},)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    expect: Expectation = field(default_factory=Expectation)
    literal: bool = False

    def request(self, number: int, seed: int) -> Request:
        """Return the request with that number: which values it takes depends on number and seed alone."""
        values = self.parameters[_mixed(seed, number) % len(self.parameters)]
        return Request(
            method=self.method,
            path=self.path if self.literal else _NAME.sub(lambda f: quote(str(values[f[1]]), safe=""), self.path),
            body=self.body if self.literal else _filled(self.body, values),
            headers=self.headers,
            statuses=self.expect.statuses,
            json={key: _filled(value, values) for key, value in self.expect.json.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, and what a right answer to it has."""

    method: str
    path: str
    body: Any
    headers: Mapping[str, str]
    statuses: tuple[int, ...]
    json: Mapping[str, Any]

    def wrong(self, status: int, body: bytes) -> str | None:
        """Return what is wrong with an answer that is not an error, None if it is right."""
        if self.statuses and status not in self.statuses:
            return f"status {status} was not expected"
        if not self.json:
            return None
        try:
            told = json.loads(body)
        except ValueError:
            return "the body is no JSON"
        if not isinstance(told, dict):
            return "the body is no JSON object"
        for key, value in self.json.items():
            if told.get(key) != value:
                return f"{key} is {str(told.get(key))[:40]!r}, not {str(value)[:40]!r}"
        return None


def _mixed(seed: int, number: int) -> int:
    """Return 64 bits that look random, the same for the same numbers (SplitMix64; seeding random takes 10 µs)."""
    bits = (seed * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & _BITS
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _BITS
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _BITS
    return bits ^ (bits >> 31)


def plain(path: str) -> Route:
    """Return a GET of a path without parameters.

    :raises UsageError: it has names in braces, for which nothing stands.
    """
    if names := _NAME.findall(path):
        raise UsageError(f"--get {path}: nothing is given for {{{names[0]}}}; write a routes file (--routes)")
    return Route(method="GET", path=path if path.startswith("/") else f"/{path}", name=f"GET {path}")


def load(path: Path) -> tuple[Route, ...]:
    """Return the routes of a file.

    :raises BadFile: it cannot be read or used: which route, what to do.
    """
    told = _json(path)
    listed = told.get("routes") if isinstance(told, dict) else told
    if not isinstance(listed, list) or not listed:
        raise BadFile(path, 'has no routes; write {"routes": [{"path": "/…"}]}')
    return tuple(_route(path, number, each) for number, each in enumerate(listed, 1))


def _route(path: Path, number: int, told: Any) -> Route:
    where = f"route {number}"
    if not isinstance(told, dict) or not isinstance(told.get("path"), str):
        raise BadFile(path, f'{where}: write an object with a "path"')
    if unknown := sorted(set(told) - _KEYS):
        raise BadFile(path, f"{where}: {unknown[0]} is not known; known are {', '.join(sorted(_KEYS))}")
    method = str(told.get("method", "GET")).upper()
    if method not in METHODS:
        raise BadFile(path, f"{where}: method {method} is not one of {', '.join(METHODS)}")
    template = told["path"] if told["path"].startswith("/") else f"/{told['path']}"
    names = _names(template) | _names(told.get("body")) | _names(told.get("expect"))
    parameters = _parameters(path, where, told.get("parameters"), names)
    return Route(
        method=method,
        path=template,
        name=str(told.get("name", f"{method} {told['path']}")),
        parameters=parameters,
        body=told.get("body"),
        headers={str(key): str(value) for key, value in dict(told.get("headers") or {}).items()},
        expect=_expectation(path, where, told.get("expect") or {}),
    )


def _expectation(path: Path, where: str, told: Any) -> Expectation:
    if not isinstance(told, dict) or set(told) - {"status", "json"}:
        raise BadFile(path, f'{where}: expect is {{"status": [200], "json": {{…}}}}')
    statuses = told.get("status", [])
    statuses = [statuses] if isinstance(statuses, int) else statuses
    if not all(isinstance(each, int) for each in statuses) or not isinstance(told.get("json", {}), dict):
        raise BadFile(path, f"{where}: expect has statuses as numbers, and json as an object")
    return Expectation(statuses=tuple(statuses), json=told.get("json", {}))


def _parameters(path: Path, where: str, told: Any, names: set[str]) -> tuple[Values, ...]:
    if isinstance(told, str):
        source = path.parent / told
        told = _csv(source) if source.suffix == ".csv" else _json(source)
        path = source
    if told is None:
        if names:
            raise BadFile(path, f"{where}: nothing is given for {{{min(names)}}}; add parameters")
        return ({},)
    if not isinstance(told, list) or not told:
        raise BadFile(path, f"{where}: parameters are a list that is not empty, or the name of a file with one")
    rows: list[Values] = []
    for position, each in enumerate(told, 1):
        if not isinstance(each, dict):
            if len(names) != 1:
                raise BadFile(path, f"{where}: parameter {position} must be an object that names {', '.join(names)}")
            each = {next(iter(names)): each}
        if missing := names - set(each):
            raise BadFile(path, f"{where}: parameter {position} has no {min(missing)}")
        rows.append(each)
    return tuple(rows)


def _names(value: Any) -> set[str]:
    if isinstance(value, str):
        return set(_NAME.findall(value))
    if isinstance(value, dict):
        return {name for each in value.values() for name in _names(each)}
    if isinstance(value, list):
        return {name for each in value for name in _names(each)}
    return set()


def _filled(value: Any, values: Values) -> Any:
    """Return ``value`` with names in braces replaced; a text that is only a name becomes its value as it is."""
    if isinstance(value, str):
        whole = _NAME.fullmatch(value)
        return values[whole[1]] if whole else _NAME.sub(lambda found: str(values[found[1]]), value)
    if isinstance(value, dict):
        return {key: _filled(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    return value


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadFile(path, "is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise BadFile(path, f"is not JSON: {error.msg}", line=error.lineno) from None


def _csv(path: Path) -> Sequence[Values]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise BadFile(path, "is not CSV in UTF-8") from None

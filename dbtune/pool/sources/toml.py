"""The fleet file: TOML in which people write what no other file says. See docs/fleet.md for its keys."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from dbtune.errors import BadFile
from dbtune.pool.fleet import Fact
from dbtune.pool.sources.keys import ENGINE, POOL, POOLER, SERVER, SERVICE, Check, Refused, flag, name_of, whole
from dbtune.pool.sources.places import lines
from dbtune.pool.sources.tree import Unreadable, read

NAMES = ("dbtune.toml", "fleet.toml")
"""The names under which a folder's own fleet file is found."""

_TOP = ("server", "service", "pooler", "rest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One table of the file: its values by key with their places, and the tables below it."""

    values: Mapping[str, Fact[Any]]
    source: str
    below: tuple[Entry, ...] = ()

    @property
    def name(self) -> str:
        """Return the name that it has."""
        found = self.values.get("name")
        return str(found.value) if found is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a fleet file says; ``rest`` are connections by name, with whether they are there during deploys only."""

    path: str
    server: Entry
    roles: Mapping[str, Fact[int]]
    databases: Mapping[str, Fact[int]]
    services: tuple[Entry, ...]
    poolers: tuple[Entry, ...]
    rest: Mapping[str, tuple[Fact[int], bool]]


def load(path: Path, shown: str | None = None) -> Declared:
    """Read a fleet file; ``shown`` is how its path is told.

    :raises BadFile: it cannot be read, or holds something that no fleet file holds: which key, and what to write.
    """
    try:
        text = read(path)
    except Unreadable as error:
        raise BadFile(path, str(error)) from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+), column \d+\)", str(error))
        reason = re.sub(r"\s*\(at .*\)", "", str(error))
        line = int(at.group(1)) if at else None
        raise BadFile(path, f"is not TOML: {reason[0].lower()}{reason[1:]}", line=line) from None
    except (RecursionError, ValueError):
        raise BadFile(path, "is not TOML that can be read: it is nested too deeply, or a number is absurd") from None
    return _Document(path, shown or str(path), document, lines(text)).declared()


_Lines = Mapping[tuple[str, ...], int]


class _Document:
    """A parsed file with the lines of its keys."""

    def __init__(self, path: Path, shown: str, document: Mapping[str, Any], at_lines: _Lines) -> None:
        self.path = path
        self.shown = shown
        self.document = document
        self.lines = at_lines

    def declared(self) -> Declared:
        self.known(self.document, _TOP, (), "")
        server = self.table(("server",))
        names: dict[str, Mapping[str, Fact[int]]] = {}
        for key in ("roles", "databases"):
            names[key] = self.numbers(("server", key))
        entry = self.entry({k: v for k, v in server.items() if k not in names}, SERVER, ("server",), "server", names)
        return Declared(
            path=self.shown,
            server=entry,
            roles=names["roles"],
            databases=names["databases"],
            services=self.entries("service", SERVICE, "engine", ENGINE),
            poolers=self.entries("pooler", POOLER, "pool", POOL),
            rest=self.rest(),
        )

    def refuse(self, where: tuple[str, ...], reason: str) -> NoReturn:
        line = next((self.lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in self.lines), None)
        raise BadFile(self.path, reason, line=line)

    def table(self, where: tuple[str, ...]) -> Mapping[str, Any]:
        here: Any = self.document
        for key in where:
            here = here.get(key, {})
            if not isinstance(here, dict):
                self.refuse(where, f"{'.'.join(where)} must be a table: write [{'.'.join(where)}] on a line of its own")
        return dict(here)

    def known(self, table: Mapping[str, Any], keys: Sequence[str], where: tuple[str, ...], of: str) -> None:
        for key in table:
            if key not in keys:
                near = difflib.get_close_matches(key, keys, n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(keys)}"
                self.refuse((*where, key), f"{of}unknown key {key!r}{hint}")

    def entry(
        self,
        table: Mapping[str, Any],
        checks: Mapping[str, Check],
        where: tuple[str, ...],
        of: str,
        others: Sequence[str] | Mapping[str, Any] = (),
        below: tuple[Entry, ...] = (),
    ) -> Entry:
        self.known(table, [*checks, *others], where, f"{of}: ")
        values: dict[str, Fact[Any]] = {}
        for key, value in table.items():
            if key not in checks:
                continue
            try:
                values[key] = Fact(checks[key](value), self.at((*where, key)))
            except Refused as error:
                self.refuse((*where, key), f"{of}: {key} {error}")
        return Entry(values=values, source=self.at(where), below=below)

    def at(self, where: tuple[str, ...]) -> str:
        line = self.lines.get(where)
        return f"{self.shown}:{line}" if line is not None else self.shown

    def numbers(self, where: tuple[str, ...]) -> dict[str, Fact[int]]:
        found = {}
        for name, value in self.table(where).items():
            try:
                found[name] = Fact(whole(value), self.at((*where, name)))
            except Refused as error:
                self.refuse((*where, name), f"{'.'.join(where)}: {name} {error}")
        return found

    def entries(
        self, kind: str, checks: Mapping[str, Check], inner: str, inner_checks: Mapping[str, Check]
    ) -> tuple[Entry, ...]:
        listed = self.listed(self.document.get(kind, []), (kind,), kind)
        found: list[Entry] = []
        for number, table in enumerate(listed):
            where = (kind, str(number))
            name = table.get("name")
            of = f"{kind} {name}" if isinstance(name, str) else f"{kind} {number + 1}"
            if "name" not in table:
                self.refuse(where, f'{of} has no name: write name = "…" below [[{kind}]]')
            own = {key: value for key, value in table.items() if key in inner_checks and key not in checks}
            below = []
            for place, each in enumerate(self.listed(table.get(inner, []), (*where, inner), f"{of}: {inner}")):
                at = (*where, inner, str(place))
                extra = {"name": name_of} if inner == "engine" else {}
                below.append(self.entry(each, {**inner_checks, **extra}, at, f"{of}, {inner} {place + 1}"))
            if own and below:
                self.refuse(
                    (*where, next(iter(own))), f"{of}: {next(iter(own))} belongs below one of its [[{kind}.{inner}]]"
                )
            if own:
                below = [self.entry(own, inner_checks, where, of)]
            rest = {key: value for key, value in table.items() if key != inner and key not in own}
            entry = self.entry(rest, checks, where, of, [*inner_checks, inner], tuple(below))
            if entry.name in {each.name for each in found}:
                self.refuse((*where, "name"), f"{kind} {entry.name} is there twice: give each its own name")
            found.append(entry)
        return tuple(found)

    def listed(self, given: object, where: tuple[str, ...], of: str) -> list[dict[str, Any]]:
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            self.refuse(
                where, f"{of} must be a list of tables: write [[{'.'.join(w for w in where if not w.isdigit())}]]"
            )
        return given

    def rest(self) -> dict[str, tuple[Fact[int], bool]]:
        found = {}
        for name, value in self.table(("rest",)).items():
            where = ("rest", name)
            is_deploy_only = name == "migrations"
            if isinstance(value, dict):
                self.known(value, ("connections", "deploy_only"), where, f"rest.{name}: ")
                try:
                    is_deploy_only = flag(value.get("deploy_only", is_deploy_only))
                except Refused as error:
                    self.refuse(where, f"rest.{name}: deploy_only {error}")
                if "connections" not in value:
                    self.refuse(where, f"rest.{name} does not say how many: write connections = 1")
                value = value["connections"]
            try:
                found[name] = Fact(whole(value), self.at(where)), is_deploy_only
            except Refused as error:
                self.refuse(where, f"rest: {name} {error}")
        return found

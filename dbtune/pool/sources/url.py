"""Database URLs: what they say besides the password, also where only their beginning is written out."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

_DRIVERS = {"psycopg_async": "psycopg"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """What a database URL says without its password."""

    backend: str
    driver: str | None = None
    user: str | None = None
    host: str | None = None
    database: str | None = None
    options: str = ""

    @property
    def is_postgresql(self) -> bool:
        return self.backend in ("postgres", "postgresql")


_URL = re.compile(r"^([a-z0-9]+)(?:\+([a-z0-9_]+))?://(.*)$", re.IGNORECASE | re.DOTALL)


def url_of(text: str) -> Url | None:
    """Return what a URL says, None where it is none. What it leaves to variables is left out."""
    found = _URL.match(text.strip())
    if found is None:
        return None
    login, at, rest = found.group(3).rpartition("@")
    where, _, query = rest.partition("?")
    place, _, database = where.partition("/")
    options = re.search(r"(?:^|&)options=([^&]*)", query)
    return Url(
        backend=found.group(1).lower(),
        driver=_driver(found.group(2)),
        user=_plain(login.partition(":")[0]) if at else None,
        host=_plain(place.partition(":")[0]),
        database=_plain(database),
        options=unquote_plus(options.group(1)) if options else "",
    )


def _driver(name: str | None) -> str | None:
    return _DRIVERS.get(name.lower(), name.lower()) if name else None


def _plain(part: str) -> str | None:
    """Return a part that is a name, None where it is left to a variable or the URL is not well formed."""
    return unquote_plus(part) if re.fullmatch(r"[^\s/?@${}()]+", part) else None


def leading(node: ast.expr) -> Url | None:
    """Return what the fixed beginning of a composed URL says: f"postgresql+asyncpg://{user}…"."""
    while isinstance(node, ast.BinOp):
        node = node.left
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0] if isinstance(node.values[0], ast.expr) else node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value  # "postgresql://{}".format(…)
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and (found := _URL.match(node.value)):
        return Url(backend=found.group(1).lower(), driver=_driver(found.group(2)))
    return None


def milliseconds(text: str) -> float | None:
    """Return PostgreSQL's time-out, whose unit is ms where none is written, in seconds; None where it is none."""
    found = re.fullmatch(r"\s*(\d{1,12})\s*(ms|s|min|h)?\s*", text)
    if found is None:
        return None
    return int(found.group(1)) * {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}[found.group(2) or "ms"]

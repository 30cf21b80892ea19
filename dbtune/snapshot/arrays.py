"""One-dimensional arrays in PostgreSQL's text format (manual, 8.15.6), as pg_stats prints values."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}"]+)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_BARE = re.compile(r"[^\s\"\\{},]+")


def parsed(text: str) -> list[str | None]:
    """Return the elements; NULL is None."""
    found: list[str | None] = []
    for match in _ELEMENT.finditer(text, 1, len(text) - 1):
        quoted, bare = match.groups()
        if quoted is not None:
            found.append(_ESCAPED.sub(r"\1", quoted))
        else:
            found.append(None if bare == "NULL" else bare)
    return found


def printed(values: Iterable[str | None]) -> str:
    """Return the array's text; an element is in quotes where it must be."""
    return "{" + ",".join(map(_printed, values)) + "}"


def _printed(value: str | None) -> str:
    if value is None:
        return "NULL"
    if _BARE.fullmatch(value) and value.upper() != "NULL":
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

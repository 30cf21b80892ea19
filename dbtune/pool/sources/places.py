"""On which lines of a TOML file its tables and keys stand."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PART = r"""(?:[\w-]+|"[^"\\]*"|'[^']*')"""
_PATH = rf"({_PART}(?:\s*\.\s*{_PART})*)"
_HEADER = re.compile(rf"\s*(\[\[?)\s*{_PATH}\s*\]")
_KEY = re.compile(rf"\s*{_PATH}\s*=")


def lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of each table and key, as far as they stand on lines of their own."""
    found: dict[tuple[str, ...], int] = {}
    counts: dict[tuple[str, ...], int] = {}
    here: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            names = _parts(header.group(2))
            here = _counted(names[:-1], counts) + names[-1:]
            if header.group(1) == "[[":
                counts[here] = counts.get(here, -1) + 1
                here = (*here, str(counts[here]))
            found.setdefault(here, number)
        elif key := _KEY.match(line):
            found.setdefault((*here, *_parts(key.group(1))), number)
    return found


def _counted(names: tuple[str, ...], counts: Mapping[tuple[str, ...], int]) -> tuple[str, ...]:
    """Return a table's path with the numbers of the lists that it goes through."""
    here: tuple[str, ...] = ()
    for name in names:
        here = (*here, name)
        if here in counts:
            here = (*here, str(counts[here]))
    return here


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_PART, path))

"""Durations on the command line, spelled as in PostgreSQL's settings: 500ms, 30s, 2min, 1h."""

from __future__ import annotations

import re

import typer

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "": 1000.0, "min": 60_000.0, "m": 60_000.0, "h": 3_600_000.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*")


def milliseconds(text: str) -> float:
    """Return a duration such as ``500ms`` or ``2min`` in milliseconds; a bare number is in seconds.

    :raises typer.BadParameter: it is not a duration.
    """
    found = _DURATION.fullmatch(text)
    if found is None or found.group(2) not in _UNITS:
        raise typer.BadParameter(f"{text!r} is not a duration; write 500ms, 30s, 2min or 1h")
    return float(found.group(1)) * _UNITS[found.group(2)]

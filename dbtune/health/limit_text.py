"""Limits as people write and read them."""

from __future__ import annotations

import re

from dbtune.errors import UsageError
from dbtune.health import words
from dbtune.health.check import Unit

_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z%]*)\s*")
_UNITS = {
    Unit.COUNT: {"": 1.0},
    Unit.RATE: {"": 1.0},
    Unit.SHARE: {"": 1.0, "%": 0.01},
    Unit.BYTES: {"": 1.0, "B": 1.0, "kB": 1024.0, "MB": 1024.0**2, "GB": 1024.0**3, "TB": 1024.0**4},
    Unit.SECONDS: {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0},
    Unit.DAYS: {"": 1.0, "d": 1.0, "h": 1 / 24, "min": 1 / 1440, "s": 1 / 86_400},
}
_EXAMPLES = {
    Unit.COUNT: "1000",
    Unit.RATE: "10 (per second)",
    Unit.SHARE: "0.5 or 50%",
    Unit.BYTES: "100MB",
    Unit.SECONDS: "10min",
    Unit.DAYS: "35 or 12h",
}


def value_of(text: str, unit: Unit, where: str) -> float:
    """Return what ``text`` says in the limit's own unit.

    :raises UsageError: it is no such value; ``where`` leads the message.
    """
    found = _NUMBER.fullmatch(text)
    factor = _UNITS[unit].get(found.group(2)) if found is not None else None
    if found is None or factor is None:
        raise UsageError(f"{where}: not a value of this limit; write {_EXAMPLES[unit]}")
    return float(found.group(1)) * factor


def text_of(value: float, unit: Unit) -> str:
    """Return a limit's value for people."""
    match unit:
        case Unit.SHARE:
            return words.percent(value)
        case Unit.BYTES:
            return words.size(value)
        case Unit.SECONDS:
            return words.age(value)
        case Unit.DAYS:
            return words.plural(value, "day")
        case Unit.RATE:
            return f"{words.number(value)}/s" if value >= 1 else f"{words.number(round(value * 60))}/min"
        case _:
            return words.number(value)

"""Rates, ages and sizes as findings say them."""

from __future__ import annotations

from dbtune.health.span import Kind, Span
from dbtune.plan import words

number, percent, plural = words.number, words.percent, words.plural

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0
_SECONDS_SHOWN = 100


def size(amount: float) -> str:
    """Return a number of bytes as ``17 MB``."""
    return words.size(amount / 8192)


def age(seconds: float) -> str:
    """Return a time as ``40 s``, ``12 min``, ``3 h`` or ``5 days``."""
    if seconds < _SECONDS_SHOWN:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} days"


def rate(span: Span, count: float, noun: str) -> str:
    """Return ``12 writes/s``, ``3 writes/h`` or, where nobody knows over which time, ``400 writes``."""
    if not span.seconds:
        return plural(count, noun)
    per_second = count / span.seconds
    for factor, unit in ((1.0, "s"), (_MINUTE, "min"), (_HOUR, "h")):
        if per_second * factor >= 1 or unit == "h":
            break
    value = per_second * factor
    text = "0" if value == 0 else number(value) if value >= 1 else "< 1"
    return f"{text} {noun}{'' if text == '1' else 's'}/{unit}"


def over(span: Span) -> str:
    """Return ``within 24 h`` or ``since the reset 3 days ago``."""
    if span.seconds is None:
        return "since nobody knows when"
    if span.kind is Kind.RESET:
        return f"in the {age(span.seconds)} since counting began"
    return f"within {age(span.seconds)}"

"""Values as PostgreSQL writes them, and the types that drivers state along with them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any
from uuid import UUID

UNKNOWN = "unknown"
"""The type, in PREPARE's words, of a parameter whose type the server is to infer."""

PLAIN = frozenset(
    (type(None), bool, int, float, str, bytes, Decimal, UUID, date, datetime, time, timedelta, dict, list)
)
"""The exact types whose values always stand for one constant."""

_TO_QUOTE = re.compile(r'[\s{}()\[\]",\\]')
_NUMBERS = ("integer", "bigint", "numeric")


def text_format(value: Any) -> str | None:
    """Return ``value``, as the driver got it, in PostgreSQL's text format; None for NULL.

    A list is an array, a tuple a row, a dict JSON; an Enum is its name, or its value where that is its own kind
    (``class Status(str, Enum)``), as psycopg does it. What is not known is its ``str``.
    """
    if (simple := _SIMPLE.get(type(value))) is not None:
        return simple(value)
    value = _unwrapped(value)
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str():
            return str.__str__(value)
        case int():
            return int.__repr__(value)
        case float():
            return _float_text(value)
        case Decimal():
            return "NaN" if value.is_nan() else str(value)
        case bytes() | bytearray() | memoryview():
            return "\\x" + bytes(value).hex()
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return _interval_text(value)
        case dict():
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
        case list():
            return f"{{{','.join(_member_text(member) for member in value)}}}"
        case tuple():
            return f"({','.join(_quoted(text_format(field)) for field in value)})"
    if hasattr(value, "lower_inc"):
        return _range_text(value)
    if type(value).__name__ == "Multirange":  # psycopg's
        return f"{{{','.join(map(_range_text, value))}}}"
    return str(value)


_SIMPLE: dict[type, Callable[[Any], str | None]] = {
    type(None): lambda value: None,
    str: lambda value: value,
    int: int.__repr__,
    bool: lambda value: "true" if value else "false",
    UUID: UUID.__str__,
}
"""What is seen most, by its exact type, lest it go through all the cases."""


def _unwrapped(value: Any) -> Any:
    """Return what a driver's wrapper (Json, Jsonb, Binary…) or an Enum stands for."""
    if isinstance(value, Enum):
        return value.value if issubclass(type(value), (str, int, float)) else value.name
    for attribute in ("adapted", "obj"):  # psycopg2's, psycopg's
        if hasattr(value, attribute) and any(kind.__module__.startswith("psycopg") for kind in type(value).__mro__):
            held = getattr(value, attribute)
            if not hasattr(value, "dumps"):
                return held
            dumped = (value.dumps or json.dumps)(held)
            return dumped.decode() if isinstance(dumped, bytes) else dumped
    return value


def _float_text(value: float) -> str:
    return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(text := float.__repr__(value), text)


def _interval_text(value: timedelta) -> str:
    """Return days and seconds, both signed, lest ``IntervalStyle = sql_standard`` take one minus for both."""
    fraction = f".{value.microseconds:06d}" if value.microseconds else ""
    if not value.days:
        return f"{value.seconds}{fraction} seconds"
    return f"{value.days:+d} days {value.seconds:+d}{fraction} seconds"


def _member_text(member: Any) -> str:
    """Return a member of an array literal (manual, 8.15.6); arrays within arrays are not quoted."""
    text = text_format(member)
    if text is None:
        return "NULL"
    return text if isinstance(member, list) else f'"{text}"' if text.upper() == "NULL" else _quoted(text)


def _quoted(text: str | None) -> str:
    """Return ``text`` as arrays, rows and ranges want it: in quotes where it needs them; nothing at all for NULL."""
    if text is None:
        return ""
    if text and not _TO_QUOTE.search(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _range_text(value: Any) -> str:
    """Return a range of any driver's class (manual, 8.17.5)."""
    if value.isempty:
        return "empty"
    bounds = f"{_quoted(text_format(value.lower))},{_quoted(text_format(value.upper))}"
    return f"{'[' if value.lower_inc else '('}{bounds}{']' if value.upper_inc else ')'}"


def type_stated(value: Any, driver: str) -> str:
    """Return the type that the driver states with ``value`` in what it sends; ``unknown`` where it states none.

    psycopg2 writes constants, whose types are those of the manual's 4.1.2 unless it adds a cast; psycopg names types.
    Its smallint, for small numbers, is left at integer: every index that serves the one serves the other.
    """
    if not driver.startswith("psycopg"):
        return UNKNOWN
    if type(value) is str:
        return UNKNOWN
    if type(value) is UUID:
        return "uuid"
    writes_constants = driver.startswith("psycopg2")
    value = _unwrapped(value)
    match value:
        case bool():
            return "boolean"
        case int():
            return _integer_type(value)
        case float():
            return "numeric" if writes_constants and isfinite(value) else "double precision"
        case Decimal():
            is_integer = writes_constants and str(value).lstrip("-").isdecimal()
            return _integer_type(int(value)) if is_integer else "numeric"
        case bytes() | bytearray() | memoryview():
            return "bytea"
        case UUID():
            return "uuid"
        case datetime():
            return "timestamp without time zone" if value.tzinfo is None else "timestamp with time zone"
        case date():
            return "date"
        case time():
            return "time without time zone" if value.tzinfo is None else "time with time zone"
        case timedelta():
            return "interval"
        case list():
            return _array_type(value, driver)
    return UNKNOWN


def _integer_type(value: int) -> str:
    return "integer" if -(2**31) <= value < 2**31 else "bigint" if -(2**63) <= value < 2**63 else "numeric"


def _array_type(members: list[Any], driver: str) -> str:
    given = [member for member in _flattened(members) if member is not None]
    strings = "text" if driver.startswith("psycopg2") else UNKNOWN
    common = common_type({strings if isinstance(member, str) else type_stated(member, driver) for member in given})
    return UNKNOWN if common == UNKNOWN else f"{common}[]"


def _flattened(members: list[Any]) -> Iterator[Any]:
    for member in members:
        if isinstance(member, list):
            yield from _flattened(member)
        else:
            yield member


def common_type(types: set[str]) -> str:
    """Return the type that serves values of all ``types``: numbers widen, others must agree."""
    if len(types) == 1:
        return next(iter(types))
    if types and types <= set(_NUMBERS):
        return max(types, key=_NUMBERS.index)
    if types and types <= {f"{number}[]" for number in _NUMBERS}:
        return f"{common_type({each.removesuffix('[]') for each in types})}[]"
    return UNKNOWN

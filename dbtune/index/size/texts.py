"""Reading what pg_stats prints: arrays of values, and how many bytes each value takes."""

from __future__ import annotations

import re
from functools import lru_cache

_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}"]+)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?\Z")

DIGITS = 4
"""Decimal digits of one digit of numeric, which takes two bytes (numeric.c, DEC_DIGITS)."""


@lru_cache(maxsize=4096)
def elements(text: str | None) -> tuple[str | None, ...]:
    """Return the elements of a one-dimensional array in PostgreSQL's text format (manual, 8.15.6); NULL is None."""
    if not text or len(text) < 2:
        return ()
    found: list[str | None] = []
    for match in _ELEMENT.finditer(text, 1, len(text) - 1):
        in_quotes, bare = match.groups()
        if in_quotes is not None:
            found.append(_ESCAPED.sub(r"\1", in_quotes))
        else:
            found.append(None if bare == "NULL" else bare)
    return tuple(found)


def text_bytes(value: str) -> int:
    """Return the bytes of the value's characters in UTF-8."""
    return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))


def numeric_bytes(value: str) -> int | None:
    """Return the bytes of a numeric's digits with its two bytes of sign, weight and scale; None if it is no number.

    Zeros at either end are not stored, in units of four decimal digits (numeric.c, make_result).
    """
    match = _NUMBER.match(value.strip())
    if match is None:
        return 2 if value.strip().lstrip("+-").lower() in ("nan", "infinity") else None
    whole, fraction, exponent = match.group(1) or "", match.group(2) or "", int(match.group(3) or 0)
    if exponent > 0:
        fraction = fraction.ljust(exponent, "0")
        whole, fraction = whole + fraction[:exponent], fraction[exponent:]
    elif exponent < 0:
        whole = whole.rjust(-exponent, "0")
        whole, fraction = whole[:exponent], whole[exponent:] + fraction
    whole = whole.lstrip("0")
    whole = whole.rjust(-(-len(whole) // DIGITS) * DIGITS, "0")
    fraction = fraction.ljust(-(-len(fraction) // DIGITS) * DIGITS, "0")
    digits = [(whole + fraction)[at : at + DIGITS] for at in range(0, len(whole) + len(fraction), DIGITS)]
    while digits and digits[0] == "0000":
        digits.pop(0)
    while digits and digits[-1] == "0000":
        digits.pop()
    return 2 + 2 * len(digits)

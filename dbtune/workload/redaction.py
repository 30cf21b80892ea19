"""Captured values made fit to be shown to others: left out, or replaced by values that tell nothing but equality."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbtune.workload.query import ParameterSet, Query

_REDACTED = "redacted"
_KEY_BYTES = 32
_NUMBER = re.compile(r"([+-]?)0*([0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_MONTH = re.compile(r"([0-9]{4}-[0-9]{2})-[0-9]{2}")
_TEXTS = ("text", "character varying", "varchar", "character", "bpchar", "citext", "name")
_NUMBERS = (
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "real",
    "double precision",
    "oid",
    "int",
    "int2",
    "int4",
    "int8",
)
_MONTHS = ("date", "timestamp without time zone", "timestamp with time zone", "timestamp", "timestamptz")


class Redaction(StrEnum):
    """What becomes of values: they stay, only their types are told, or each becomes another one of its type."""

    KEEP = "keep"
    TYPES = "types"
    HASH = "hash"


def redacted(query: Query, mode: Redaction, key: bytes = b"") -> Query:
    """Return the query without the values that the application sent, in its parameter sets and in its text.

    Constants become parameters, which have values no more. With ``hash`` equal texts stay equal and different ones
    different: a keyed hash, so that nobody without the ``key`` can try out guesses; numbers keep their first digit
    and their size, dates their month. A set with a value of another type, whose secret cannot be kept so, is left
    out. Values sampled from pg_stats are the application's too.
    """
    if mode is Redaction.KEEP:
        return query
    from dbtune.workload import lexer
    from dbtune.workload.normalise import UNKNOWN, parameterised

    statement = parameterised(query.statement)
    constants = lexer.parameter_count(statement) - lexer.parameter_count(query.statement)
    types = (*query.types, *[UNKNOWN] * constants) if query.types else ()
    sets: tuple[ParameterSet, ...] = ()
    if mode is Redaction.HASH and not constants:
        sets = tuple(
            replace(chosen, values=tuple(values), provenance=_REDACTED)
            for chosen in query.sets
            if (values := _values(chosen, types, key)) is not None
        )
    return replace(query, statement=statement, types=types, sets=sets)


def _values(chosen: ParameterSet, types: tuple[str, ...], key: bytes) -> list[str | None] | None:
    if len(types) != len(chosen.values):
        return None
    values: list[str | None] = []
    for value, type_ in zip(chosen.values, types, strict=True):
        change = replacement(type_)
        if value is not None and change is None:
            return None
        values.append(None if value is None or change is None else change(value, key))
    return values


def replacement(type_: str) -> Callable[[str, bytes], str] | None:
    """Return what replaces a value of the type; None where nothing can."""
    name = re.sub(r"\([^)]*\)", "", type_).strip()
    if name in _TEXTS:
        return _text
    if name in _NUMBERS:
        return number
    if name in _MONTHS:
        return month
    if name == "uuid":
        return lambda value, key: str(uuid.UUID(bytes=_digest(value.lower(), key)[:16]))
    if name == "bytea":
        return lambda value, key: f"\\x{_digest(value, key).hex()}"
    if name == "boolean":
        return lambda value, key: value
    return None


def _digest(value: str, key: bytes) -> bytes:
    return hashlib.blake2b(value.encode(errors="surrogatepass"), key=key, digest_size=16).digest()


def _text(value: str, key: bytes) -> str:
    """Return a short hash; the ``%`` at either end of a pattern stay, because they decide on indexes."""
    inner = value.strip("%")
    before = value[: len(value) - len(value.lstrip("%"))]
    after = value[len(before) + len(inner) :]
    return f"{before}{_digest(inner, key).hex()[:10]}{after}" if inner else value


def number(value: str, key: bytes) -> str:
    """Return the number with one digit that counts: 4711 is 4000, -0.5 is 0."""
    found = _NUMBER.fullmatch(value.strip())
    if found is None or "e" in value.lower():
        return "0"
    sign, digits = found.groups()
    return f"{sign.replace('+', '')}{digits[0]}{'0' * (len(digits) - 1)}" if digits else "0"


def month(value: str, key: bytes) -> str:
    """Return the first day of the date's month."""
    found = _MONTH.match(value)
    return f"{found[1]}-01" if found else "2000-01-01"


def new_key() -> bytes:
    """Return a key for hashes that nobody can guess."""
    import secrets

    return secrets.token_bytes(_KEY_BYTES)

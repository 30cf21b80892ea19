"""How a column's values lie in an index tuple: their bytes, alignment, and whether equal ones are the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dbtune.index.size.texts import elements, numeric_bytes, text_bytes
from dbtune.snapshot.value import Column, Snapshot, Statistics

ALIGNMENT = {"c": 1, "s": 2, "i": 4, "d": 8}
"""Bytes by pg_type.typalign."""

FIXED = {
    "boolean": (1, "c"),
    "smallint": (2, "s"),
    "integer": (4, "i"),
    "date": (4, "i"),
    "bigint": (8, "d"),
    "double precision": (8, "d"),
    "real": (4, "i"),
    "timestamp without time zone": (8, "d"),
    "timestamp with time zone": (8, "d"),
    "uuid": (16, "c"),
    "interval": (16, "d"),
}
"""pg_type.typlen and typalign of types of fixed length that expressions and arrays often have."""

SHORT = 126
"""Bytes of a varying value up to which its header takes one byte and nothing is aligned (VARATT_CAN_MAKE_SHORT)."""

COMPRESSED_FROM = 509
"""Bytes from which on an index compresses a value (TOAST_INDEX_TARGET: a sixteenth of the longest heap tuple)."""

COMPRESSION = 0.75
"""What is left of such a value, a guess: repetitive text shrinks more, random text not at all."""

UNKNOWN_WIDTH = 32
"""What the planner takes where nothing is known (get_typavgwidth)."""

LONGEST = 2704
"""The longest btree tuple (BTMaxItemSize)."""

_LENGTH = re.compile(r"\((\d+)(?:,-?\d+)?\)")
_TEXTS = frozenset({"text", "character varying", "character", "bpchar", "varchar", "citext", "name", "xml", "json"})
_SAME_BYTES = frozenset(
    """char character bpchar "char" bigint bit varchar varbit boolean bytea cidr date inet integer macaddr macaddr8
    money name oid oidvector pg_lsn smallint text tid uuid xid8 regclass regtype regproc regrole regnamespace int int2
    int4 int8 bool timestamp timestamptz time timetz""".split()
) | {
    "bit varying",
    "character varying",
    "time with time zone",
    "time without time zone",
    "timestamp with time zone",
    "timestamp without time zone",
}
# pg_amproc: btree operator families with support function 4 (equalimage), the same from 13 to 18
_DOMAIN = re.compile(
    r"CREATE\s+DOMAIN\s+\S+\s+AS\s+(?P<type>.+?)(?=\s+(?:COLLATE|DEFAULT|NOT|NULL|CONSTRAINT|CHECK)\b|;|\s*\Z)",
    re.IGNORECASE | re.DOTALL,
)
_ENUM = re.compile(r"\bAS\s+ENUM\b", re.IGNORECASE)
_NOT_DETERMINISTIC = re.compile(r"deterministic\s*=\s*'?(?:false|f|off|no|0)", re.IGNORECASE)

Widths = Mapping[int, float]
"""Bytes of values with the part of the values that take so many."""


def bare(type_: str) -> str:
    """Return a type's name without its length: ``character varying(20)`` loses the 20."""
    return " ".join(_LENGTH.sub(" ", type_).split()).removeprefix("pg_catalog.")


def base_type(type_: str, snapshot: Snapshot) -> str:
    """Return the type, or that which a domain is over, with its length."""
    for _ in range(8):
        found = _definition(bare(type_), snapshot, "DOMAIN")
        match = _DOMAIN.match(found.strip()) if found is not None else None
        if match is None:
            break
        type_ = match["type"]
    return type_


def _definition(name: str, snapshot: Snapshot, word: str) -> str | None:
    schema, _, local = name.rpartition(".")
    local = local.strip('"')
    for each in snapshot.objects:
        if (
            each.name.strip('"') == local
            and (not schema or each.schema == schema.strip('"'))
            and word in each.definition[:40].upper()
        ):
            return each.definition
    return None


def deduplicates(column: Column, collation: str | None, snapshot: Snapshot) -> bool:
    """Return whether btree may store equal values of the column once (manual, 64.1.4.3: Deduplication)."""
    type_ = bare(base_type(column.type, snapshot))
    if type_ not in _SAME_BYTES:
        kind = _definition(type_, snapshot, "TYPE")
        is_enum = kind is not None and _ENUM.search(kind) is not None
        # an enum of a snapshot without its types: no other type of one's own is passed by value, usually
        if not is_enum and not (kind is None and column.by_value and column.length == 4 and type_ != "real"):
            return False
    return _is_deterministic(collation or column.collation, snapshot)


def _is_deterministic(collation: str | None, snapshot: Snapshot) -> bool:
    if collation is None:
        return True
    name = collation.rpartition(".")[2].strip('"')
    return not any(
        each.kind == "collation" and each.name.strip('"') == name and _NOT_DETERMINISTIC.search(each.definition)
        for each in snapshot.objects
    )


def is_text(type_: str) -> bool:
    """Return whether values are stored as the characters that they print."""
    return bare(type_).rpartition(".")[2] in _TEXTS or bare(type_) in _TEXTS


def value_bytes(type_: str, length: int, value: str) -> int | None:
    """Return the bytes of one value in an index tuple, header included; None where only the average can tell."""
    if length > 0:
        return 1 + text_bytes(value) if bare(type_) == "name" else length
    if is_text(type_):
        return packed(text_bytes(value))
    if bare(type_) == "numeric":
        digits = numeric_bytes(value)
        return packed(digits) if digits is not None else None
    if bare(type_) == "bytea" and value.startswith("\\x"):
        return packed((len(value) - 2) // 2)
    return None


def packed(size: int) -> int:
    """Return the bytes of a varying value with its header: one byte for a short one, else four."""
    if size <= SHORT:
        return size + 1
    size += 4
    return size if size < COMPRESSED_FROM else max(COMPRESSED_FROM // 2, int(size * COMPRESSION))


def packed_header(size: int) -> int:
    """Return the bytes of a varying value, of which ``size`` are without header, if nothing compresses it further."""
    return size + 1 if size <= SHORT else size + 4


def average(column: Column, statistics: Statistics | None, type_: str) -> int:
    """Return the average bytes of a value in an index tuple."""
    if column.length > 0 and bare(type_) != "name":
        return column.length
    if statistics is not None and statistics.avg_width > 0:
        width = statistics.avg_width
        if bare(type_) == "name":
            return min(width, 24)
        if width <= SHORT + 1:
            return width  # pg_stats counts the header that the heap has, which is as short
        return width if width < COMPRESSED_FROM else min(LONGEST - 16, int(width * COMPRESSION))
    declared = _LENGTH.search(type_)
    if declared is not None and is_text(type_):
        most = int(declared.group(1))
        return packed(most if bare(type_) in ("character", "bpchar") or most <= UNKNOWN_WIDTH else UNKNOWN_WIDTH)
    return UNKNOWN_WIDTH


def widths_of(values: tuple[str | None, ...], column: Column, type_: str) -> dict[int, float]:
    """Return how the bytes of these values are spread; empty where only the average can tell."""
    found: dict[int, float] = {}
    for value in values:
        size = value_bytes(type_, column.length, value) if value is not None else None
        if size is None:
            return {}
        found[size] = found.get(size, 0.0) + 1 / len(values)
    return found


def common_widths(statistics: Statistics, column: Column, type_: str) -> tuple[int | None, ...]:
    """Return the bytes of each of the most common values."""
    return tuple(
        value_bytes(type_, column.length, value) if value is not None else None
        for value in elements(statistics.most_common_vals)
    )


def aligned(offset: int, size: int, column: Column) -> int:
    """Return where a value of that many bytes begins, if the one before ended at ``offset``."""
    if column.length < 0 and size <= SHORT + 1 and column.storage != "p":
        return offset
    if column.length == -2:
        return offset
    step = ALIGNMENT.get(column.align, 4)
    return -(-offset // step) * step

"""An expression for each type: the n-th value of it, the same in every run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dbtune.migration.verify.schema import Kind
from dbtune.sql import quote_literal

PLENTY = 10**9
"""More distinct values than there are rows."""

_ORDERED = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8", "date", "timestamp", "timestamptz"})
"""Types whose later values are greater, as the ends of a range must be."""

_PLAIN: dict[str, tuple[str, int]] = {
    "int2": ("(({n}) % 32000)::int2", 32_000),
    "int4": ("({n})::int4", PLENTY),
    "int8": ("({n})::int8", PLENTY),
    "oid": ("({n})::oid", PLENTY),
    "float4": ("({n})::float4", PLENTY),
    "float8": ("({n})::float8", PLENTY),
    "money": ("({n})::int8::money", PLENTY),
    "bool": ("(({n}) % 2 = 0)", 2),
    "date": ("(date '2000-01-01' + (({n}) % 100000)::int4)", 100_000),
    "timestamp": ("(timestamp '2000-01-01' + ({n}) * interval '1 minute')", PLENTY),
    "timestamptz": ("(timestamptz '2000-01-01 00:00Z' + ({n}) * interval '1 minute')", PLENTY),
    "time": ("(time '00:00' + (({n}) % 86400) * interval '1 second')", 86_400),
    "timetz": ("(timetz '00:00Z' + (({n}) % 86400) * interval '1 second')", 86_400),
    "interval": ("(({n}) * interval '1 second')", PLENTY),
    "uuid": ("md5({word} || ({n}))::uuid", PLENTY),
    "json": ("json_build_object('n', {n})", PLENTY),
    "jsonb": ("jsonb_build_object('n', {n})", PLENTY),
    "jsonpath": ("('$.a' || ({n}))::jsonpath", PLENTY),
    "bytea": ("decode(md5(({n})::text), 'hex')", PLENTY),
    "inet": ("(inet '10.0.0.0' + ({n}))", PLENTY),
    "cidr": ("(host(inet '10.0.0.0' + ({n})) || '/32')::cidr", PLENTY),
    "macaddr": ("('02' || lpad(to_hex({n}), 10, '0'))::macaddr", PLENTY),
    "macaddr8": ("('02' || lpad(to_hex({n}), 14, '0'))::macaddr8", PLENTY),
    "point": ("point({n}, {n})", PLENTY),
    "line": ("line(point(0, {n}), point(1, {n}))", PLENTY),
    "lseg": ("lseg(point(0, {n}), point(1, {n}))", PLENTY),
    "box": ("box(point({n}, {n}), point({n} + 1, {n} + 1))", PLENTY),
    "path": ("path(polygon(box(point({n}, {n}), point({n} + 1, {n} + 1))))", PLENTY),
    "polygon": ("polygon(box(point({n}, {n}), point({n} + 1, {n} + 1)))", PLENTY),
    "circle": ("circle(point({n}, {n}), 1)", PLENTY),
    "tsvector": ("to_tsvector('simple', {word} || ' ' || ({n}))", PLENTY),
    "tsquery": ("({word} || ({n}))::tsquery", PLENTY),
    "xml": ("('<n>' || ({n}) || '</n>')::xml", PLENTY),
    "pg_lsn": ("('0/' || to_hex({n}))::pg_lsn", PLENTY),
    "char": ('chr((65 + ({n}) % 26)::int4)::"char"', 26),
    "name": ("({word} || '-' || ({n}))::name", PLENTY),
    "hstore": ("('n=>' || ({n}))", PLENTY),
    "ltree": ("('a.' || ({n}))", PLENTY),
}


@dataclass(frozen=True, slots=True)
class Value:
    """An expression of the number of a row, and how many distinct values it has."""

    sql: str
    distinct: int = PLENTY


def value(kinds: Mapping[int, Kind], oid: int, typmod: int, n: str, name: str) -> Value | None:
    """Return the value for the row with the number ``n``, an expression of whole numbers; None for a type unknown here.

    A domain's is one of the type below it. ``name`` is the column's, which texts are made of.
    """
    kind = kinds.get(oid)
    if kind is None:
        return None
    match kind.kind:
        case "d":
            return value(kinds, kind.base, kind.base_typmod, n, name)
        case "e":
            labels = ", ".join(map(quote_literal, kind.labels))
            count = len(kind.labels)
            return Value(f"((ARRAY[{labels}])[1 + ({n}) % {count}])::{kind.full_name}", count) if count else None
        case "r":
            return _range(kinds, kind, n, name)
        case "m":
            below = value(kinds, kind.range, -1, n, name)
            return None if below is None else Value(f"{kind.full_name}({below.sql})", below.distinct)
        case "c":
            parts = [value(kinds, each, -1, n, name) for each in kind.attributes]
            if None in parts:
                return None
            return Value(f"ROW({', '.join(part.sql for part in parts if part)})::{kind.full_name}")
    if kind.element:
        below = value(kinds, kind.element, typmod, n, name)
        return None if below is None else Value(f"ARRAY[{below.sql}]::{kinds[kind.element].full_name}[]")
    return _base(kind, typmod, n, name)


def _range(kinds: Mapping[int, Kind], kind: Kind, n: str, name: str) -> Value | None:
    subtype = kinds.get(kind.subtype)
    if subtype is None or subtype.name not in _ORDERED:
        return None
    low, high = (value(kinds, kind.subtype, -1, each, name) for each in (n, f"{n} + 1"))
    return None if low is None or high is None else Value(f"{kind.full_name}({low.sql}, {high.sql})", low.distinct)


def _base(kind: Kind, typmod: int, n: str, name: str) -> Value | None:
    if kind.name in ("text", "varchar", "bpchar", "citext"):
        found = _text(typmod - 4 if typmod > 4 else None, n, name)
        return Value(f"({found.sql})::{kind.full_name}", found.distinct) if kind.name == "citext" else found
    if kind.name == "numeric":
        return _numeric(typmod, n)
    if kind.name in ("bit", "varbit"):
        size = typmod if 0 < typmod <= 32 else 32
        bits = f"(({n})::int4)::bit({size})"
        sql = f"{bits}::bit({typmod})" if typmod > 32 else bits
        return Value(sql, min(2**size, PLENTY))
    plain = _PLAIN.get(kind.name)
    if plain is None:
        return None
    sql = plain[0].replace("{n}", n).replace("{word}", quote_literal(_word(name)))
    return Value(f"({sql})::{kind.full_name}" if kind.name in ("hstore", "ltree") else sql, plain[1])


def _text(length: int | None, n: str, name: str) -> Value:
    word = _word(name)
    if "mail" in word and (length is None or length >= 32):
        return Value(f"('user' || ({n}) || '@example.org')")
    if length is None or length >= len(word) + 9:
        return Value(f"({quote_literal(f'{word}-')} || ({n}))")
    if length >= 8:
        return Value(f"({n})::text")
    return Value(f"lpad(to_hex(({n}) % {16**length}), {length}, '0')", 16**length)


def _numeric(typmod: int, n: str) -> Value:
    if typmod < 4:
        return Value(f"({n})::numeric")
    precision, scale = ((typmod - 4) >> 16) & 0xFFFF, (((typmod - 4) & 0x7FF) ^ 0x400) - 0x400
    whole = precision - scale
    count = 10 ** min(whole, 9)
    if whole > 0:
        return Value(f"(({n}) % {count})::numeric", count)
    count = 10 ** min(precision, 9)
    return Value(f"((({n}) % {count})::numeric / 1e{scale})", count)


def _word(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())[:20] or "x"


_STRING = re.compile(r"'((?:[^']|'')*)'")
_NUMBER = re.compile(r"(?<![\w.'])-?\d+(?:\.\d+)?(?![\w'])")


def constants(expression: str) -> list[str]:
    """Return the constants in a condition, each once and as text, in their order."""
    strings = [each.replace("''", "'") for each in _STRING.findall(expression)]
    numbers = _NUMBER.findall(_STRING.sub(" ", expression))
    return list(dict.fromkeys((*strings, *numbers)))


def near(kind: Kind, texts: list[str], n: str) -> str | None:
    """Return an expression of constants of a condition, and of values a little above them, None where there are none.

    Texts that the type does not take have to be left out before.
    """
    if not texts:
        return None
    listed = ", ".join(map(quote_literal, texts))
    chosen = f"((ARRAY[{listed}])[1 + ({n}) % {len(texts)}])::{kind.full_name}"
    further = f"(({n}) / {len(texts)})"
    if kind.name in ("int2", "int4", "int8", "numeric", "float4", "float8"):
        return f"({chosen} + {further} % 1000)::{kind.full_name}"
    if kind.name == "date":
        return f"({chosen} + ({further} % 28)::int4)"
    if kind.name in ("timestamp", "timestamptz"):
        return f"({chosen} + {further} % 1440 * interval '1 minute')"
    return chosen

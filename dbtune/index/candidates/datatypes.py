"""What an index can do with a type, by the name that format_type prints."""

from __future__ import annotations

import re
from functools import lru_cache

_LENGTH = re.compile(r"\([^)]*\)")

WITHOUT_ORDER = frozenset(
    """aclitem box cid circle json jsonpath line lseg path pg_node_tree pg_snapshot point polygon refcursor
    txid_snapshot xid xml""".split()
)
"""Types without a btree operator class, which cannot be keys (pg_opclass; 13 to 18)."""

UNORDERED_IN_PRACTICE = frozenset({"jsonb", "tsvector", "tsquery", "hstore"})
"""Types that have one, by which nobody looks anything up."""

TEXTS = frozenset({"text", "character varying", "character", "bpchar", "name", "citext", "varchar", "char"})
RANGES = frozenset(
    """int4range int8range numrange tsrange tstzrange daterange int4multirange int8multirange nummultirange
    tsmultirange tstzmultirange datemultirange""".split()
)
NUMBERS = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision", "oid", "money"})
WITH_ZONE = frozenset({"timestamp with time zone", "time with time zone"})
WITHOUT_ZONE = frozenset({"timestamp without time zone", "time without time zone", "date"})

_ALIASES = {
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float": "double precision",
    "float4": "real",
    "float8": "double precision",
    "decimal": "numeric",
    "bool": "boolean",
    "varchar": "character varying",
    "char": "character",
    "bpchar": "character",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "timetz": "time with time zone",
}


@lru_cache(maxsize=1024)
def base(type_: str) -> str:
    """Return the type without length or precision and by its usual name: ``character varying(20)`` loses the 20."""
    bare = " ".join(_LENGTH.sub(" ", type_).split())
    bare = bare.removeprefix("pg_catalog.")
    if bare == '"char"':
        return bare
    return _ALIASES.get(bare.lower(), bare if '"' in bare else bare.lower())


@lru_cache(maxsize=1024)
def can_be_key(type_: str) -> bool:
    """Return whether a btree index on a column of the type can be made and is of use."""
    bare = _unqualified(type_)
    element = bare.removesuffix("[]")
    return element not in WITHOUT_ORDER and bare not in UNORDERED_IN_PRACTICE


def is_text(type_: str) -> bool:
    """Return whether LIKE applies without a cast."""
    return _unqualified(type_) in TEXTS


def is_array(type_: str) -> bool:
    return type_.endswith("[]")


def is_range(type_: str) -> bool:
    return _unqualified(type_) in RANGES


def is_jsonb(type_: str) -> bool:
    return base(type_) == "jsonb"


def is_tsvector(type_: str) -> bool:
    return base(type_) == "tsvector"


def pattern_opclass(type_: str) -> str:
    """Return the operator class by which LIKE 'a%' can use a btree index in any collation (manual, 11.10)."""
    return "bpchar_pattern_ops" if base(type_) == "character" else "text_pattern_ops"


def _unqualified(type_: str) -> str:
    """Return the type's name without its schema: extensions' types may live anywhere."""
    return base(type_).rpartition(".")[2] if '"' not in type_ else base(type_)

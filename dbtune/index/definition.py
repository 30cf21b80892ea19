"""An index as a value: what CREATE INDEX needs to know, whether the index is there or only thought of."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from sqlalchemy.dialects.postgresql.base import PGDialect

from dbtune.sql import quote_identifier

LONGEST_NAME = 63
"""Bytes of a name that PostgreSQL keeps (manual, 4.1.1)."""

_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_DIGEST = 6
# reserved as names (manual, appendix C), and not among the words that SQLAlchemy quotes
_RESERVED = frozenset({"collation", "concurrently", "lateral", "tablesample"})
_PREPARER = PGDialect().identifier_preparer  # type: ignore[no-untyped-call]


def quoted(name: str) -> str:
    """Return ``name`` as an identifier, in quotes where it needs them."""
    # SQLAlchemy says whether it needs quotes; what it puts into them is for drivers that look for %
    return quote_identifier(name) if name in _RESERVED or _PREPARER.quote(name) != name else name


@dataclass(frozen=True, slots=True)
class Key:
    """One key of an index: ``text`` is a column's bare name or, unless ``is_column``, an expression as SQL.

    ``nulls_first`` is None where it is as usual for the direction: last if ascending, first if descending.
    ``opclass`` is as SQL, None for the type's default.
    """

    text: str
    is_column: bool = True
    descending: bool = False
    nulls_first: bool | None = None
    opclass: str | None = None
    collation: str | None = None

    @property
    def sql(self) -> str:
        """Return it as CREATE INDEX takes it."""
        words = [quoted(self.text) if self.is_column else f"({self.text})"]
        if self.collation is not None:
            words.append(f"COLLATE {self.collation}")
        if self.opclass is not None:
            words.append(self.opclass)
        if self.descending:
            words.append("DESC")
        if self.nulls_first is not None and self.nulls_first != self.descending:
            words.append("NULLS FIRST" if self.nulls_first else "NULLS LAST")
        return " ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index on ``schema.table``. ``include`` are bare column names, ``predicate`` is SQL without WHERE.

    Two are equal if they index the same in the same way, whatever they are called.
    """

    schema: str
    table: str
    keys: tuple[Key, ...]
    include: tuple[str, ...] = ()
    predicate: str | None = None
    method: str = "btree"
    unique: bool = False
    name: str | None = field(default=None, compare=False)

    @property
    def relation(self) -> tuple[str, str]:
        """The table's schema and name."""
        return self.schema, self.table

    @property
    def columns(self) -> tuple[str, ...]:
        """The keys that are plain columns, in order, up to the first expression or all of them."""
        return tuple(key.text for key in self.keys if key.is_column)

    @property
    def chosen_name(self) -> str:
        """The name that it has, or a fitting one that depends on nothing but the definition."""
        return self.name if self.name is not None else default_name(self)

    @property
    def target(self) -> str:
        """Return what stands behind ON: table, method, keys, INCLUDE and WHERE; equal targets are equal indexes."""
        method = "" if self.method == "btree" else f" USING {self.method}"
        keys = ", ".join(key.sql for key in self.keys)
        include = f" INCLUDE ({', '.join(map(quoted, self.include))})" if self.include else ""
        where = f" WHERE {self.predicate}" if self.predicate is not None else ""
        return f"{quoted(self.schema)}.{quoted(self.table)}{method} ({keys}){include}{where}"

    def ddl(self, *, concurrently: bool = False, name: str | None = None) -> str:
        """Return CREATE INDEX, without a semicolon."""
        unique = "UNIQUE " if self.unique else ""
        how = "CONCURRENTLY " if concurrently else ""
        return f"CREATE {unique}INDEX {how}{quoted(name or self.chosen_name)} ON {self.target}"


def default_name(index: Index) -> str:
    """Return ``ix_TABLE_KEY_KEY``, with a digest of the definition where that alone would not tell it from others."""
    words = [_word(index.table), *(_word(key.text) for key in index.keys)]
    plain = f"ix_{'_'.join(word for word in words if word)}"
    tells_all = (
        not index.include
        and index.predicate is None
        and index.method == "btree"
        and not index.unique
        and all(key == Key(key.text) and _word(key.text) == key.text for key in index.keys)
    )
    if tells_all and len(plain.encode()) <= LONGEST_NAME:
        return plain
    digest = hashlib.sha256(index.target.encode()).hexdigest()[:_DIGEST]
    return f"{plain[: LONGEST_NAME - _DIGEST - 1].rstrip('_')}_{digest}"


def _word(text: str) -> str:
    return _NOT_IN_NAMES.sub("_", text.lower()).strip("_")

"""Indexes that are there already: what they hold, which columns they make unique, which foreign keys have none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sqlglot import exp
from sqlglot.errors import SqlglotError

from dbtune.index.candidates.dialect import parsed_expression, rendered
from dbtune.index.candidates.expression import Expressions, unwrapped
from dbtune.index.candidates.schema import Schema
from dbtune.index.definition import Index, Key
from dbtune.snapshot.value import Constraint, ExistingIndex, Table

_DESCENDING, _NULLS_FIRST = 1, 2  # bits of pg_index.indoption
_OTHER_OPCLASSES = frozenset(
    """text_pattern_ops bpchar_pattern_ops gin_trgm_ops gist_trgm_ops jsonb_path_ops gin__int_ops gist__int_ops
    gist__intbig_ops inet_ops""".split()
)
"""Operator classes that are no type's default and are told apart here."""

Signature = tuple[object, ...]


class Standing:
    """The indexes of a snapshot, as candidates would be described."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._indexes: dict[tuple[str, str], list[tuple[ExistingIndex, Index]]] = {}
        self._signatures: dict[Signature, ExistingIndex] = {}
        for table in schema.snapshot.tables:
            described = [(each, describe(each, table, schema)) for each in table.indexes]
            self._indexes[table.schema, table.name] = described
            for each, index in described:
                if each.is_valid:
                    self._signatures.setdefault(signature(index), each)

    def of(self, table: Table) -> Sequence[tuple[ExistingIndex, Index]]:
        """Return the table's valid indexes, each as the catalogs have it and as a definition."""
        return [pair for pair in self._indexes[table.schema, table.name] if pair[0].is_valid]

    def has(self, index: Index) -> bool:
        """Return whether an equal index is there, unique or not."""
        return signature(index) in self._signatures

    def unique_columns(self, table: Table) -> list[frozenset[str]]:
        """Return the sets of columns of which no two rows have the same values."""
        return [
            frozenset(index.columns)
            for each, index in self.of(table)
            if each.is_unique and index.predicate is None and all(key.is_column for key in index.keys)
        ]

    def primary_key(self, table: Table) -> tuple[str, ...]:
        """Return the columns of the primary key in order, none where there is none."""
        return next((index.columns for each, index in self.of(table) if each.is_primary), ())

    def is_prefix(self, index: Index) -> bool:
        """Return whether an index that is there begins with the same keys."""
        return any(_begins(other, index) for _, other in self._indexes[index.relation])

    def is_kept_prefix(self, index: Index) -> bool:
        """Return whether one does that is there to stay, for it is unique or serves a constraint."""
        kept = [i for e, i in self._indexes[index.relation] if e.is_valid and (e.is_unique or e.constraint is not None)]
        return any(_begins(other, index) for other in kept)

    def leads(self, index: Index) -> bool:
        """Return whether a valid btree index of all rows has the index's first key first."""
        return any(
            other.method == "btree" and other.predicate is None and other.keys[0].text == index.keys[0].text
            for each, other in self._indexes[index.relation]
            if each.is_valid
        )

    def unindexed_foreign_keys(self, table: Table) -> list[Constraint]:
        """Return the foreign keys whose columns lead no index, in order of name, those of the same columns once."""
        leading = [
            [key.text if key.is_column else "" for key in index.keys]
            for _, index in self.of(table)
            if index.predicate is None and index.method == "btree"
        ]
        found: dict[tuple[str, ...], Constraint] = {}
        for constraint in sorted(table.constraints, key=lambda c: c.name):
            columns = constraint.columns
            if constraint.kind == "f" and columns:
                served = any(set(keys[: len(columns)]) == set(columns) for keys in leading)
                if not served:
                    found.setdefault(columns, constraint)
        return list(found.values())


def _begins(other: Index, index: Index) -> bool:
    if index.include or index.predicate is not None or index.method != "btree":
        return False
    same = other.method == "btree" and other.predicate is None
    return same and other.keys[: len(index.keys)] == index.keys


def describe(existing: ExistingIndex, table: Table, schema: Schema) -> Index:
    """Return an index that is there as a definition; expressions and the predicate are spelled as candidates' are."""
    expressions = Expressions(schema, table)
    keys = []
    for at, text in enumerate(existing.keys):
        column = existing.key_columns[at] if at < len(existing.key_columns) else None
        option = existing.options[at] if at < len(existing.options) else 0
        opclass = existing.opclasses[at].rpartition(".")[2].strip('"') if at < len(existing.opclasses) else ""
        opclass = opclass.replace("varchar_pattern_ops", "text_pattern_ops")
        descending = bool(option & _DESCENDING)
        nulls_first = bool(option & _NULLS_FIRST)
        spelled, collation = (column, None) if column is not None else _spelled(text, expressions)
        keys.append(
            Key(
                spelled,
                is_column=column is not None,
                descending=descending,
                nulls_first=None if nulls_first == descending else nulls_first,
                opclass=opclass if opclass in _OTHER_OPCLASSES else None,
                collation=collation,
            )
        )
    predicate = None if existing.predicate is None else _spelled(existing.predicate, expressions)[0]
    return Index(
        schema=existing.schema if not table.schema else table.schema,
        table=table.name,
        keys=tuple(keys),
        include=existing.include,
        predicate=predicate,
        method=existing.method,
        unique=existing.is_unique,
        name=existing.name,
    )


def _spelled(text: str, expressions: Expressions) -> tuple[str, str | None]:
    try:
        tree = expressions.simplified(parsed_expression(text))
    except SqlglotError:
        return text, None
    if isinstance(tree, exp.Collate):
        return expressions.text(tree.this), rendered(tree.expression)
    return expressions.text(tree), None


def signature(index: Index) -> Signature:
    """Return what two indexes share that index the same in the same way."""
    backwards = index.method == "btree" and bool(index.keys) and index.keys[0].descending  # then it is read so
    keys = tuple(
        (
            key.text,
            key.is_column,
            key.descending != backwards,
            None if key.nulls_first is None else key.nulls_first != backwards,
            (key.opclass or "").rpartition(".")[2],
            key.collation,
        )
        for key in index.keys
    )
    predicate = None if index.predicate is None else _without_casts(index.predicate)
    return index.schema, index.table, index.method, keys, frozenset(index.include), predicate


@lru_cache(maxsize=4096)
def _without_casts(predicate: str) -> str:
    """Return the predicate without casts of constants, which the server adds to what is written."""
    try:
        holder = exp.Paren(this=parsed_expression(predicate))
    except SqlglotError:
        return predicate
    for cast in list(holder.find_all(exp.Cast)):
        if isinstance(unwrapped(cast.this), exp.Literal):
            cast.replace(unwrapped(cast.this))
    return rendered(holder.this)

"""Rows from the schema, as one INSERT a table: unique where they must be, with parents that there are.

What checks and partitions ask for is left to the server: it makes more rows than wanted and keeps those that fulfil
it. Where none does, the columns in question are made of the constants that the conditions name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dbtune.migration.name import quoted
from dbtune.migration.verify.schema import Column, Kind, Rule, Schema, Table
from dbtune.migration.verify.values import PLENTY, constants, near, value
from dbtune.server.connection import MARKER

_G = "dbtune_g"
"""The number of a row, from 1."""

_SPARE = 20
"""Times as many rows are tried as are wanted."""

_VALUE = re.compile(r"(?<!\w)VALUE(?!\w)")
_VARIED = 1009
"""Distinct values of a column that need not be unique; a prime."""


class NotFillable(Exception):
    """Rows cannot be made, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How rows are made. ``constants``: of columns in conditions, by name, what their types take.

    ``sparse`` leaves out what may be NULL and nobody looks at. ``first`` is the number of the first row.
    """

    rows: int
    first: int = 1
    constants: Mapping[str, tuple[str, ...]]
    sparse: bool = False


def insertion(schema: Schema, table: Table, filled: Mapping[int, int], wish: Wish) -> str:
    """Return the INSERT; ``filled`` are rows that there are in other tables, by oid.

    :raises NotFillable: a column that must have a value can have none.
    """
    joins: dict[str, str] = {}
    numbers = _numbers(schema, table, filled)
    values: dict[str, str] = {}
    references, empty = _references(table, filled)
    for number, rule in enumerate(references):
        values |= _from_parent(schema, rule, f"p{number}", filled, numbers, joins)
    looked_at = {name for rule in table.rules for name in rule.columns}
    unique = {name for rule in table.of("u") for name in rule.columns}
    for column in table.columns:
        if column.made_by_server or column.name in values or column.name in empty:
            continue
        found = _value(schema, column, numbers, wish)
        if found is None and column.not_null:
            kind = schema.kinds[column.type]
            raise NotFillable(f"no values are known for {column.name} of type {kind.full_name}")
        if found is None or (wish.sparse and not column.not_null and column.name not in looked_at):
            continue
        nullable = not column.not_null and column.name not in unique
        values[column.name] = f"CASE WHEN {_G} % 10 <> 0 THEN {found} END" if nullable else found
    if not values:
        raise NotFillable("it has no column that takes a value")
    names = ", ".join(map(quoted, values))
    listed = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in values.items())
    conditions = [f"({rule.expression}) IS NOT FALSE" for rule in table.of("c") if set(rule.columns) <= set(values)]
    conditions += _of_domains(schema, table, values)
    conditions += [f"({table.partition})"] if table.partition else []
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    last = wish.first + wish.rows * (_SPARE if conditions else 1) - 1
    return (
        f"{MARKER} INSERT INTO {table.full_name} ({names}) SELECT {names} FROM"
        f" (SELECT {_G}, {listed} FROM pg_catalog.generate_series({wish.first}::bigint, {last}) AS s ({_G})"
        f"{''.join(joins.values())}) AS made{where} ORDER BY {_G} LIMIT {wish.rows} ON CONFLICT DO NOTHING"
    )


def constants_of(schema: Schema, table: Table, column: Column, *, required: bool) -> list[str]:
    """Return the constants in the conditions that look at a column: those of partial indexes.

    ``required`` adds those of checks, of its domain and of the partition.
    """
    kinds = "iuc" if required else "iu"
    found = [rule.expression for rule in table.rules if rule.expression and rule.kind in kinds]
    found += [table.partition] if required and table.partition else []
    found = [text for text in found if _mentions(text, column.name)]
    found += schema.kinds[column.type].checks if required else ()
    return list(dict.fromkeys(each for text in found for each in constants(text)))


def _mentions(expression: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(quoted(name))}(?!\w)", expression) is not None


def _numbers(schema: Schema, table: Table, filled: Mapping[int, int]) -> dict[str, str]:
    """Return by which number each column's value is chosen: such that what must be unique is, as far as it can be."""
    sizes = {column.name: _size(schema, table, column, filled) for column in table.columns}
    numbers: dict[str, str] = {}
    for rule in sorted(table.of("u"), key=lambda rule: len(rule.columns)):
        members = [name for name in rule.columns if name in sizes]
        if any(numbers.get(name) == _G for name in members) or _made_by_server(table, members):
            continue
        plenty = [name for name in members if sizes[name] >= PLENTY and name not in numbers]
        if plenty:
            numbers[plenty[0]] = _G
            continue
        divisor = 1
        for name in members:
            numbers.setdefault(name, _G if len(members) == 1 else f"(({_G} - 1) / {divisor})")
            divisor *= max(1, sizes[name])
    varied = dict.fromkeys(sizes, f"({_G} * 31 % {_VARIED})")
    return varied | numbers


def _made_by_server(table: Table, names: list[str]) -> bool:
    return any(column.made_by_server for column in table.columns if column.name in names)


def _size(schema: Schema, table: Table, column: Column, filled: Mapping[int, int]) -> int:
    for rule in table.of("f"):
        if column.name in rule.columns:
            return filled.get(rule.other, 0)
    found = value(schema.kinds, column.type, column.typmod, _G, column.name)
    return 0 if found is None else found.distinct


def _value(schema: Schema, column: Column, numbers: Mapping[str, str], wish: Wish) -> str | None:
    found = value(schema.kinds, column.type, column.typmod, numbers[column.name], column.name)
    texts = wish.constants.get(column.name)
    constant = near(below(schema, column), list(texts), f"({_G} / 2)") if texts else None
    if found is None or constant is None:
        return constant if found is None else found.sql
    return f"CASE WHEN {_G} % 2 = 0 THEN {constant} ELSE {found.sql} END"


def below(schema: Schema, column: Column) -> Kind:
    """Return the column's type, or what a domain is made of."""
    kind = schema.kinds[column.type]
    while kind.kind == "d":
        kind = schema.kinds[kind.base]
    return kind


def _references(table: Table, filled: Mapping[int, int]) -> tuple[list[Rule], set[str]]:
    """Return the foreign keys to follow, a column but once, and the columns that stay NULL for want of parents."""
    taken: set[str] = set()
    empty: set[str] = set()
    found = []
    required = {column.name for column in table.columns if column.not_null}
    for rule in sorted(table.of("f"), key=lambda rule: -len(rule.columns)):
        if taken & set(rule.columns):
            continue
        taken |= set(rule.columns)
        if filled.get(rule.other):
            found.append(rule)
        elif required & set(rule.columns):
            what = "a row of its own" if rule.other == table.oid else "a table that is empty"
            raise NotFillable(f"{', '.join(rule.columns)} must refer to {what}")
        else:
            empty |= set(rule.columns)
    return found, empty


def _from_parent(
    schema: Schema,
    rule: Rule,
    alias: str,
    filled: Mapping[int, int],
    numbers: Mapping[str, str],
    joins: dict[str, str],
) -> dict[str, str]:
    """Return the values of a foreign key's columns: those of a parent, or NULL."""
    columns = ", ".join(map(quoted, rule.other_columns))
    number = numbers[rule.columns[0]]
    number = f"{_G} - 1" if number == _G else number
    joins[alias] = (
        f" JOIN (SELECT row_number() OVER (ORDER BY {columns}) - 1 AS dbtune_number, {columns}"
        f" FROM {schema.tables[rule.other].full_name}) AS {alias}"
        f" ON {alias}.dbtune_number = ({number}) % {filled[rule.other]}"
    )
    return {name: f"{alias}.{quoted(other)}" for name, other in zip(rule.columns, rule.other_columns, strict=True)}


def _of_domains(schema: Schema, table: Table, values: Mapping[str, str]) -> list[str]:
    """Return the conditions of domains, said of the columns whose values are still of the type below."""
    found = []
    for column in table.columns:
        kind = schema.kinds[column.type]
        while kind.kind == "d" and column.name in values:
            name = quoted(column.name)
            found += [f"({_VALUE.sub(_named(name), each)}) IS NOT FALSE" for each in kind.checks]
            kind = schema.kinds[kind.base]
    return found


def _named(name: str) -> Callable[[re.Match[str]], str]:
    return lambda match: name

"""Tables as the data for them need them: columns, types, and what rows have to fulfil."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from dbtune import sql
from dbtune.migration.name import qualified
from dbtune.migration.verify.cluster import Run
from dbtune.server.connection import MARKER


@dataclass(frozen=True, slots=True)
class Kind:
    """A type: a row of verify_types.sql."""

    oid: int
    schema: str
    name: str
    kind: str
    category: str
    element: int
    base: int
    base_typmod: int
    subtype: int
    range: int
    labels: tuple[str, ...]
    attributes: tuple[int, ...]
    checks: tuple[str, ...]

    @property
    def full_name(self) -> str:
        """The type, as SQL."""
        return qualified(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``made_by_server`` are generated ones, identities, and those of a sequence."""

    name: str
    type: int
    typmod: int
    not_null: bool
    made_by_server: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """What rows fulfil: a row of verify_rules.sql."""

    kind: str
    columns: tuple[str, ...]
    other: int
    other_columns: tuple[str, ...]
    expression: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; ``kind`` as pg_class.relkind."""

    oid: int
    schema: str
    name: str
    kind: str
    partition: str | None
    parents: tuple[int, ...]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]

    @property
    def full_name(self) -> str:
        """The table, as SQL with its schema."""
        return qualified(self.schema, self.name)

    def of(self, kind: str) -> list[Rule]:
        """Return its rules of that kind."""
        return [rule for rule in self.rules if rule.kind == kind]


@dataclass(frozen=True, slots=True)
class Schema:
    """All tables and types, by oid."""

    tables: dict[int, Table]
    kinds: dict[int, Kind]

    def merged(self, later: Schema) -> Schema:
        """Return these tables with what ``later`` asks of their columns besides: rows then suit both."""
        return Schema({oid: _merged(table, later.tables.get(oid)) for oid, table in self.tables.items()}, self.kinds)

    def leaves(self, oid: int) -> list[Table]:
        """Return the tables that hold a table's rows: itself, or its partitions."""
        return [each for each in self.tables.values() if each.kind != "p" and oid in (each.oid, *each.parents)]

    def needed(self, wanted: Iterable[int]) -> list[int]:
        """Return these tables and those that their foreign keys lead to, the latter first."""
        order: list[int] = []
        under_way: set[int] = set()

        def visit(oid: int) -> None:
            if oid in order or oid in under_way or oid not in self.tables:
                return
            under_way.add(oid)
            for leaf in (self.tables[oid], *self.leaves(oid)):
                for rule in leaf.of("f"):
                    visit(rule.other)
            order.append(oid)

        for oid in wanted:
            visit(oid)
        return order


def _merged(table: Table, later: Table | None) -> Table:
    if later is None:
        return table
    names = {column.name for column in table.columns}
    not_null = {column.name for column in later.columns if column.not_null}
    columns = tuple(replace(each, not_null=each.not_null or each.name in not_null) for each in table.columns)
    rules = dict.fromkeys((*table.rules, *(rule for rule in later.rules if names.issuperset(rule.columns))))
    return replace(table, columns=columns, rules=tuple(rules))


def read(run: Run) -> Schema:
    """Return what the database of this session has."""
    kinds = [Kind(*map(_frozen, row)) for row in run(f"{MARKER}\n{sql.load('verify_types')}")]
    rules: dict[int, list[Rule]] = {}
    for kind, table, *rest in run(f"{MARKER}\n{sql.load('verify_rules')}"):
        rules.setdefault(table, []).append(Rule(kind, *map(_frozen, rest)))
    rows: dict[int, list[tuple[Any, ...]]] = {}
    for row in run(f"{MARKER}\n{sql.load('verify_columns')}"):
        rows.setdefault(row[0], []).append(tuple(map(_frozen, row)))
    tables = {
        oid: Table(
            oid=oid,
            schema=found[0][1],
            name=found[0][2],
            kind=found[0][3],
            partition=found[0][4],
            parents=found[0][5],
            columns=tuple(Column(*row[6:]) for row in found),
            rules=tuple(rules.get(oid, ())),
        )
        for oid, found in rows.items()
    }
    return Schema(tables, {kind.oid: kind for kind in kinds})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

"""A snapshot as statements that make its tables, indexes and constraints again, in an order in which they can be made.

A :class:`Step` has its statements in a row and, where those are refused, plainer ones to try. Nothing here needs a
server. Column numbers are kept, for extended statistics go by them: gaps are filled with columns that are dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from dbtune.snapshot.value import Column, Constraint, ExistingIndex, Snapshot, Statistics, Table
from dbtune.sql import quote_identifier

_INDEX_CONSTRAINTS = frozenset("pux")
_OPTIONS = ("fillfactor", "parallel_workers")
"""Storage parameters that a planner reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is made: ``kind``, ``schema`` and ``name`` as in :class:`dbtune.snapshot.value.SchemaObject`.

    ``statements`` belong together. ``plainer`` are to be tried where they are refused. ``quiet`` steps are no loss
    where they are refused.
    """

    kind: str
    schema: str | None
    name: str
    statements: tuple[str, ...]
    plainer: tuple[str, ...] = ()
    quiet: bool = False


def qualified(schema: str, name: str) -> str:
    """Return a name as SQL."""
    return f"{quote_identifier(schema)}.{quote_identifier(name)}"


def is_stored(table: Table) -> bool:
    """Return whether the table has a file of its own: it is no partitioned and no foreign one."""
    return table.kind in "rm"


def objects(snapshot: Snapshot) -> Iterator[Step]:
    """Yield what tables need: schemas, extensions, types, functions."""
    for each in snapshot.objects:
        yield Step(kind=each.kind, schema=each.schema, name=each.name, statements=(each.definition,))
    for schema in sorted({table.schema for table in snapshot.tables}):
        yield Step(
            kind="schema",
            schema=None,
            name=schema,
            statements=(f"CREATE SCHEMA IF NOT EXISTS {quote_identifier(schema)}",),
        )


def late_objects(snapshot: Snapshot) -> Iterator[Step]:
    """Yield what needs tables: views and functions."""
    for each in snapshot.late_objects:
        yield Step(kind=each.kind, schema=each.schema, name=each.name, statements=(each.definition,))


def with_stand_ins(snapshot: Snapshot, stand_ins: Mapping[str, str]) -> Snapshot:
    """Return the snapshot with other types for those that the server lacks, of whose values nothing is known then."""
    if not stand_ins:
        return snapshot

    def unknown(statistics: Statistics | None) -> Statistics | None:
        if statistics is None:
            return None
        return Statistics(
            null_frac=statistics.null_frac, avg_width=statistics.avg_width, n_distinct=statistics.n_distinct
        )

    def stand_in(column: Column) -> Column:
        if column.type not in stand_ins:
            return column
        return replace(
            column,
            type=stand_ins[column.type],
            collation=None,
            generated=None,
            default=None,
            statistics=unknown(column.statistics),
            inherited=unknown(column.inherited),
        )

    changed = (replace(table, columns=tuple(map(stand_in, table.columns))) for table in snapshot.tables)
    return replace(snapshot, tables=tuple(changed))


def tables(snapshot: Snapshot) -> Iterator[Step]:
    """Yield the tables, without constraints."""
    for table in snapshot.tables:
        if table.kind == "f":
            if table.definition is not None:
                columns = ", ".join(_column(column, plain=True) for column in table.columns)
                name = qualified(table.schema, table.name)
                yield _step(
                    table, (f"CREATE FOREIGN TABLE {name} ({columns}) {table.definition}",), kind="foreign table"
                )
            continue
        full = _table(table, plain=False)
        yield _step(table, full, plainer=_table(table, plain=True))


def inheritance(snapshot: Snapshot) -> Iterator[Step]:
    """Yield how tables become partitions and children."""
    for table in snapshot.tables:
        name = qualified(table.schema, table.name)
        for parent in table.inherits:
            above = qualified(*parent)
            if table.partition_bound is not None:
                statement = f"ALTER TABLE ONLY {above} ATTACH PARTITION {name} {table.partition_bound}"
            else:
                statement = f"ALTER TABLE {name} INHERIT {above}"
            if table.kind != "f":
                yield _step(table, (statement,), kind="inheritance")


def index_constraints(snapshot: Snapshot) -> Iterator[Step]:
    """Yield primary keys, unique and exclusion constraints."""
    for table in snapshot.tables:
        for constraint in table.constraints:
            if constraint.kind in _INDEX_CONSTRAINTS:
                yield _step(
                    table, (_constraint(table, constraint, only=True),), kind="constraint", name=constraint.name
                )


def foreign_keys(snapshot: Snapshot) -> Iterator[Step]:
    """Yield foreign keys, unchecked: the planner believes them all the same."""
    for table in sorted(snapshot.tables, key=lambda table: table.kind == "p"):
        for constraint in table.constraints:
            if constraint.kind == "f":
                statement = _constraint(table, constraint, only=False)
                if table.kind != "p" and "NOT VALID" not in statement:
                    statement += " NOT VALID"
                # a partition's may be there through its parent already
                quiet = table.partition_bound is not None
                yield _step(table, (statement,), kind="foreign key", name=constraint.name, quiet=quiet)


def checks(snapshot: Snapshot) -> Iterator[Step]:
    """Yield check constraints, unchecked: parents' first, for children have theirs through them."""
    for table in sorted(snapshot.tables, key=lambda table: bool(table.inherits)):
        for constraint in table.constraints:
            if constraint.kind == "c" and table.kind != "f":
                statement = _constraint(table, constraint, only=False)
                if "NOT VALID" not in statement:
                    statement += " NOT VALID"
                yield _step(table, (statement,), kind="check", name=constraint.name, quiet=bool(table.inherits))


def unvalidated(snapshot: Snapshot) -> list[tuple[str, str, str]]:
    """Return schema, table and name of the constraints that production has not checked either."""
    return [
        (table.schema, table.name, constraint.name)
        for table in snapshot.tables
        for constraint in table.constraints
        if not constraint.validated
    ]


def indexes(snapshot: Snapshot) -> Iterator[Step]:
    """Yield the valid indexes that no constraint makes."""
    for table in snapshot.tables:
        for index in table.indexes:
            if index.is_valid and not makes_constraint(index):
                yield _step(table, (index.definition,), kind="index", name=index.name)


def attachments(snapshot: Snapshot) -> Iterator[Step]:
    """Yield how partitions' indexes become parts of their parents'."""
    for table in snapshot.tables:
        for index in table.indexes:
            if index.parent is not None and index.is_valid:
                statement = (
                    f"ALTER INDEX {qualified(*index.parent)} ATTACH PARTITION {qualified(index.schema, index.name)}"
                )
                yield _step(table, (statement,), kind="index", name=index.name, quiet=True)


def makes_constraint(index: ExistingIndex) -> bool:
    """Return whether the index comes with a constraint."""
    return index.constraint is not None or index.is_primary


def defaults(snapshot: Snapshot) -> Iterator[Step]:
    """Yield the defaults of columns, for plans of INSERT."""
    for table in snapshot.tables:
        if table.kind == "f":
            continue
        statements = tuple(
            f"ALTER TABLE ONLY {qualified(table.schema, table.name)}"
            f" ALTER COLUMN {quote_identifier(column.name)} SET DEFAULT {column.default}"
            for column in table.columns
            if column.default is not None and not column.generated
        )
        if statements:
            yield _step(table, statements, kind="default", quiet=True)


def extended_statistics(snapshot: Snapshot) -> Iterator[Step]:
    """Yield the definitions of extended statistics."""
    for table in snapshot.tables:
        for each in table.statistics:
            yield Step(kind="extended statistics", schema=each.schema, name=each.name, statements=(each.definition,))


def _step(
    table: Table,
    statements: Collection[str],
    *,
    kind: str = "table",
    name: str | None = None,
    plainer: Collection[str] = (),
    quiet: bool = False,
) -> Step:
    return Step(
        kind=kind,
        schema=table.schema,
        name=name or table.name,
        statements=tuple(statements),
        plainer=tuple(plainer),
        quiet=quiet,
    )


def _constraint(table: Table, constraint: Constraint, *, only: bool) -> str:
    how = "ONLY " if only else ""
    return (
        f"ALTER TABLE {how}{qualified(table.schema, table.name)}"
        f" ADD CONSTRAINT {quote_identifier(constraint.name)} {constraint.definition}"
    )


def _table(table: Table, *, plain: bool) -> tuple[str, ...]:
    name = qualified(table.schema, table.name)
    wanted = {column.number: column for column in table.columns}
    lines, gaps = [], []
    for number in range(1, max(wanted, default=0) + 1):
        if number in wanted:
            lines.append(_column(wanted[number], plain=plain))
        else:
            gap = quote_identifier(f"dbtune gap {number}")
            lines.append(f"{gap} boolean")
            gaps.append(f"DROP COLUMN {gap}")
    partitioned = f" PARTITION BY {table.partition_key}" if table.kind == "p" and table.partition_key else ""
    options = [] if plain or table.kind == "p" else [o for o in table.options if o.partition("=")[0] in _OPTIONS]
    stored = f" WITH ({', '.join(options)})" if options else ""
    statements = [f"CREATE TABLE {name} ({', '.join(lines)}){partitioned}{stored}"]
    if gaps:
        statements.append(f"ALTER TABLE {name} {', '.join(gaps)}")
    return tuple(statements)


def _column(column: Column, *, plain: bool) -> str:
    words = [quote_identifier(column.name), column.type]
    if column.collation is not None and not plain:
        words.append(f"COLLATE {column.collation}")
    if column.generated and column.default is not None and not plain:
        words.append(f"GENERATED ALWAYS AS ({column.default}) {'VIRTUAL' if column.generated == 'v' else 'STORED'}")
    if column.not_null:
        words.append("NOT NULL")
    return " ".join(words)

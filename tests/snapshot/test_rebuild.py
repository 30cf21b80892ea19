"""A snapshot is enough to make the schema again: what is read from the rebuilt database is the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from dbtune.server.connection import server_version_num
from dbtune.snapshot.read import read
from dbtune.snapshot.value import Column, Constraint, Snapshot, Table
from dbtune.sql import quote_identifier
from tests.snapshot.rich import run


def test_schema_can_be_made_again(made: Connection, empty: Connection) -> None:
    taken = read(made)
    for statement in rebuild(taken):
        run(empty, statement)
    empty.commit()
    rebuilt = read(empty)
    assert rebuilt.objects == taken.objects
    assert rebuilt.late_objects == taken.late_objects
    for ours, theirs in zip(taken.tables, rebuilt.tables, strict=True):
        assert _shape(theirs) == _shape(ours)


def test_extensions_come_in_the_order_of_their_needs(made: Connection) -> None:
    names = [each.name for each in read(made).objects if each.kind == "extension"]
    assert names.index("cube") < names.index("earthdistance")


def test_views_come_after_what_they_read(made: Connection) -> None:
    late = [each.name for each in read(made).late_objects]
    assert late.index("b_view") < late.index("a_view") < late.index("of_view()") < late.index("z_view")


def test_the_order_does_not_depend_on_when_things_were_made(db: Connection, empty: Connection) -> None:
    parts = [
        "CREATE TABLE b (x int)",
        "CREATE TYPE t AS ENUM ('a')",
        "CREATE TABLE a (x int)",
        "CREATE VIEW c AS SELECT 1",
    ]
    for connection, statements in ((db, parts), (empty, reversed(parts))):
        for statement in statements:
            run(connection, statement)
        connection.commit()
    first, second = read(db), read(empty)
    assert first.objects == second.objects
    assert [each.name for each in first.tables] == [each.name for each in second.tables] == ["a", "b"]


@pytest.mark.parametrize("body", ["BEGIN ATOMIC; SELECT count(*) FROM source; END", "RETURN 1"])
def test_functions_with_a_parsed_body_come_after_what_they_read(db: Connection, empty: Connection, body: str) -> None:
    if server_version_num(db) < 140_000:
        pytest.skip("came with 14")
    run(db, f"CREATE TABLE source (a int); CREATE FUNCTION total() RETURNS bigint LANGUAGE sql {body}")
    db.commit()
    taken = read(db)
    assert [each.name for each in taken.late_objects] == (["total()"] if "source" in body else [])
    for statement in rebuild(taken):
        run(empty, statement)


def rebuild(snapshot: Snapshot) -> Iterator[str]:
    """Yield the statements that make the schema."""
    yield "SET check_function_bodies = off"
    yield from (each.definition for each in snapshot.objects)
    yield from (_table(table) for table in snapshot.tables if table.kind != "m")
    for table in snapshot.tables:
        for constraint in table.constraints:
            if not constraint.inherited and constraint.kind != "f" and not (constraint.kind == "c" and table.inherits):
                yield _addition(table, constraint)
    yield from (each.definition for each in snapshot.late_objects)
    for table in snapshot.tables:
        if table.kind == "m":
            yield f"CREATE MATERIALIZED VIEW {_name(table)} AS {table.definition}"
    for table in snapshot.tables:
        for index in table.indexes:
            if index.constraint is None and index.parent is None:
                yield index.definition.replace(" ON ONLY ", " ON ")
        yield from (statistics.definition for statistics in table.statistics)
        yield from (_addition(table, constraint) for constraint in table.constraints if constraint.kind == "f")


def _addition(table: Table, constraint: Constraint) -> str:
    return f"ALTER TABLE {_name(table)} ADD CONSTRAINT {quote_identifier(constraint.name)} {constraint.definition}"


def _table(table: Table) -> str:
    checks = [
        f"CONSTRAINT {quote_identifier(each.name)} {each.definition}"
        for each in table.constraints
        if each.kind == "c" and table.inherits and not each.inherited
    ]
    body = ", ".join([*map(_column, table.columns), *checks])
    foreign = "FOREIGN " if table.kind == "f" else "UNLOGGED " if table.persistence == "u" else ""
    made = f"CREATE {foreign}TABLE {_name(table)}"
    parents = ", ".join(f"{quote_identifier(schema)}.{quote_identifier(name)}" for schema, name in table.inherits)
    if table.partition_bound is not None:
        made += f" PARTITION OF {parents} {table.partition_bound}"
    else:
        made += f" ({body})" + (f" INHERITS ({parents})" if parents else "")
    if table.partition_key is not None:
        made += f" PARTITION BY {table.partition_key}"
    if table.options:
        made += f" WITH ({', '.join(table.options)})"
    return f"{made} {table.definition}" if table.kind == "f" else made


def _column(column: Column) -> str:
    text = f"{quote_identifier(column.name)} {column.type}"
    if column.collation is not None:
        text += f" COLLATE {column.collation}"
    if column.generated:
        text += f" GENERATED ALWAYS AS ({column.default}) STORED"
    elif column.default is not None:
        text += f" DEFAULT {column.default}"
    return text + (" NOT NULL" if column.not_null else "")


def _name(table: Table) -> str:
    return f"{quote_identifier(table.schema)}.{quote_identifier(table.name)}"


def _shape(table: Table) -> object:
    return (
        (table.schema, table.name, table.kind, table.persistence, table.options, table.inherits, table.definition),
        (table.partition_key, table.partition_bound),
        [(c.name, c.number, c.type, c.length, c.align, c.by_value, c.storage, c.collation) for c in table.columns],
        [(c.not_null, c.generated, c.default) for c in table.columns],
        table.constraints,
        [(i.name, i.definition, i.keys, i.key_columns, i.include, i.opclasses, i.parent) for i in table.indexes],
        [(s.name, s.definition, s.kinds) for s in table.statistics],
    )

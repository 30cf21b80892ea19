"""Making a snapshot's database in a cluster: schema, seeds, statistics; files as large as production's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from dbtune.index.size import level_of
from dbtune.index.whatif.planning import send
from dbtune.index.whatif.twin import extended, schema, seeding, statistics
from dbtune.index.whatif.twin.schema import Step
from dbtune.index.whatif.twin.statistics import Typed
from dbtune.index.whatif.twin.storage import Storage
from dbtune.index.whatif.twin.workshop import Missing, Workshop
from dbtune.snapshot.value import Snapshot, Statistics, Table
from dbtune.sql import quote_identifier, quote_literal

Name = tuple[str, str]

_NOT_SET = frozenset(
    """search_path statement_timeout lock_timeout plan_cache_mode session_replication_role jit transaction_read_only
    default_transaction_read_only allow_system_table_mods autovacuum""".split()
)
_PLACEHOLDERS = {1: '"char"', 2: "smallint", 4: "integer", 8: "bigint"}


@dataclass(slots=True)
class Model:
    """The database as it was made: OIDs of its relations by name, what it lacks, and what makes it less sure."""

    snapshot: Snapshot
    relations: Mapping[Name, int] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def make(connection: Connection, snapshot: Snapshot, storage: Storage) -> Model:
    """Make the snapshot's database, which is empty before, and return what became of it.

    What the server refuses is noted and left out.
    """
    shop = Workshop(connection)
    model = Model(snapshot, missing=shop.missing)
    _set(connection, snapshot, model)
    _make_schema(shop, model)
    relations = {(each.schema, each.name): each.oid for each in storage.relations().values()}
    _write_statistics(shop, model.snapshot, relations)
    extended.write(shop, model.snapshot, relations)
    connection.commit()
    _grow(model, storage)
    model.warnings += [f"the twin lacks {each}" for each in model.missing]
    return model


def _set(connection: Connection, snapshot: Snapshot, model: Model) -> None:
    """Give production's settings to all further sessions and to this one."""
    rows = connection.execute(
        text("SELECT name FROM pg_catalog.pg_settings WHERE context IN ('user', 'superuser')")
    ).scalars()
    known = set(rows)
    connection.rollback()
    wanted = {name: value for name, value in snapshot.settings.items() if name in known and name not in _NOT_SET}
    shop = Workshop(connection)
    steps = [_setting(name, quote_literal(value)) for name, value in sorted(wanted.items())]
    # the search path is a list of identifiers, as SET takes it
    shop.run([*steps, _setting("search_path", snapshot.search_path.strip() or "''")])
    connection.commit()
    model.missing += shop.missing


def _setting(name: str, value: str) -> Step:
    quoted = quote_identifier(name) if "." not in name else name
    return Step(
        kind="setting",
        schema=None,
        name=name,
        statements=(f"ALTER DATABASE postgres SET {quoted} = {value}", f"SET {quoted} = {value}"),
    )


def _make_schema(shop: Workshop, model: Model) -> None:
    connection = shop.connection
    send(connection, "SET LOCAL session_replication_role = replica")  # no foreign key is checked
    send(connection, "SET LOCAL client_min_messages = error")
    shop.run(schema.objects(model.snapshot))
    lacking = _lacking_types(shop, model.snapshot)
    if lacking:
        for table in model.snapshot.tables:
            for column in table.columns:
                if column.type in lacking:
                    model.warnings.append(
                        f"column {table.schema}.{table.name}.{column.name}: the twin lacks type {column.type},"
                        f" {lacking[column.type]} stands for it"
                    )
        model.snapshot = schema.with_stand_ins(model.snapshot, lacking)
    snapshot = model.snapshot
    shop.run(schema.tables(snapshot))
    shop.missing += [
        Missing("foreign table", table.schema, table.name, "it cannot be planned without its server")
        for table in snapshot.tables
        if table.kind == "f" and table.definition is None
    ]
    shop.run(schema.inheritance(snapshot))
    shop.run(schema.index_constraints(snapshot))
    shop.run(schema.foreign_keys(snapshot))
    _seed(shop, snapshot)
    shop.run(schema.indexes(snapshot))
    shop.run(schema.attachments(snapshot))
    shop.run(schema.checks(snapshot))
    _validate(connection, snapshot)
    shop.run(schema.extended_statistics(snapshot))
    shop.run(schema.late_objects(snapshot))
    shop.run(schema.defaults(snapshot))
    for table in snapshot.tables:
        if table.row_security:
            model.warnings.append(
                f"row-level security of {table.schema}.{table.name} is not planned: as for a role that bypasses it"
            )


def _lacking_types(shop: Workshop, snapshot: Snapshot) -> dict[str, str]:
    """Return types that the server does not have, each with the one that stands for it."""
    lengths = {column.type: column.length for table in snapshot.tables for column in table.columns}
    quiet = Workshop(shop.connection)
    quiet.run(
        Step(kind="type", schema=None, name=type_, statements=(f"SELECT {quote_literal(type_)}::pg_catalog.regtype",))
        for type_ in sorted(lengths)
    )
    return {each.name: _PLACEHOLDERS.get(lengths[each.name], "text") for each in quiet.missing}


def _seed(shop: Workshop, snapshot: Snapshot) -> None:
    """Put rows into all tables that have any in production, as many of the two as the server takes."""
    connection = shop.connection
    send(connection, "UPDATE pg_catalog.pg_class SET relispartition = false WHERE relispartition AND relkind = 'r'")
    seeded = []
    for table in snapshot.tables:
        if schema.is_stored(table) and table.pages > 0:
            rows = seeding.rows(table)
            if rows is not None:
                seeded.append((table, rows))
    quiet = Workshop(connection)
    quiet.run(
        Step(kind="rows", schema=table.schema, name=table.name, statements=(seeding.insertion(table, rows),))
        for table, rows in seeded
    )
    tables = {(table.schema, table.name): table for table, _ in seeded}
    for each in quiet.missing:
        _seed_as_far_as_possible(shop, tables[str(each.schema), each.name])
    send(connection, "UPDATE pg_catalog.pg_class SET relispartition = true WHERE relpartbound IS NOT NULL")


def _seed_as_far_as_possible(shop: Workshop, table: Table) -> None:
    """Leave out values that the server does not take, then one of the rows, then both."""
    refused = [
        column.name
        for column in table.columns
        for found in (seeding.ends(column),)
        if found is not None and shop.attempt((f"SELECT {found[0]}, {found[1]}",)) is not None
    ]
    rows = seeding.rows(table, refused)
    if rows is None:
        return
    for values in (rows, rows[:1], rows[1:]):
        if shop.attempt((seeding.insertion(table, values),)) is None:
            return


def _validate(connection: Connection, snapshot: Snapshot) -> None:
    """Mark constraints as checked where production's are: the planner excludes tables by those only."""
    kept = ", ".join(
        f"({quote_literal(where)}, {quote_literal(table)}, {quote_literal(name)})"
        for where, table, name in schema.unvalidated(snapshot)
    )
    unless = f" AND (n.nspname, c.relname, k.conname) NOT IN ({kept})" if kept else ""
    send(
        connection,
        "UPDATE pg_catalog.pg_constraint SET convalidated = true WHERE oid IN (SELECT k.oid"
        " FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE k.contype IN ('c', 'f') AND NOT k.convalidated{unless})",
    )


def _write_statistics(shop: Workshop, snapshot: Snapshot, relations: Mapping[Name, int]) -> None:
    typed = extended.columns(shop.connection)
    steps = []

    def add(where: Typed | None, table: Table, what: str, found: Statistics | None, inherited: bool = False) -> None:
        if where is not None and found is not None:
            steps.append(
                Step(
                    kind="statistics of",
                    schema=table.schema,
                    name=f"{table.name}.{what}",
                    statements=(statistics.insertion(where, found, inherited=inherited),),
                    plainer=(statistics.insertion(where, found, inherited=inherited, plain=True),),
                )
            )

    for table in snapshot.tables:
        relation = relations.get((table.schema, table.name))
        if relation is None:
            continue
        for column in table.columns:
            where = typed.get((relation, column.name))
            add(where, table, column.name, column.statistics)
            add(where, table, column.name, column.inherited, inherited=True)
    shop.run(steps)


def _grow(model: Model, storage: Storage) -> None:
    """Give tables and indexes production's sizes."""
    found = storage.relations()
    model.relations = {(each.schema, each.name): each.oid for each in found.values()}
    changes = []
    for table in model.snapshot.tables:
        if (oid := model.relations.get((table.schema, table.name))) is None:
            continue
        changes.append(storage.heap(found[oid], table))
        # what the last VACUUM or ANALYZE counted, and what has come since
        growth = table.pages / table.relpages if table.relpages > 0 else 1.0
        for index in table.indexes:
            oid = model.relations.get((index.schema, index.name))
            if oid is not None and index.is_valid:
                level = level_of(index, table)
                changes.append(storage.index(found[oid], index.pages, level, index.reltuples * growth, table.pages))
    storage.replace(changes)

"""What a server says of a statement: which table it means, how it writes the definition, which partitions there are."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError

from dbtune import sql
from dbtune.errors import ServerError, Unsafe, UsageError
from dbtune.migration.definition import Definition
from dbtune.migration.name import qualified, quoted
from dbtune.migration.statement import Relation, parse_definition
from dbtune.server.connection import MARKER, reason

_INDEXABLE = {"r": "table", "p": "partitioned table", "m": "materialised view"}


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition and the table that it is one of; ``kind`` as pg_class.relkind."""

    schema: str
    name: str
    parent_schema: str
    parent_name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A definition as a server writes it. ``partitions`` is None where the table is not partitioned."""

    definition: Definition
    partitions: tuple[Partition, ...] | None = None
    comment: str | None = None


def settle(connection: Connection, definition: Definition, table: Relation) -> Settled:
    """Return the index that a statement would make, in the server's own words; nothing is left of it there.

    ``connection`` must not be in a transaction. The index is made on an empty temporary table like the real one.

    :raises UsageError: there is no such table, or no index on such a thing.
    :raises ServerError: the server does not take the statement.
    """
    with connection.begin() as transaction:
        named = quoted(table.name) if table.schema is None else qualified(table.schema, table.name)
        found = connection.execute(_statement("migration_table"), {"name": named}).mappings().one_or_none()
        if found is None:
            raise UsageError(f"there is no table {named} in {connection.engine.url.database}")
        if found["kind"] not in _INDEXABLE:
            raise UsageError(f"{named} is not a table: it can have no index")
        wanted = definition.on(found["schema"], found["name"], definition.name)
        copy = f"pg_temp.{quoted(found['name'])}"
        try:
            _run(connection, f"CREATE TEMPORARY TABLE {quoted(found['name'])} (LIKE {wanted.table})")
            _run(connection, wanted.ddl(on=copy))
            written = connection.scalar(
                text(f"{MARKER} SELECT pg_catalog.pg_get_indexdef(pg_catalog.to_regclass(:name))"),
                {"name": f"pg_temp.{quoted(wanted.name)}"},
            )
        except DBAPIError as error:
            raise ServerError(f"{wanted.name} on {wanted.table}: {reason(error)}") from None
        partitions = _partitions(connection, wanted.table) if found["kind"] == "p" else None
        transaction.rollback()
    read = parse_definition(str(written)).on(found["schema"], found["name"], wanted.name)
    return Settled(_in_tablespace(read, definition.tablespace), partitions)


def existing(connection: Connection, index: Relation) -> Settled:
    """Return an index that is there, as it is, with the comment on it.

    :raises UsageError: there is none of that name.
    :raises Unsafe: a constraint or something else needs it.
    """
    named = quoted(index.name) if index.schema is None else qualified(index.schema, index.name)
    with connection.begin():
        found = connection.execute(_statement("migration_index"), {"name": named}).mappings().one_or_none()
        if found is None:
            raise UsageError(f"there is no index {named} in {connection.engine.url.database}")
        if found["needed_by"] is not None:
            raise Unsafe(f"{named} is needed by {found['needed_by']}; it cannot go by itself")
        definition = _in_tablespace(parse_definition(found["definition"]), found["tablespace"])
        partitions = _partitions(connection, definition.table) if found["kind"] == "I" else None
    return Settled(definition, partitions, found["comment"])


def _in_tablespace(definition: Definition, tablespace: str | None) -> Definition:
    return replace(definition, tablespace=tablespace)


def _partitions(connection: Connection, table: str) -> tuple[Partition, ...]:
    rows = connection.execute(_statement("migration_partitions"), {"name": table}).mappings()
    found = tuple(
        Partition(row["schema"], row["name"], row["parent_schema"], row["parent_name"], row["kind"]) for row in rows
    )
    for each in found:
        if each.kind == "f":
            name = qualified(each.schema, each.name)
            raise Unsafe(f"{table} has the foreign table {name} as a partition: its index can never be valid")
    return found


def _statement(name: str) -> TextClause:
    return text(f"{MARKER}\n{sql.load(name)}")


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(f"{MARKER} {statement}", execution_options={"no_parameters": True})

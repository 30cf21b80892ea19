"""Statistics of expressions and extended statistics: what PostgreSQL has no function to write.

Their data are of types that take no input but bytes, through a cast that is made for it. Statistics of expressions are
rows of pg_statistic; a table with a column for each expression tells their types.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, text

from dbtune import sql
from dbtune.index.whatif.planning import send
from dbtune.index.whatif.twin import statistics
from dbtune.index.whatif.twin.schema import Step, qualified
from dbtune.index.whatif.twin.statistics import Typed
from dbtune.index.whatif.twin.workshop import Missing, Workshop
from dbtune.server.connection import server_version_num
from dbtune.snapshot.value import ExistingIndex, ExtendedStatistics, Snapshot, Table
from dbtune.sql import quote_identifier, quote_literal

_SCRATCH = "dbtune twin"
_MCV_MAGIC = 0xE1A651C2
_MCV_HEADER = struct.Struct("=IIIh")  # magic, type, items, columns; the OIDs of the columns' types follow
_FIRST_OWN_OID = 16_384
"""OIDs from here on differ from one database to the next (transam.h, FirstNormalObjectId)."""

Name = tuple[str, str]


class Expressions:
    """Tables for the time being with a column for each expression, of which statistics are written."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._count = 0
        shop.attempt((f"CREATE SCHEMA {quote_identifier(_SCRATCH)}",))

    def table(self, of: Table, expressions: Sequence[str]) -> str | None:
        """Return the name of a new table, columns ``e1``, ``e2``…; None where the server refuses an expression."""
        self._count += 1
        name = f"x{self._count}"
        listed = ", ".join(f"({text_}) AS e{number}" for number, text_ in enumerate(expressions, start=1))
        made = f"CREATE TABLE {qualified(_SCRATCH, name)} AS SELECT {listed} FROM ONLY {qualified(of.schema, of.name)}"
        return None if self._shop.attempt((f"{made} WITH NO DATA",)) is not None else name

    def remove(self) -> None:
        """Drop the tables, with the statistics that are about them alone."""
        schema = quote_identifier(_SCRATCH)
        send(self._shop.connection, f"SET LOCAL client_min_messages = error; DROP SCHEMA {schema} CASCADE")


def write(shop: Workshop, snapshot: Snapshot, relations: Mapping[Name, int]) -> None:
    """Write the statistics of indexes' expressions and the extended ones, which must be there by name."""
    indexed = [
        (table, index)
        for table in snapshot.tables
        for index in table.indexes
        if index.statistics and (index.schema, index.name) in relations
    ]
    several = [(table, each) for table in snapshot.tables for each in table.statistics]
    if not indexed and not several:
        return
    expressions = Expressions(shop)
    _write_of_indexes(shop, expressions, indexed, relations)
    _allow_bytes(shop)
    for table, each in several:
        _write_extended(shop, expressions, table, each, inherited=table.kind == "p")
        if each.inherited is not None and server_version_num(shop.connection) >= 150_000:
            _write_extended(shop, expressions, table, each.inherited, inherited=True)
    expressions.remove()


def columns(connection: Connection) -> dict[tuple[int, str], Typed]:
    """Return what is to be known of columns to write their statistics, by OID of the table and name."""
    types = {row["type"]: row for row in connection.execute(text(sql.load("twin_types"))).mappings()}
    found = {}
    for row in connection.execute(text(sql.load("twin_columns"))).mappings():
        if (type_ := types.get(row["type"])) is not None:
            found[row["relation"], row["attname"]] = Typed(
                relation=row["relation"], number=row["attnum"], type=row["type"], base=type_["base"],
                collation=row["collation"], equal=type_["equal"], less=type_["less"], element=type_["element"],
                element_equal=type_["element_equal"], range=type_["range"],
            )  # fmt: skip
    return found


def _write_of_indexes(
    shop: Workshop,
    expressions: Expressions,
    indexed: Sequence[tuple[Table, ExistingIndex]],
    relations: Mapping[Name, int],
) -> None:
    made = []
    for table, index in indexed:
        numbers = sorted(number for number in index.statistics if number <= len(index.keys))
        name = expressions.table(table, [index.keys[number - 1] for number in numbers])
        if name is not None:
            made.append((table, index, numbers, name))
    typed = _of_scratch(shop.connection) if made else {}
    shop.run(
        Step(
            kind="statistics of",
            schema=index.schema,
            name=f"{index.name}.{number}",
            statements=(_for_index(typed[name, at], relations[index.schema, index.name], number, index),),
            plainer=(_for_index(typed[name, at], relations[index.schema, index.name], number, index, plain=True),),
        )
        for _, index, numbers, name in made
        for at, number in enumerate(numbers, start=1)
        if (name, at) in typed
    )


def _for_index(typed: Typed, relation: int, number: int, index: ExistingIndex, *, plain: bool = False) -> str:
    where = replace(typed, relation=relation, number=number)
    return statistics.insertion(where, index.statistics[number], plain=plain)


def _of_scratch(connection: Connection) -> dict[tuple[str, int], Typed]:
    """Return the columns of the tables of expressions, by name and number."""
    rows = connection.execute(
        text(
            "SELECT c.oid::int8, c.relname FROM pg_catalog.pg_class c"
            " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = :schema"
        ),
        {"schema": _SCRATCH},
    )
    names = {int(row[0]): str(row[1]) for row in rows}
    return {
        (names[relation], typed.number): typed
        for (relation, _), typed in columns(connection).items()
        if relation in names
    }


def _allow_bytes(shop: Workshop) -> None:
    shop.attempt(
        tuple(
            f"CREATE CAST (pg_catalog.bytea AS pg_catalog.{name}) WITHOUT FUNCTION"
            for name in ("pg_ndistinct", "pg_dependencies", "pg_mcv_list")
        )
    )


def _write_extended(
    shop: Workshop, expressions: Expressions, table: Table, each: ExtendedStatistics, *, inherited: bool
) -> None:
    connection = shop.connection
    version = server_version_num(connection)
    row = (
        connection.execute(text(sql.load("twin_extended")), {"schema": each.schema, "name": each.name})
        .mappings()
        .first()
    )
    if row is None:
        return
    data = {"stxoid": f"{row['oid']}::pg_catalog.oid"}
    if version >= 150_000:
        data["stxdinherit"] = "true" if inherited else "false"
    common = _common_values(shop, each, row["types"], row["own"])
    for column, type_, value in (
        ("stxdndistinct", "pg_ndistinct", each.ndistinct),
        ("stxddependencies", "pg_dependencies", each.dependencies),
        ("stxdmcv", "pg_mcv_list", common),
    ):
        if value is not None:
            data[column] = f"pg_catalog.decode({quote_literal(value)}, 'base64')::pg_catalog.{type_}"
    if version >= 140_000 and any(each.expressions):
        written = _expressions(shop, expressions, table, each, int(row["oid"]))
        if written is not None:
            data["stxdexpr"] = written
    names, values = ", ".join(data), ", ".join(data.values())
    which = f"stxoid = {row['oid']}" + (f" AND stxdinherit = {data['stxdinherit']}" if version >= 150_000 else "")
    why = shop.attempt(
        (
            f"DELETE FROM pg_catalog.pg_statistic_ext_data WHERE {which}",
            f"INSERT INTO pg_catalog.pg_statistic_ext_data ({names}) VALUES ({values})",
            # reads all of it once: what is damaged would otherwise stop every plan
            "SELECT stxdndistinct::text, stxddependencies::text,"
            " (SELECT count(*) FROM pg_catalog.pg_mcv_list_items(stxdmcv))"
            f" FROM pg_catalog.pg_statistic_ext_data WHERE {which}",
        )
    )
    if why is not None:
        shop.missing.append(Missing("data of extended statistics", each.schema, each.name, why))


def _common_values(shop: Workshop, each: ExtendedStatistics, types: Sequence[int], own: Sequence[str]) -> str | None:
    """Return the list of common values for the twin's types, None where there is none that could be moved."""
    if each.mcv is None:
        return None
    try:
        if own:
            raise ValueError(f"values of {', '.join(own)} cannot be moved from one database to another")
        return base64.b64encode(with_types(base64.b64decode(each.mcv), types)).decode()
    except ValueError as error:
        shop.missing.append(Missing("common values of statistics", each.schema, each.name, str(error)))
        return None


def with_types(common: bytes, types: Sequence[int]) -> bytes:
    """Return a serialised pg_mcv_list (mcv.c) whose first columns have the types of these OIDs.

    :raises ValueError: it is none, is from a machine of another byte order, or has expressions of types of its own.
    """
    if len(common) < _MCV_HEADER.size or _MCV_HEADER.unpack_from(common)[0] != _MCV_MAGIC:
        raise ValueError("they are not in the form that this machine's PostgreSQL reads")
    count = _MCV_HEADER.unpack_from(common)[3]
    held = struct.unpack_from(f"={count}I", common, _MCV_HEADER.size)
    wanted = (*types, *held[len(types) :])[:count]
    if any(oid >= _FIRST_OWN_OID for oid in held[len(types) :]):
        raise ValueError("an expression is of a type of the database's own")
    end = _MCV_HEADER.size + 4 * count
    return common[: _MCV_HEADER.size] + struct.pack(f"={count}I", *wanted) + common[end:]


def _expressions(
    shop: Workshop, expressions: Expressions, table: Table, each: ExtendedStatistics, oid: int
) -> str | None:
    """Write the statistics of expressions, and return SQL that gathers them; None where that is not possible."""
    texts = shop.connection.execute(
        text("SELECT pg_catalog.pg_get_statisticsobjdef_expressions(CAST(:oid AS oid))"), {"oid": oid}
    ).scalar()
    if not texts or len(texts) != len(each.expressions):
        return None
    name = expressions.table(table, texts)
    if name is None:
        return None
    typed = _of_scratch(shop.connection)
    for number, found in enumerate(each.expressions, start=1):
        if found is None or (name, number) not in typed:
            continue
        where = typed[name, number]
        if shop.attempt((statistics.insertion(where, found),)) is not None:
            shop.attempt((statistics.insertion(where, found, plain=True),))
    relation = f"{quote_literal(qualified(_SCRATCH, name))}::pg_catalog.regclass"
    return (
        "(SELECT array_agg(s ORDER BY g.n) FROM pg_catalog.generate_series(1, "
        f"{len(each.expressions)}) AS g (n) LEFT JOIN pg_catalog.pg_statistic s"
        f" ON s.starelid = {relation} AND s.staattnum = g.n)"
    )

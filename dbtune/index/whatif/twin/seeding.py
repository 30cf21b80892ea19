"""Two rows for each table: the least and the greatest value of each column that statistics show.

The planner looks at the ends of a btree to know the range of a column. Without rows it finds none, and guesses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dbtune.index.size.texts import elements
from dbtune.index.whatif.twin.schema import qualified
from dbtune.snapshot.value import Column, Statistics, Table
from dbtune.sql import quote_identifier, quote_literal

_ZEROS = (
    (("smallint", "integer", "bigint", "numeric", "real", "double precision", "money", "oid"), "0"),
    (("text", "character", "varchar", '"char"', "name", "bytea", "bpchar", "citext"), ""),
    (("boolean",), "false"),
    (("date", "timestamp"), "2000-01-01"),
    (("time", "interval"), "00:00:00"),
    (("uuid",), "00000000-0000-0000-0000-000000000000"),
    (("json",), "{}"),
    (("inet", "cidr"), "0.0.0.0"),
    (("tsvector",), ""),
)


def ends(column: Column) -> tuple[str, str] | None:
    """Return the expressions of the least and the greatest value that statistics show, None where they show none."""
    statistics = column.statistics
    values = _shown(statistics) if statistics is not None else []
    if not values or statistics is None:
        return None
    if len(values) == 1 or (statistics.correlation is None and statistics.histogram_bounds is None):
        # values of a type without an order: any will do
        return (_cast(values[0], column),) * 2
    if not statistics.most_common_vals:
        return _cast(values[0], column), _cast(values[-1], column)
    listed = ", ".join(f"({quote_literal(value)})" for value in values)
    collate = f" COLLATE {column.collation}" if column.collation is not None else ""
    ordered = f"v::{column.type}{collate}"
    least, greatest = (
        f"(SELECT v::{column.type} FROM (VALUES {listed}) AS x (v) ORDER BY {ordered}{way} LIMIT 1)"
        for way in ("", " DESC")
    )
    return least, greatest


def zero(column: Column) -> str:
    """Return some value for a column that must have one and of which nothing is known."""
    kind = column.type
    if kind.endswith("[]"):
        return _cast("{}", column)
    for beginnings, text in _ZEROS:
        if kind.startswith(beginnings):
            return _cast(text, column)
    return f"(pg_catalog.enum_range(NULL::{kind}))[1]"


def rows(table: Table, refused: Collection[str] = ()) -> tuple[Mapping[str, str], Mapping[str, str]] | None:
    """Return both rows as expressions by column, None where statistics show no value at all.

    ``refused`` are columns whose values the server does not take.
    """
    least: dict[str, str] = {}
    greatest: dict[str, str] = {}
    known = False
    for column in table.columns:
        if column.generated:
            continue
        found = None if column.name in refused else ends(column)
        if found is None and column.not_null:
            found = (zero(column),) * 2
        elif found is not None:
            known = True
        if found is not None:
            least[column.name], greatest[column.name] = found
    return (least, greatest) if known else None


def insertion(table: Table, values: Collection[Mapping[str, str]]) -> str:
    """Return the statement that puts rows into the table itself."""
    names = list(dict.fromkeys(name for row in values for name in row))
    columns = ", ".join(map(quote_identifier, names))
    lists = " UNION ALL ".join("SELECT " + ", ".join(row.get(name, "NULL") for name in names) for row in values)
    return f"INSERT INTO {qualified(table.schema, table.name)} ({columns}) {lists}"


def _shown(statistics: Statistics) -> list[str]:
    """Return the most common values and the histogram's ends, the latter in order if they are alone."""
    bounds = elements(statistics.histogram_bounds)
    shown = [*elements(statistics.most_common_vals), *(bounds[:1] + bounds[-1:] if bounds else ())]
    return [value for value in shown if value is not None]


def _cast(value: str, column: Column) -> str:
    return f"{quote_literal(value)}::{column.type}"

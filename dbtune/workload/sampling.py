"""Values for the parameters of a captured statement that came without any, from the server's own statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from dbtune import sql
from dbtune.workload import lexer
from dbtune.workload.query import ParameterSet, Query

if TYPE_CHECKING:
    from sqlglot import exp

COMMON = "common"
RARE = "rare"

_LIMIT = "10"
_PREFIX = "parameter_"


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the statement names it; ``schema`` is empty where it leaves that to the search_path."""

    schema: str
    table: str
    column: str


@dataclass(frozen=True, slots=True)
class Samples:
    """Values of a column in text format: the most common one, and one that is rare; None where nothing is known."""

    common: str | None
    rare: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a parameter stands: compared with a column, or (``column`` None) a LIMIT or OFFSET.

    ``wraps`` makes a column's value into what is compared: a pattern's ``%``, braces of an array.
    """

    column: Column | None
    constant: str | None = None
    wraps: tuple[str, str] = ("", "")


def places(statement: str) -> dict[int, Place]:
    """Return the places of the parameters that can be given values, by number; those of others are left out."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(_named(statement), dialect="postgres")
    except SqlglotError:
        return {}
    found: dict[int, Place] = {}
    for parameter in tree.find_all(exp.Placeholder):
        if (place := _place(parameter)) is not None:
            found.setdefault(int(parameter.name.removeprefix(_PREFIX)), place)
    return found


def _named(statement: str) -> str:
    """Return the statement with ``:parameter_1`` for ``$1``: sqlglot takes ``$1,$`` for the beginning of a string."""
    pieces = lexer.tokens(statement)
    return "".join(f":{_PREFIX}{p.text[1:]}" if p.kind is lexer.Kind.PARAMETER else p.text for p in pieces)


def _place(parameter: exp.Placeholder) -> Place | None:
    from sqlglot import exp

    child: exp.Expr = parameter
    parent = parameter.parent
    while isinstance(parent, exp.Cast | exp.Paren | exp.Tuple):
        child, parent = parent, parent.parent
    if isinstance(parent, exp.Limit | exp.Fetch):
        return Place(None, _LIMIT)
    if isinstance(parent, exp.Offset):
        return Place(None, "0")
    wraps = ("", "")
    if isinstance(parent, exp.Any):  # column = ANY ($1)
        child, parent = parent, parent.parent
        wraps = ("{", "}")
    if isinstance(parent, exp.Like | exp.ILike):
        wraps = ("", "%")
    compared = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Like, exp.ILike, exp.Between)
    if not isinstance(parent, compared):
        return None
    other = parent.expression if parent.this is child else parent.this
    while isinstance(other, exp.Cast | exp.Paren | exp.Lower | exp.Upper):
        other = other.this
    column = _column(other) if isinstance(other, exp.Column) else None
    return None if column is None else Place(column, wraps=wraps)


def _column(column: exp.Column) -> Column | None:
    """Return the table's column, through its alias; None where several tables could have it."""
    from sqlglot import exp

    scope = column.find_ancestor(exp.Select, exp.Update, exp.Delete)
    if scope is None:
        return None
    tables = [t for t in scope.find_all(exp.Table) if t.find_ancestor(exp.Select, exp.Update, exp.Delete) is scope]
    named = [t for t in tables if t.alias_or_name == column.table] if column.table else tables
    if len(named) != 1:
        return None
    return Column(named[0].db, named[0].name, column.name)


def sampled(connection: Connection, query: Query) -> Query:
    """Return the query with parameter sets ``common`` and ``rare`` where it has none and every parameter is known.

    The values come from pg_stats, which tells only of tables that the role may read, and are marked as sampled.
    """
    count = lexer.parameter_count(query.statement)
    if query.sets or count == 0:
        return query
    known = places(query.statement)
    if set(known) != set(range(1, count + 1)):
        return query
    columns = {place.column for place in known.values() if place.column is not None}
    samples = column_samples(connection, sorted(columns, key=lambda c: (c.schema, c.table, c.column)))
    sets = []
    for name in (COMMON, RARE):
        values = [_value(known[n], samples, name) for n in range(1, count + 1)]
        if None not in values:
            sets.append(ParameterSet(name=name, values=tuple(values), provenance="sampled"))
    if len(sets) == 2 and sets[0].values == sets[1].values:
        sets.pop()
    return replace(query, sets=tuple(sets))


def _value(place: Place, samples: Mapping[Column, Samples], name: str) -> str | None:
    if place.column is None:
        return place.constant
    found = samples.get(place.column)
    value = None if found is None else found.common if name == COMMON else found.rare
    if value is None:
        return None
    before, after = place.wraps
    if before == "{":
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    elif after == "%":
        value = value[:3]
    return before + value + after


def column_samples(connection: Connection, columns: Sequence[Column]) -> dict[Column, Samples]:
    """Read a common and a rare value of each column from pg_stats; columns that it does not know are left out."""
    found: dict[Column, Samples] = {}
    statement = text(sql.load("column_samples"))
    for column in columns:
        name = ".".join(sql.quote_identifier(part) for part in (column.schema, column.table) if part)
        try:
            row = connection.execute(statement, {"table": name, "column": column.column}).one_or_none()
        except DBAPIError:
            row = None
        finally:
            connection.rollback()
        if row is not None:
            found[column] = Samples(common=row.common, rare=row.rare)
    return found

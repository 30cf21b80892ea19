"""Filling tables of the throw-away database with rows made from its schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg2

from dbtune.migration.name import quoted
from dbtune.migration.verify import rows, schema
from dbtune.migration.verify.cluster import Run
from dbtune.migration.verify.inventory import Thing
from dbtune.migration.verify.rows import NotFillable, Wish
from dbtune.migration.verify.schema import Rule, Schema, Table
from dbtune.migration.verify.values import value
from dbtune.server.connection import MARKER
from dbtune.sql import quote_literal

_PARENTS = 1000
_ENOUGH = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A table, its rows, how many were wanted, and why there are fewer; None where there are enough."""

    table: str
    rows: int
    wanted: int
    why: str | None


class NotFilled(Exception):
    """The server does not take a row, and why."""


def fill(run: Run, found: Schema, tables: Sequence[int], wanted: int, unique: Iterable[Thing] = ()) -> list[Filled]:
    """Put rows into ``tables``, so many each, and some into those that they refer to; return the former first.

    Partitions get theirs with the table that they are of. ``unique`` are indexes that the revision will make: rows
    suit them too.
    """
    told = []
    foremost = [oid for oid in tables if not set(found.tables[oid].parents) & set(tables)]
    filled: dict[int, int] = {}
    with _already(run, unique):
        for oid in found.needed(foremost):
            table = found.tables[oid]
            number = wanted if oid in foremost else min(wanted, _PARENTS)
            why = _fill(run, found, table, number, filled)
            ((filled[oid],),) = run(f"{MARKER} SELECT count(*) FROM {table.full_name}")
            run(f"{MARKER} ANALYZE {table.full_name}")
            short = filled[oid] < number * _ENOUGH
            told.append(Filled(table=table.full_name, rows=filled[oid], wanted=number, why=why if short else None))
    names = [found.tables[oid].full_name for oid in foremost]
    return sorted(told, key=lambda each: each.table not in names)


def _fill(run: Run, found: Schema, table: Table, number: int, filled: dict[int, int]) -> str | None:
    """Fill a table, or its partitions, and return what keeps it from having them all."""
    leaves = [leaf for leaf in found.leaves(table.oid) if leaf.kind == "r"]
    whys = []
    for place, leaf in enumerate(leaves):
        share = -(-number // len(leaves))
        why = _fill_one(run, found, leaf, share, place * share + 1, filled)
        whys += [why] if why else []
    return whys[0] if whys else None if leaves else "it has no partitions"


def _fill_one(run: Run, found: Schema, table: Table, number: int, first: int, filled: dict[int, int]) -> str | None:
    some = _constants(run, found, table, required=False)
    every = _constants(run, found, table, required=True)
    why: str | None = None
    best: tuple[int, str] | None = None
    for constants, sparse in ((some, False), (every, False), (some, True), (every, True)):
        wish = Wish(rows=number, first=first, constants=constants, sparse=sparse)
        try:
            statement = rows.insertion(found, table, filled, wish)
        except NotFillable as error:
            return str(error)
        try:
            run(f"{MARKER} BEGIN")
            run(statement)
            ((made,),) = run(f"{MARKER} SELECT count(*) FROM ONLY {table.full_name}")
            if made >= number * _ENOUGH:
                run(f"{MARKER} COMMIT")
                return None
            if best is None or made > best[0]:
                best = made, statement
        except psycopg2.Error as error:
            why = why or (error.diag.message_primary or str(error)).strip()
        run(f"{MARKER} ROLLBACK")
    if best is not None and best[0] > 0:
        run(best[1])
    return why or "no more rows fulfil its constraints"


def _constants(run: Run, found: Schema, table: Table, *, required: bool) -> dict[str, tuple[str, ...]]:
    """Return the constants of the conditions on each column that its type takes."""
    return {
        column.name: taken
        for column in table.columns
        if (texts := rows.constants_of(found, table, column, required=required))
        and (taken := tuple(_taken(run, rows.below(found, column).full_name, texts)))
    }


def _taken(run: Run, kind: str, texts: list[str]) -> Iterator[str]:
    for text in texts:
        with suppress(psycopg2.Error):
            run(f"{MARKER} SELECT {quote_literal(text)}::{kind}")
            yield text


@contextmanager
def _already(run: Run, unique: Iterable[Thing]) -> Iterator[None]:
    """Have the unique indexes there for the block, as far as the tables have their columns already."""
    made = []
    for index in unique:
        with suppress(psycopg2.Error):
            run(f"{MARKER} {index.definition}")
            made.append(index.full_name)
    try:
        yield
    finally:
        for name in made:
            run(f"{MARKER} DROP INDEX {name}")


def duplicate(run: Run, table: Thing, index: Thing) -> tuple[str, str]:
    """Put a row into the table whose keys of ``index`` another row has; return the table and the row's ctid.

    Columns that other unique indexes have besides get values of their own.

    :raises NotFilled: there is no such row that the table takes.
    """
    found = schema.read(run)
    target = found.tables[table.oid]
    wanted = _rule(run, target, index)
    keys = wanted.columns
    fresh: set[str] = set()
    for rule in target.of("u"):
        if fresh & set(rule.columns):
            continue
        other = [name for name in rule.columns if name not in keys]
        if not other:
            raise NotFilled(f"({', '.join(rule.columns)}) is unique already")
        fresh.add(other[0])
    ((count,),) = run(f"{MARKER} SELECT count(*) FROM {target.full_name}")
    values = {}
    for column in target.columns:
        if column.name not in fresh:
            values[column.name] = quoted(column.name)
        elif not column.made_by_server:
            made = value(found.kinds, column.type, column.typmod, str(count * 100), column.name)
            if made is None:
                raise NotFilled(f"no values are known for {column.name}")
            values[column.name] = made.sql
    taken = {column.name for column in target.columns if column.made_by_server and column.name not in keys}
    values = {name: sql for name, sql in values.items() if name not in taken}
    given = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in keys)
    condition = f" AND ({wanted.expression})" if wanted.expression else ""
    try:
        inserted = run(
            f"{MARKER} INSERT INTO {target.full_name} ({', '.join(map(quoted, values))})"
            f" SELECT {', '.join(values.values())} FROM {target.full_name} WHERE {given or 'true'}{condition} LIMIT 1"
            " RETURNING tableoid::pg_catalog.regclass::text, ctid::text"
        )
    except psycopg2.Error as error:
        raise NotFilled((error.diag.message_primary or str(error)).strip()) from None
    if not inserted:
        raise NotFilled("no row has its keys")
    return str(inserted[0][0]), str(inserted[0][1])


def _rule(run: Run, table: Table, index: Thing) -> Rule:
    """Return what a unique index asks for: it is made for a moment, and read."""
    run(f"{MARKER} BEGIN")
    try:
        run(f"{MARKER} {index.definition}")
        after = schema.read(run).tables[table.oid]
    except psycopg2.Error as error:
        raise NotFilled((error.diag.message_primary or str(error)).strip()) from None
    finally:
        run(f"{MARKER} ROLLBACK")
    return next(rule for rule in after.of("u") if after.of("u").count(rule) > table.of("u").count(rule))

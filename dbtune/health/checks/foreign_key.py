"""Foreign keys whose columns no index finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Migration, Severity, Sign
from dbtune.health.section import Section
from dbtune.health.support import helps, supports
from dbtune.health.values.foreign_key import ForeignKey
from dbtune.health.values.table import Table
from dbtune.migration.name import quoted


def judge(case: Case, limits: Limits) -> Iterator[Sign]:
    told: set[tuple[int, frozenset[int]]] = set()
    parts: dict[int, list[ForeignKey]] = {}
    for key in case.now.foreign_keys:
        if key.above is not None:
            parts.setdefault(key.above, []).append(key)
    for key in case.now.foreign_keys:
        table = case.tables.get(key.table_oid)
        if key.above is not None or table is None or table.of_extension or _is_supported(case, key, parts):
            continue
        rows = sum(max(leaf.reltuples, leaf.n_live_tup) for leaf in case.leaves(table))
        columns = (table.oid, frozenset(key.columns))
        if rows < limits["rows"] or columns in told:
            continue
        told.add(columns)
        yield _sign(case, key, table, rows)


def _sign(case: Case, key: ForeignKey, table: Table, rows: float) -> Sign:
    parent = case.tables.get(key.parent_oid)
    span = case.span(Section.TABLES)
    leaves = case.leaves(parent) if parent is not None else []
    deletes, updates = sum(leaf.n_tup_del for leaf in leaves), sum(leaf.n_tup_upd for leaf in leaves)
    ever = sum(case.now.tables[leaf.full_name].n_tup_del for leaf in leaves)
    size = sum(leaf.size_bytes for leaf in case.leaves(table))
    columns = ", ".join(map(quoted, key.column_names))
    gone = parent.full_name if parent is not None else "the other table"
    message = (
        f"when a row of {gone} goes, all of {table.full_name} is read for rows that refer to it by ({columns}): "
        f"{words.number(rows)} rows, {words.size(size)}; {words.rate(span, deletes, 'row')} went"
    )
    partly = next((i for i in case.indexes_by_table.get(table.oid, []) if helps(i, key)), None)
    doubts = [f"{partly.full_name} finds them by a part of the columns"] if partly is not None else []
    if not ever:
        doubts.append(f"no row of {gone} was ever deleted while counting; changes of its key are not counted apart")
    return Sign(
        object=f"{table.full_name}.{quoted(key.name)}",
        severity=Severity.WARNING if ever and partly is None else Severity.INFO,
        message=message,
        action="make an index on the columns; joins along the key may want it too",
        remedy=Migration(statement=f"CREATE INDEX ON {table.full_name} ({columns})", asks_server=table.kind == "p"),
        doubts=tuple(doubts),
        evidence={
            "table": table.full_name,
            "columns": list(key.column_names),
            "parent": gone,
            "rows": round(rows),
            "parent_deletes": deletes,
            "parent_updates": updates,
            "parent_deletes_per_second": round(span.per_second(deletes), 4) if span.seconds else None,
        },
        size_bytes=size,
        weight=(deletes + 0.01 * updates + 0.0001) * size,
        comment=key.comment,
    )


def _is_supported(case: Case, key: ForeignKey, parts: Mapping[int, list[ForeignKey]]) -> bool:
    """Return whether the table has an index for the key, or each of its partitions has one of its own."""
    if any(supports(index, key) for index in case.indexes_by_table.get(key.table_oid, [])):
        return True
    # a key that refers to a partitioned table has parts too, of the same table
    below = [part for part in parts.get(key.oid, []) if part.table_oid != key.table_oid]
    return bool(below) and all(_is_supported(case, part, parts) for part in below)


CHECKS = (
    Check(
        id="unindexed-foreign-key",
        title="Foreign key without an index",
        group=Group.INDEXES,
        reads=("pg_constraint, pg_index", "pg_stat_user_tables.n_tup_del, n_tup_upd of the table that is referred to"),
        trigger="the table has `rows` rows or more, and no valid index begins with the foreign key's columns; partial "
        "ones count only where they leave out nothing but NULLs of these columns, and expressions never",
        severity="warning if rows of the other table were deleted; info if not, or if an index has some of the columns",
        why="For each row that goes from the other table, or changes its key, the server looks for rows that refer to "
        "it. Without an index it reads the whole table, once for each such row, and holds a lock meanwhile.",
        next_step="Make the index by a revision: it holds up no write.",
        resolved="a valid index begins with the columns, or the constraint is gone",
        needs=frozenset({Section.FOREIGN_KEYS, Section.TABLES, Section.INDEXES}),
        judge=judge,
        limits=(Limit("rows", 1_000, Unit.COUNT, "make a table worth an index"),),
    ),
)

"""Tables with their columns, constraints, indexes, statistics, sizes and counters, as the catalogs have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dbtune.snapshot import statistics
from dbtune.snapshot.session import Changed, Row, Session
from dbtune.snapshot.value import Column, Constraint, Counters, ExistingIndex, Statistics, Table, Unseen

MARKER = "made by dbtune to ask what if; it may be dropped at any time"


@dataclass(frozen=True, slots=True)
class Found:
    """Tables by OID, in order of name, and what of them could not be read."""

    by_oid: Mapping[int, Table]
    unseen: tuple[Unseen, ...]


def read(session: Session, since: datetime | None, *, may_read_statistics: bool) -> Found:
    """Read all tables of the database's own. ``since`` is the statistics' reset."""
    rows = session.rows("snapshot_tables")
    oids = [row["oid"] for row in rows]
    indexes = session.rows("snapshot_indexes", oids=oids, marker=MARKER)
    sizes = session.rows_if_allowed("snapshot_sizes", oids=[*oids, *(row["indexrelid"] for row in indexes)])
    pages = None if sizes is None else {row["oid"]: row["pages"] for row in sizes}
    of_columns = statistics.of_columns(session, oids, may_read_statistics=may_read_statistics)
    held = of_columns.by_column
    extended = statistics.extended(
        session,
        oids,
        hidden=[row["oid"] for row in rows if row["rls_active"]],
        parents=[row["oid"] for row in rows if row["kind"] == "p"],
        may_read_statistics=may_read_statistics,
    )
    columns = _grouped(session.rows("snapshot_columns", oids=oids), "attrelid")
    constraints = _grouped(session.rows("snapshot_constraints", oids=oids), "conrelid")
    counters = {row["relid"]: row for row in session.rows("snapshot_counters", oids=oids)}
    by_table = _grouped(indexes, "indrelid")
    found: dict[int, Table] = {}
    for row in rows:
        oid = row["oid"]
        found[oid] = Table(
            schema=row["schema"],
            name=row["name"],
            kind=row["kind"],
            persistence=row["persistence"],
            columns=tuple(_column(row, each, held) for each in columns.get(oid, ())),
            pages=_pages(pages, row),
            relpages=row["relpages"],
            reltuples=row["reltuples"],
            relallvisible=row["relallvisible"],
            options=tuple(row["options"]),
            inherits=tuple((schema, name) for schema, name in row["inherits"]),
            partition_key=row["partition_key"],
            partition_bound=row["partition_bound"],
            row_security=row["row_security"],
            definition=row["definition"],
            constraints=tuple(_constraint(each) for each in constraints.get(oid, ())),
            indexes=tuple(_index(each, pages, held) for each in by_table.get(oid, ())),
            statistics=tuple(extended.by_table.get(oid, ())),
            counters=_counters(counters.get(oid), since),
        )
    unseen = [
        *_hidden_columns(rows, columns),
        *_hidden_expressions(indexes),
        *_hidden_extended(found, extended.hidden),
        *_row_security(rows),
        *(
            Unseen(what=f"statistics of {schema}.{table}.{column}", why="some are of an extension's own kind")
            for schema, table, column, _ in of_columns.foreign
        ),
    ]
    if pages is None:
        unseen.append(
            Unseen(what="sizes of files", why="pg_relation_size is not allowed to the role; relpages instead")
        )
    return Found(found, tuple(unseen))


def _grouped(rows: Sequence[Row], key: str) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found


def _pages(pages: Mapping[int, int | None] | None, row: Row, key: str = "oid") -> int:
    """Return the pages of the file, those that ANALYZE saw where the file cannot be looked at."""
    if pages is None:
        return int(row["relpages"])
    found = pages.get(row[key], 0)
    if found is None:
        raise Changed(f"{row['schema']}.{row['name']} was dropped")
    return found


def _column(table: Row, row: Row, held: Mapping[statistics.Column, Statistics]) -> Column:
    key = (table["schema"], table["name"], row["name"])
    return Column(
        name=row["name"],
        number=row["number"],
        type=row["type"],
        length=row["length"],
        align=row["align"],
        by_value=row["by_value"],
        storage=row["storage"],
        collation=row["collation"],
        not_null=row["not_null"],
        generated=row["generated"],
        default=row["default"],
        statistics=held.get((*key, False)),
        inherited=held.get((*key, True)),
        hidden=table["rls_active"] or not row["readable"],
    )


def _constraint(row: Row) -> Constraint:
    if row["definition"] is None:
        raise Changed(f"constraint {row['name']} was dropped")
    return Constraint(
        name=row["name"],
        kind=row["kind"],
        definition=row["definition"],
        columns=tuple(row["columns"]),
        references=(row["foreign_schema"], row["foreign_table"]) if row["foreign_table"] is not None else None,
        referenced_columns=tuple(row["referenced_columns"]),
        validated=row["validated"],
        inherited=row["inherited"],
    )


def _index(
    row: Row, pages: Mapping[int, int | None] | None, held: Mapping[statistics.Column, Statistics]
) -> ExistingIndex:
    if row["definition"] is None:
        raise Changed(f"index {row['name']} was dropped")
    keys = row["keys"]
    of_expressions = {
        at: held[row["schema"], row["name"], name, False]
        for at, (name, column) in enumerate(zip(row["own_names"], row["names"], strict=True), start=1)
        if column is None and (row["schema"], row["name"], name, False) in held
    }
    return ExistingIndex(
        schema=row["schema"],
        name=row["name"],
        definition=row["definition"],
        method=row["method"],
        keys=tuple(row["pieces"][:keys]),
        key_columns=tuple(row["names"][:keys]),
        include=tuple(row["names"][keys:]),
        opclasses=tuple(row["opclasses"]),
        options=tuple(row["options"]),
        predicate=row["predicate"],
        pages=_pages(pages, row, "indexrelid"),
        reltuples=row["reltuples"],
        is_unique=row["is_unique"],
        is_primary=row["is_primary"],
        is_valid=row["is_valid"],
        is_replica_identity=row["is_replica_identity"],
        constraint=row["constraint"],
        constraint_name=row["constraint_name"],
        parent=(row["parent_schema"], row["parent_name"]) if row["parent_name"] is not None else None,
        idx_scan=row["idx_scan"] or 0,
        last_idx_scan=_utc(row["last_idx_scan"]),
        statistics=of_expressions,
    )


def _counters(row: Row | None, since: datetime | None) -> Counters:
    if row is None:
        return Counters(since=_utc(since))
    counts: dict[str, Any] = {name: value for name, value in row.items() if name not in ("relid", "last_analyze")}
    return Counters(**counts, last_analyze=_utc(row["last_analyze"]), since=_utc(since))


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)


def _hidden_columns(tables: Sequence[Row], columns: Mapping[int, Sequence[Row]]) -> Iterator[Unseen]:
    for table in tables:
        every = columns.get(table["oid"], ())
        hidden = [row["name"] for row in every if not row["readable"]]
        what = f"statistics of {table['schema']}.{table['name']}"
        if table["rls_active"] and every:
            yield Unseen(what=what, why="row security hides them from the role; its owner or BYPASSRLS sees them")
        elif hidden and len(hidden) == len(every):
            yield Unseen(what=what, why="the role may not SELECT from it; grant that, or pg_read_all_data")
        elif hidden:
            yield Unseen(what=f"{what}: {', '.join(hidden)}", why="the role may not SELECT these columns")


def _hidden_expressions(indexes: Sequence[Row]) -> Iterator[Unseen]:
    for row in indexes:
        if row["unreadable"]:
            yield Unseen(
                what=f"statistics of the expressions of index {row['schema']}.{row['name']}",
                why="only its owner and pg_read_all_data see them",
            )


def _hidden_extended(tables: Mapping[int, Table], hidden: Sequence[tuple[int, str, str]]) -> Iterator[Unseen]:
    for _, name, what in hidden:
        if what == "mcv":
            yield Unseen(
                what=f"most common values of the extended statistics {name}",
                why="their bytes are in pg_statistic_ext_data, which superusers and pg_read_all_data may read",
            )
        else:
            yield Unseen(
                what=f"data of the extended statistics {name}",
                why="the role may not see them; superusers, pg_read_all_data and owners do, but for row security",
            )


def _row_security(tables: Sequence[Row]) -> Iterator[Unseen]:
    for row in tables:
        if row["row_security"]:
            yield Unseen(
                what=f"row security policies of {row['schema']}.{row['name']}",
                why="a snapshot does not keep them; they change plans of the roles that they apply to",
            )

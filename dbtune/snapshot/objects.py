"""What tables, views and queries need beside tables: types, functions, operators, views and so on, as statements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dbtune.snapshot.order import Node, Rank, needing, ordered
from dbtune.snapshot.session import Changed, Row, Session
from dbtune.snapshot.tables import Found
from dbtune.snapshot.value import SchemaObject, Table, Unseen

_STATEMENTS = (
    "snapshot_schemas",
    "snapshot_extensions",
    "snapshot_collations",
    "snapshot_types",
    "snapshot_sequences",
    "snapshot_functions",
    "snapshot_aggregates",
    "snapshot_operators",
    "snapshot_operator_families",
    "snapshot_operator_classes",
    "snapshot_operator_members",
    "snapshot_casts",
    "snapshot_text_search",
    "snapshot_servers",
)
_BATCH = 200
"""Views whose queries are read by one statement: it holds ACCESS SHARE on all that they read until it ends."""

_PG_CLASS = 1259
"""OID of pg_class (pg_class.dat)."""

_TABLE = len(_STATEMENTS)
_VIEW = _TABLE + 1
"""Ranks: tables come after all else that does not need them, and views last."""


@dataclass(frozen=True, slots=True)
class Made:
    """Tables in an order in which they can be made, what comes before them, and what after."""

    objects: tuple[SchemaObject, ...]
    tables: tuple[Table, ...]
    late_objects: tuple[SchemaObject, ...]
    unseen: tuple[Unseen, ...]


def read(session: Session, found: Found) -> Made:
    """Read the objects of the database's own, and bring them and the tables into order."""
    made: dict[Node, SchemaObject] = {}
    ranks: dict[Node, Rank] = {}
    needs: list[tuple[Node, Node]] = []
    unseen: list[Unseen] = []
    for rank, statement in enumerate(_STATEMENTS):
        for row in session.rows(statement):
            node = (row["classid"], row["objid"])
            unseen += _about_type(row)
            if row["definition"] is None:
                continue
            if node in made:  # a further statement about the same object
                needs.append(((-rank, len(made)), node))
                node = (-rank, len(made))
            made[node] = _object(row)
            ranks[node] = (rank, row["kind"], row["schema"] or "", row["name"])
    views = session.rows("snapshot_views")
    queries = _queries(
        session, [*(row["objid"] for row in views), *(o for o, t in found.by_oid.items() if t.kind == "m")]
    )
    for row in views:
        node = (row["classid"], row["objid"])
        made[node] = SchemaObject(
            kind="view", schema=row["schema"], name=row["name"], definition=f"{row['head']}\n{queries[row['objid']]}"
        )
        ranks[node] = (_VIEW, "view", row["schema"], row["name"])
    tables = {
        (_PG_CLASS, oid): replace(table, definition=queries[oid]) if table.kind == "m" else table
        for oid, table in found.by_oid.items()
    }
    ranks |= {node: (_TABLE, "", table.schema, table.name) for node, table in tables.items()}
    needs += [
        ((row["classid"], row["objid"]), (row["refclassid"], row["refobjid"]))
        for row in session.rows("snapshot_dependencies")
    ]
    order = ordered(ranks, needs)
    over_tables = {node for node, rank in ranks.items() if rank[0] == _VIEW}
    late = over_tables | needing({*tables, *over_tables}, needs)
    return Made(
        objects=tuple(made[node] for node in order if node in made and node not in late),
        tables=tuple(tables[node] for node in order if node in tables),
        late_objects=tuple(made[node] for node in order if node in made and node in late),
        unseen=(*unseen, *_of_extensions(session)),
    )


def _object(row: Row) -> SchemaObject:
    return SchemaObject(kind=row["kind"], schema=row["schema"], name=row["name"], definition=row["definition"])


def _queries(session: Session, oids: Sequence[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for start in range(0, len(oids), _BATCH):
        for row in session.rows("snapshot_view_queries", oids=list(oids[start : start + _BATCH])):
            if row["query"] is None:
                raise Changed("a view was dropped")
            found[row["oid"]] = row["query"].strip().removesuffix(";")
    if missing := set(oids) - set(found):
        raise Changed(f"the view of OID {min(missing)} was dropped")
    return found


def _about_type(row: Row) -> Iterator[Unseen]:
    if row["definition"] is None:
        yield Unseen(what=f"{row['kind']} {row['schema']}.{row['name']}", why="it takes a library to make it")
    elif row.get("is_canonical"):
        yield Unseen(
            what=f"canonical function of range type {row['schema']}.{row['name']}",
            why="function and type need each other; a rebuilt type has none",
        )


def _of_extensions(session: Session) -> Iterator[Unseen]:
    for row in session.rows("snapshot_extension_tables"):
        yield Unseen(
            what=f"tables of extension {row['extension']}: {', '.join(row['tables'])}",
            why="CREATE EXTENSION makes them; their rows and statistics are not kept",
        )

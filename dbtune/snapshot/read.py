"""Reading a database as its planner knows it: one read-only pass over the catalogs (``dbtune/sql/snapshot_*.sql``)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from sqlalchemy import Connection

from dbtune.errors import GaveUp, ServerError
from dbtune.snapshot import objects, tables
from dbtune.snapshot.session import Changed, Row, Session, opened
from dbtune.snapshot.value import BLOCK, Snapshot, Unseen

_ATTEMPTS = 3
_PLANNERS = frozenset({"citus", "pg_hint_plan", "pg_plan_advice", "pg_plan_guarantee", "timescaledb", "pg_pathman"})
"""Libraries that change what the planner does."""


def read(connection: Connection) -> Snapshot:
    """Return the connection's database as a value; nothing is written, and no lock beyond ACCESS SHARE taken.

    What the connection had begun is rolled back. What the role may not see is told in ``unseen``.

    :raises GaveUp: a table stays locked by somebody who alters it, or the schema changes all the time.
    :raises ServerError: the server's pages are not of 8 kB.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with opened(connection) as session:
                return _read(session)
        except Changed as change:
            if attempt == _ATTEMPTS:
                raise GaveUp(
                    f"the schema changed while it was read, {_ATTEMPTS} times ({change}); try again later"
                ) from None
    raise AssertionError("unreachable")


def _read(session: Session) -> Snapshot:
    settings = {row["name"]: row["value"] for row in session.rows("snapshot_settings")}
    search_path = settings.pop("search_path")
    session.print_alike()
    (database,) = session.rows("snapshot_database")
    if database["block_size"] != BLOCK:
        raise ServerError(f"the server's pages have {database['block_size']} bytes; dbtune reckons with {BLOCK}")
    unseen = [*_about_settings(session, database["role"]), *_about_server(database)]
    found = tables.read(session, database["since"], may_read_statistics=database["may_read_statistics"])
    made = objects.read(session, found)
    return Snapshot(
        server_version_num=database["server_version_num"],
        server_version=database["server_version"],
        database=database["database"],
        taken_at=database["taken_at"].astimezone(UTC),
        encoding=database["encoding"],
        collate=database["collate"],
        ctype=database["ctype"],
        locale_provider=database["locale_provider"],
        locale=database["locale"],
        search_path=search_path,
        settings=settings,
        objects=made.objects,
        tables=made.tables,
        late_objects=made.late_objects,
        unseen=(*unseen, *found.unseen, *made.unseen),
    )


def _about_settings(session: Session, role: str) -> Iterator[Unseen]:
    for row in session.rows("snapshot_role_settings"):
        yield Unseen(
            what=f"settings of role {row['role']}",
            why=f"{', '.join(row['names'])} set for it; the snapshot has those of {role}, who took it",
        )
    for row in session.rows("snapshot_tablespaces"):
        yield Unseen(
            what=f"settings of tablespace {row['name']}",
            why=f"a snapshot does not keep {', '.join(row['options'])}: its tables are planned with the others' costs",
        )
    ((libraries,),) = ((row["libraries"],) for row in session.rows("snapshot_libraries"))
    names = {name.strip().rpartition("/")[2] for name in (libraries or "").split(",")}
    for name in sorted(names & _PLANNERS):
        yield Unseen(what=f"what {name} does to plans", why="the library is loaded there and changes the planner")


def _about_server(database: Row) -> Iterator[Unseen]:
    if database["icu_rules"] is not None:
        yield Unseen(what="rules of the database's collation", why="a snapshot does not keep ICU rules")
    if database["standby"]:
        yield Unseen(what="write counters", why="this is a standby: it counts its own reads, and no writes")
    elif not database["track_counts"]:
        yield Unseen(what="counters of tables and indexes", why="track_counts is off")

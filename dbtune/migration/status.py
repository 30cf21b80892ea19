"""What is going on in a database: index builds, what failed ones left, what revisions made. It only reads."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, text

from dbtune import sql
from dbtune.migration.block import MARK
from dbtune.migration.name import qualified
from dbtune.server.connection import MARKER

_EXCERPT = 80
_ASIDE = "dbtune_drop_"


@dataclass(frozen=True, slots=True)
class Waiting:
    """The session that a build waits for; ``pid`` None: a prepared transaction, one of ``prepared``, or nobody yet."""

    pid: int | None
    state: str | None = None
    user: str | None = None
    application: str | None = None
    open_seconds: float | None = None
    query: str | None = None
    prepared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Build:
    """A build that runs now; without the right to see it, all but ``pid`` is None."""

    pid: int
    table: str | None = None
    index: str | None = None
    command: str | None = None
    phase: str | None = None
    percent: float | None = None
    seconds: float | None = None
    waiting: Waiting | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """An index that is not valid, or was set aside to be dropped, and that nobody works on."""

    index: str
    table: str
    ours: bool
    sound: bool
    costs: tuple[str, ...]
    mend: str


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A partitioned index that is not valid, and the partitions that have none attached to it."""

    index: str
    table: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A valid index that bears our mark."""

    index: str
    table: str
    revision: str | None


@dataclass(frozen=True, slots=True)
class Version:
    """A version table and the revisions in it; None where it may not be read."""

    table: str
    revisions: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Status:
    """All of it."""

    builds: tuple[Build, ...]
    broken: tuple[Broken, ...]
    partitioned: tuple[Partitioned, ...]
    made: tuple[Made, ...]
    versions: tuple[Version, ...]

    @property
    def has_invalid(self) -> bool:
        """Return whether there is an INVALID index that nobody works on."""
        return any(not each.sound for each in self.broken)


def read(connection: Connection) -> Status:
    """Return what is going on in the database of ``connection``."""
    builds = tuple(_build(row) for row in _rows(connection, "migration_builds"))
    rows = _rows(connection, "migration_invalid")
    broken = tuple(_broken(row) for row in rows if not row["partitioned"] and not row["busy"] and _is_broken(row))
    partitioned = tuple(
        Partitioned(_index(row), _table(row), tuple(row["missing"]))
        for row in rows
        if row["partitioned"] and not row["sound"]
    )
    made = tuple(
        Made(_index(row), _table(row), _revision(row["comment"])) for row in rows if row["sound"] and _is_ours(row)
    )
    versions = tuple(_version(connection, row) for row in _rows(connection, "migration_versions"))
    return Status(builds, broken, partitioned, made, versions)


def _rows(connection: Connection, name: str) -> list[RowMapping]:
    return list(connection.execute(text(f"{MARKER}\n{sql.load(name)}")).mappings())


def _build(row: RowMapping) -> Build:
    if not row["shown"]:
        return Build(row["pid"])
    waits = row["phase"].startswith("waiting")
    return Build(
        row["pid"],
        qualified(row["table_schema"], row["table_name"]) if row["table_name"] is not None else None,
        qualified(row["index_schema"], row["index_name"]) if row["index_name"] is not None else None,
        row["command"],
        row["phase"],
        None if waits else _percent(row),
        row["seconds"],
        _waiting(row) if waits else None,
    )


def _percent(row: RowMapping) -> float | None:
    unit = "blocks" if "scanning" in row["phase"] else "tuples"
    total, done = row[f"{unit}_total"], row[f"{unit}_done"]
    return round(100 * min(1, done / total), 1) if total else None


def _waiting(row: RowMapping) -> Waiting:
    pid = row["current_locker_pid"]
    if pid in (None, 0, row["pid"]):
        is_held = (row["lockers_total"] or 0) > (row["lockers_done"] or 0)
        return Waiting(None, prepared=tuple(row["prepared"]) if is_held else ())
    query = row["query"]
    if query is not None:
        query = " ".join(query.split())
        query = "(a statement with a password)" if "password" in query.lower() else query[:_EXCERPT]
    return Waiting(pid, row["state"], row["usename"], row["application_name"], row["open_seconds"], query)


def _is_broken(row: RowMapping) -> bool:
    return not row["sound"] or row["name"].startswith(_ASIDE)


def _is_ours(row: RowMapping) -> bool:
    return (row["comment"] or "").startswith(f"{MARK} ")


def _broken(row: RowMapping) -> Broken:
    costs = ["every write maintains it"] if row["ready"] else []
    if row["ready"] and row["is_unique"]:
        costs.append("rejects duplicate writes")
    aside = row["name"].startswith(_ASIDE)
    ours = _is_ours(row) or aside
    return Broken(_index(row), _table(row), ours, row["sound"], tuple(costs), _mend(row, ours))


def _mend(row: RowMapping, ours: bool) -> str:
    """Return the command that mends it. What duplicates may have stopped, or a drop left, is dropped."""
    if row["name"].startswith(_ASIDE):
        return "run the upgrade or downgrade again"
    if ours:
        return "run the upgrade again"
    leftover = re.search(r"_cc(new|old)[0-9]*$", row["name"]) is not None
    drop = leftover or not row["live"] or (row["is_unique"] and not row["needed"])
    return f"{'DROP' if drop else 'REINDEX'} INDEX CONCURRENTLY {_index(row)};"


def _index(row: RowMapping) -> str:
    return qualified(row["schema"], row["name"])


def _table(row: RowMapping) -> str:
    return qualified(row["table_schema"], row["table_name"])


def _revision(comment: str) -> str | None:
    words = comment.split()
    return words[1] if len(words) > 2 else None


def _version(connection: Connection, row: RowMapping) -> Version:
    table = qualified(row["schema"], "alembic_version")
    if not row["readable"]:
        return Version(table, None)
    found = connection.exec_driver_sql(
        f"{MARKER} SELECT version_num FROM {table} ORDER BY 1", execution_options={"no_parameters": True}
    )
    return Version(table, tuple(found.scalars()))

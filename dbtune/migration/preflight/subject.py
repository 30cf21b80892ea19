"""What a piece of work meets in the catalogs: its table, and what bears the index's name, in one of five states."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from dbtune import sql
from dbtune.errors import DbtuneError
from dbtune.migration import catalog
from dbtune.migration.block import MARK
from dbtune.migration.definition import Definition
from dbtune.migration.name import qualified
from dbtune.migration.preflight.work import Does, Work, named
from dbtune.migration.statement import Relation, parse_definition
from dbtune.server.connection import MARKER


class State(StrEnum):
    """What there is of the index."""

    ABSENT = "absent"
    SAME = "same"
    """It is there, valid, ready and live, with the wanted definition; for a constraint, it is there."""

    RUNNING = "running"
    """Somebody builds it now."""

    INVALID = "invalid"
    """A leftover of a build of it, or a partitioned index that some partitions lack."""

    FOREIGN = "foreign"
    """Something else: another definition, table or kind of thing, or a constraint's index."""

    UNKNOWN = "unknown"
    """It differs as it is written, and the server could not be asked whether it is the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One row of dbtune/sql/migration_preflight_table.sql; ``rows`` is -1 where nobody counted."""

    oid: int
    schema: str
    name: str
    kind: str
    persistence: str
    rows: float
    owner: str
    is_owner: bool
    may_use: bool
    may_create: bool
    may_select: bool
    freeze_share: float | None

    @property
    def full_name(self) -> str:
        """It, as SQL with its schema."""
        return qualified(self.schema, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """One row of dbtune/sql/migration_preflight_index.sql."""

    oid: int
    schema: str
    kind: str
    table_oid: int | None
    table_schema: str | None
    table_name: str | None
    owner: str | None
    is_owner: bool | None
    is_sound: bool | None
    definition: str | None
    comment: str | None
    needed_by: str | None
    builder: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a piece of work meets. ``table`` is None where there is none of that name.

    ``index`` is the index's name as SQL, None where the statement names none. ``definition`` is what is wanted, on the
    table as it is called there. ``missing`` are the partitions without it that a build would give theirs, of as many as
    ``members``; ``foreign`` is one that is a foreign table. ``tablespace`` is where it is to be, None for the
    database's own; ``tablespace_right`` whether the role may use it, None where there is none of that name.
    """

    work: Work
    table: Table | None
    index: str | None
    state: State
    existing: Existing | None = None
    definition: Definition | None = None
    members: int = 0
    missing: tuple[Table, ...] = ()
    foreign: str | None = None
    tablespace: str | None = None
    tablespace_right: bool | None = None

    @property
    def builds_on(self) -> tuple[Table, ...]:
        """The tables whose rows are read for an index that is still to be built."""
        if self.work.does is not Does.CREATE or self.state not in (State.ABSENT, State.INVALID) or self.table is None:
            return ()
        return self.missing if self.table.kind == "p" else (self.table,)


def look(connection: Connection, work: Work, default_tablespace: str) -> Subject:
    """Return what a piece of work meets. ``connection`` is in no transaction, and in none afterwards.

    Where something bears the index's name and reads unlike it, the wanted index is made on an empty temporary table in
    a transaction that is rolled back, so that the server says whether they are the same.
    """
    existing = None
    table = _table(connection, work.table.schema, work.table.name) if work.table is not None else None
    index = None
    if work.index is not None:
        schema = table.schema if table is not None else work.index.schema
        existing = _existing(connection, schema, work.index.name)
        schema = existing.schema if existing is not None else schema
        index = named(Relation(schema, work.index.name))
    if work.does is Does.DROP and existing is not None and existing.table_name is not None:
        table = _table(connection, existing.table_schema, existing.table_name)
    if table is None:
        state = State.FOREIGN if existing is not None and existing.table_oid is None else State.ABSENT
        return Subject(work=work, table=None, index=index, state=state, existing=existing, definition=work.definition)
    definition = work.definition
    if definition is not None:
        here = definition.index.table if work.does is Does.DROP else table.name
        definition = definition.on(table.schema, here, definition.name)
    found = Subject(
        work=work,
        table=table,
        index=index,
        state=State.ABSENT if existing is None else _state(connection, work, table, existing, definition),
        existing=existing,
        definition=definition,
    )
    if work.does is not Does.CREATE:
        return found
    tablespace = (definition.tablespace if definition is not None else None) or default_tablespace or None
    right = _may_use(connection, tablespace) if tablespace is not None else None
    found = replace(found, tablespace=tablespace, tablespace_right=right)
    return _with_partitions(connection, found) if table.kind == "p" and table.may_use else found


def _state(connection: Connection, work: Work, table: Table, existing: Existing, wanted: Definition | None) -> State:
    if existing.table_oid != table.oid or existing.definition is None:
        return State.FOREIGN
    if existing.builder is not None and not existing.is_sound:
        return State.RUNNING
    its_own = work.index is not None and existing.needed_by == f"constraint {work.index.name}"
    if work.does is Does.CONSTRAINT and existing.needed_by is not None:
        return State.SAME if its_own else State.FOREIGN
    if existing.needed_by is not None and not (work.constraint and its_own):
        return State.FOREIGN
    if wanted is None:
        return State.SAME if existing.is_sound else State.INVALID
    same = _is_same(connection, existing.definition, wanted)
    is_marked = (existing.comment or "").startswith(f"{MARK} ") and (existing.comment or "").endswith(wanted.digest)
    if existing.is_sound:
        return State.UNKNOWN if same is None else State.SAME if same else State.FOREIGN
    return State.INVALID if same or is_marked else State.UNKNOWN if same is None else State.FOREIGN


def _is_same(connection: Connection, there: str, wanted: Definition) -> bool | None:
    """Return whether they are one index, None where the server would have to be asked and cannot."""
    with suppress(DbtuneError):
        found = _comparable(parse_definition(there))
        if found == _comparable(wanted):
            return True
        with _writable(connection):
            settled = catalog.settle(connection, wanted, Relation(wanted.schema, wanted.index.table))
        return found == _comparable(settled.definition)
    return None


@contextmanager
def _writable(connection: Connection) -> Iterator[None]:
    """Let transactions of the block write, as one does that makes a temporary table."""
    connection.rollback()
    _default(connection, "off")
    try:
        yield
    finally:
        connection.rollback()
        _default(connection, "on")


def _default(connection: Connection, read_only: str) -> None:
    connection.exec_driver_sql(f"{MARKER} SET default_transaction_read_only = {read_only}")
    connection.commit()


def _comparable(definition: Definition) -> Definition:
    return replace(definition.named("it"), tablespace=None)


def _with_partitions(connection: Connection, subject: Subject) -> Subject:
    """Add the partitions; the parent's index is whole where each of them has its own."""
    assert subject.table is not None
    name = subject.table.full_name
    rows = _rows(connection, "migration_partitions", name=name)
    lacking = {
        (row[0], row[1]): row[4]
        for row in connection.execute(_statement("migration_unindexed"), {"table": name, "index": subject.index or ""})
    }
    tables = [_table(connection, *each) for each, has_partitions in lacking.items() if not has_partitions]
    connection.rollback()
    state = subject.state
    if subject.existing is not None and state is State.INVALID and not subject.existing.is_sound and not lacking:
        state = State.SAME
    return replace(
        subject,
        state=state,
        members=sum(row["kind"] != "p" for row in rows),
        missing=tuple(each for each in tables if each is not None and each.kind != "f"),
        foreign=next((qualified(row["schema"], row["name"]) for row in rows if row["kind"] == "f"), None),
    )


def _may_use(connection: Connection, tablespace: str) -> bool | None:
    """Return whether the role may put something there; None where there is no such tablespace, or none is needed."""
    found = connection.scalar(
        text(
            f"{MARKER} SELECT t.oid = d.dattablespace OR pg_catalog.has_tablespace_privilege(t.oid, 'CREATE')"
            " FROM pg_catalog.pg_tablespace AS t, pg_catalog.pg_database AS d"
            " WHERE t.spcname = :name AND d.datname = pg_catalog.current_database()"
        ),
        {"name": tablespace},
    )
    connection.rollback()
    return None if found is None else bool(found)


def _table(connection: Connection, schema: str | None, name: str) -> Table | None:
    rows = _rows(connection, "migration_preflight_table", schema=schema, name=name)
    connection.rollback()
    return Table(**rows[0]) if rows else None


def _existing(connection: Connection, schema: str | None, name: str) -> Existing | None:
    rows = _rows(connection, "migration_preflight_index", schema=schema, name=name)
    connection.rollback()
    return Existing(**rows[0]) if rows else None


def _rows(connection: Connection, statement: str, **given: Any) -> list[RowMapping]:
    return list(connection.execute(_statement(statement), given).mappings())


def _statement(name: str) -> Any:
    return text(f"{MARKER}\n{sql.load(name)}")

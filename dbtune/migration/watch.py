"""Watching an upgrade from a second session, which keeps no snapshot that a build would have to wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, TextClause, text

from dbtune import sql
from dbtune.migration.duration import spoken
from dbtune.server.connection import MARKER

PREPARED = 0
"""What pg_blocking_pids() says of a prepared transaction."""

_EXCERPT = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How far a phase is: ``done`` of ``total``, in ``unit``, which is bytes or tuples."""

    done: int
    total: int
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What an upgrade does now. ``count`` is None where nobody counts; ``waits_for`` names who is ahead.

    ``relation`` and ``index`` are names as SQL, ``oid`` the index's. ``phase`` is that of a build. ``statement`` is the
    beginning of what runs, None for a block of ours.
    """

    pid: int | None
    relation: str | None = None
    index: str | None = None
    oid: int | None = None
    phase: str | None = None
    count: Count | None = None
    statement: str | None = None
    waits_for: tuple[str, ...] = ()
    blockers: tuple[int, ...] = ()


def look(connection: Connection, pids: Sequence[int]) -> Activity | None:
    """Return what the sessions do, None where they are gone. ``connection`` is in autocommit."""
    rows = connection.execute(_statement("migration_watch"), {"pids": list(pids)}).mappings().all()
    if not rows:
        return None
    row = rows[0]
    blockers = sorted({pid for each in rows for pid in each["blockers"] if pid != each["pid"]})
    waits_for = named(connection, blockers)
    if not waits_for and row["polls"]:
        waits_for = ("another build on the table, or a lock of another deployer",)
    return Activity(
        pid=row["pid"],
        relation=row["relation"],
        index=row["index"],
        oid=row["index_relid"] or None,
        phase=row["phase"],
        count=_count(row),
        statement=None if row["query"] is None or row["query"].startswith("DO ") else excerpt(row["query"]),
        waits_for=waits_for,
        blockers=tuple(blockers),
    )


def _count(row: RowMapping) -> Count | None:
    """Return what is counted in a phase. The other counters keep the values of an earlier one, or are 0."""
    phase = row["phase"]
    if phase is None or phase.startswith("waiting") or "sorting" in phase or "initializing" in phase:
        return None
    in_tuples = "loading" in phase or ("scanning" not in phase and row["tuples_total"])
    if in_tuples and row["tuples_total"]:
        return Count(done=row["tuples_done"], total=row["tuples_total"], unit="tuples")
    if not in_tuples and row["blocks_total"]:
        size = row["block_size"]
        return Count(done=row["blocks_done"] * size, total=row["blocks_total"] * size, unit="bytes")
    return None


def named(connection: Connection, pids: Sequence[int]) -> tuple[str, ...]:
    """Return the sessions as a message names them, the one first whose transaction is oldest."""
    if not pids:
        return ()
    rows = connection.execute(_statement("migration_blockers"), {"pids": list(pids)}).mappings()
    told = [_session(row) for row in rows]
    if PREPARED in pids:
        prepared = connection.execute(_statement("migration_prepared")).mappings().all()
        told += [
            f"prepared transaction {each['gid']!r} ({each['owner']}, open for {spoken(each['open_s'])})"
            for each in prepared
        ] or ["a prepared transaction (see pg_prepared_xacts)"]
    return tuple(told)


def _session(row: RowMapping) -> str:
    facts = [row["usename"] or "hidden", row["application_name"], row["state"]]
    if row["open_s"] is not None:
        facts.append(f"open for {spoken(row['open_s'])}")
    if row["query"]:
        facts.append(excerpt(row["query"]))
    return f"pid {row['pid']} ({', '.join(filter(None, facts))})"


def excerpt(query: str) -> str:
    """Return the beginning of a statement, on one line; nothing of one that may hold a password."""
    if "password" in query.lower():
        return "(a statement with a password)"
    line = " ".join(query.split())
    return line if len(line) <= _EXCERPT else f"{line[: _EXCERPT - 1]}…"


def _statement(name: str) -> TextClause:
    return text(f"{MARKER}\n{sql.load(name)}")

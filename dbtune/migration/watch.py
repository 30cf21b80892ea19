"""Watching an upgrade from a second session, which keeps no snapshot that a build would have to wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, TextClause, text

from dbtune import sql
from dbtune.server.connection import MARKER

_PREPARED = 0
"""What pg_blocking_pids() says of a prepared transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What an upgrade does now. ``done`` is a fraction, None where nobody counts; ``waits_for`` names who is ahead."""

    relation: str | None
    index: int | None
    phase: str | None
    done: float | None
    waits_for: tuple[str, ...]
    blockers: tuple[int, ...] = ()

    @property
    def stage(self) -> tuple[object, ...]:
        """What has to change for another line to be worth reading."""
        return self.relation, self.phase, bool(self.waits_for), self.blockers

    @property
    def line(self) -> str:
        """Return it as people read it; waiting has no percentage."""
        what = self.phase or "running"
        on = f"{self.relation}: " if self.relation else ""
        if self.waits_for:
            what = what if what.startswith("waiting") else "waiting" if self.phase is None else f"{what}, waiting"
            return f"{on}{what}: {'; '.join(self.waits_for)}"
        return f"{on}{what}" + ("" if self.done is None else f", {self.done:.0%}")


def look(connection: Connection, pids: Sequence[int]) -> Activity | None:
    """Return what the sessions do, None where they are gone. ``connection`` is in autocommit."""
    rows = connection.execute(_statement("migration_watch"), {"pids": list(pids)}).mappings().all()
    if not rows:
        return None
    row = rows[0]
    done = None
    if row["phase"] is not None and not row["phase"].startswith("waiting"):
        for counter in ("tuples", "blocks"):
            if row[f"{counter}_total"]:
                done = min(1.0, row[f"{counter}_done"] / row[f"{counter}_total"])
                break
    blockers = sorted({pid for each in rows for pid in each["blockers"]} - set(pids))
    waits_for = named(connection, blockers)
    if not waits_for and row["polls"]:
        waits_for = ("another build on the table, or a lock of another deployer",)
    return Activity(
        relation=row["relation"],
        index=row["index_relid"] or None,
        phase=row["phase"],
        done=done,
        waits_for=waits_for,
        blockers=tuple(blockers),
    )


def named(connection: Connection, pids: Sequence[int]) -> tuple[str, ...]:
    """Return the sessions as a message names them, the one first whose transaction is oldest."""
    if not pids:
        return ()
    rows = connection.execute(_statement("migration_blockers"), {"pids": list(pids)}).mappings()
    told = [
        f"pid {row['pid']} ({row['usename'] or 'hidden'}"
        + (f", {row['application_name']}" if row["application_name"] else "")
        + (f", {row['state']}" if row["state"] else "")
        + (f", open for {row['open_s']:.0f} s" if row["open_s"] is not None else "")
        + (f", {row['query']}" if row["query"] else "")
        + ")"
        for row in rows
    ]
    if _PREPARED in pids:
        told.append("a prepared transaction (see pg_prepared_xacts)")
    return tuple(told)


def _statement(name: str) -> TextClause:
    return text(f"{MARKER}\n{sql.load(name)}")

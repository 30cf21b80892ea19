"""Who a build would wait for as soon as it began, so that it can wait before: giving up then leaves nothing.

A concurrent build that waits for writers holds a lock that VACUUM and ALTER TABLE wait for, keeps a snapshot, and has
made an INVALID index already. Who only has an old snapshot is waited for at the end of a build, when it may be long
gone: that one is named, and not waited for.
"""

from __future__ import annotations

from sqlalchemy import Connection, TextClause, text

from dbtune import sql
from dbtune.migration import watch
from dbtune.migration.build import Build
from dbtune.server.connection import MARKER

_OLD_S = 60.0


class Ahead:
    """The transactions that were there when a build of session ``pid`` was to begin.

    Those that come later are not waited for, or a busy table's turn would never come. Nor does the build: it waits for
    those that are there when it looks.
    """

    def __init__(self, build: Build, pid: int) -> None:
        self.build = build
        self.pid = pid
        self._first: frozenset[tuple[int, str]] | None = None

    def left(self, connection: Connection) -> tuple[int, ...]:
        """Return the sessions that are still there, :data:`watch.PREPARED` for prepared transactions."""
        rows = connection.execute(_statement("migration_ahead"), {"table": self.build.table, "pid": self.pid}).all()
        now = frozenset((row.pid, "" if row.is_session else row.transaction) for row in rows)
        self._first = now if self._first is None else self._first & now
        return tuple(sorted({pid for pid, _ in self._first}))

    def snapshots(self, connection: Connection) -> tuple[str, ...]:
        """Return the sessions whose snapshot is more than a minute old, as a message names them."""
        rows = connection.execute(_statement("migration_snapshots"), {"pid": self.pid, "seconds": _OLD_S})
        return watch.named(connection, list(rows.scalars()))


def _statement(name: str) -> TextClause:
    return text(f"{MARKER}\n{sql.load(name)}")

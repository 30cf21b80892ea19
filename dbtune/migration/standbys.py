"""Standbys that must not fall behind while an index is built, and slots that must not lose the WAL they need."""

from __future__ import annotations

from sqlalchemy import Connection, text

from dbtune import sql
from dbtune.errors import Unsafe
from dbtune.migration import replica
from dbtune.migration.duration import spoken
from dbtune.migration.replica import Limit, Replica
from dbtune.server.connection import MARKER

_EVERY_S = 2.0
_LONG_S = 5.0
_DANGERS = {
    "unreserved": "needs WAL that the next checkpoint may remove: stop the upgrade, or let its consumer catch up",
    "lost": "has lost WAL that it needs, and its consumer has to be made anew",
}


class Standbys:
    """``limit`` is how far each may be behind, None for as far as it likes."""

    def __init__(self, limit: Limit | None) -> None:
        self.limit = limit
        self._slots: dict[str, str] | None = None
        self._looked = float("-inf")
        self._behind: tuple[str, ...] = ()
        self._since: float | None = None

    def behind(self, connection: Connection) -> tuple[str, ...]:
        """Return the standbys that are further behind than the limit, or that were not heard of yet, as people say it.

        :raises Unsafe: the role may not see how far they are.
        """
        if self.limit is None:
            return ()
        found = []
        for each in replica.lag(connection):
            if each.bytes is None:
                raise Unsafe(
                    f"--max-replica-lag: how far {_name(each)} is behind is not shown to this role;"
                    " GRANT pg_read_all_stats to it, or leave the option out"
                )
            if self.limit.is_passed(each) is not False:
                found.append(f"{_name(each)}, {_behind(each)}")
        return tuple(found)

    def too_long(self, connection: Connection, now: float) -> tuple[str, ...]:
        """Return those that were behind at each look of the last five seconds; it looks every other second."""
        if self.limit is None or now - self._looked < _EVERY_S:
            return ()
        self._looked = now
        found = self.behind(connection)
        self._since = (now if self._since is None else self._since) if found else None
        return found if self._since is not None and now - self._since >= _LONG_S else ()

    def endangered(self, connection: Connection) -> tuple[str, ...]:
        """Return what happened to slots since the last call; the first one does not tell of slots that are lost."""
        rows = connection.execute(text(f"{MARKER}\n{sql.load('migration_slots')}")).all()
        before, self._slots = self._slots, {row.name: row.wal_status for row in rows}
        known = before if before is not None else {row.name: "lost" for row in rows if row.wal_status == "lost"}
        return tuple(
            f"replication slot {name} {_DANGERS[status]} (wal_status {status})"
            for name, status in self._slots.items()
            if known.get(name) != status
        )


def _name(each: Replica) -> str:
    return f"standby {each.name or each.pid}" + (f" ({each.address})" if each.address else "")


def _behind(each: Replica) -> str:
    seconds = "" if each.seconds is None else f" and {spoken(each.seconds)}"
    return f"{_size(each.bytes or 0)}{seconds} behind"


def _size(size: int) -> str:
    for unit, factor in (("GB", 1 << 30), ("MB", 1 << 20)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1024:.0f} kB"

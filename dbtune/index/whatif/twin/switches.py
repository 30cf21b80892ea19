"""Which indexes the planner sees: for one transaction, which is rolled back.

An index that is not valid is passed over, but only after it was opened. Where there are hundreds, that takes most of
the time; so a table's list has those of its candidates only that were asked for lately (pg_index.indislive).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from dbtune.index.whatif.planning import send
from dbtune.index.whatif.twin.storage import Relation

MOST_AWAKE = 48
"""Candidates on the lists of all tables together, or as many as are asked for at once."""


@dataclass(slots=True)
class Switches:
    """``existing`` and ``candidates`` are the indexes behind each number."""

    connection: Connection
    existing: dict[int, tuple[Relation, ...]] = field(default_factory=dict)
    candidates: dict[int, tuple[Relation, ...]] = field(default_factory=dict)
    _awake: dict[int, None] = field(default_factory=dict)  # in the order in which they were asked for, oldest first

    def prepare(self, live: Collection[int]) -> None:
        """Put the candidates among these on their tables' lists, and commit."""
        wanted = [number for number in sorted(live) if number in self.candidates]
        woken = [number for number in wanted if number not in self._awake]
        for number in wanted:
            self._awake.pop(number, None)
            self._awake[number] = None
        limit = max(MOST_AWAKE, len(wanted))
        spare = max(0, len(self._awake) - limit)
        put_off = list(self._awake)[:spare] if woken or spare > limit else []
        if not woken and not put_off:
            return
        for number in put_off:
            del self._awake[number]
        self._list(woken, listed=True)
        self._list(put_off, listed=False)
        heaps = {each.heap for number in (*woken, *put_off) for each in self.candidates[number]}
        # the server makes a table's list of indexes anew when the table's row changes
        oids = ", ".join(str(oid) for oid in sorted(heap for heap in heaps if heap is not None))
        send(self.connection, f"UPDATE pg_catalog.pg_class SET relpages = relpages WHERE oid IN ({oids})")
        self.connection.commit()

    def switch(self, live: Collection[int]) -> None:
        """Begin a read-only transaction in which just these are valid; the caller rolls it back."""
        on = _oids([self.candidates[number] for number in live if number in self.candidates])
        off = _oids([relations for number, relations in self.existing.items() if number not in live])
        statements = ["SET TRANSACTION READ ONLY"]
        for valid, oids in (("false", off), ("true", on)):
            if oids:
                statements.insert(
                    0, f"UPDATE pg_catalog.pg_index SET indisvalid = {valid} WHERE indexrelid IN ({oids})"
                )
        send(self.connection, "; ".join(statements))

    def _list(self, numbers: Sequence[int], *, listed: bool) -> None:
        if oids := _oids([self.candidates[number] for number in numbers]):
            send(
                self.connection,
                f"UPDATE pg_catalog.pg_index SET indislive = {'true' if listed else 'false'}"
                f" WHERE indexrelid IN ({oids})",
            )


def _oids(trees: Sequence[tuple[Relation, ...]]) -> str:
    return ", ".join(str(each.oid) for tree in trees for each in tree)

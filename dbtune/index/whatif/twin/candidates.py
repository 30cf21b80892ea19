"""Candidates as real indexes of two rows in files of the size that they would have."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtune.index.definition import Index
from dbtune.index.size import Size, estimate
from dbtune.index.whatif.planning import send
from dbtune.index.whatif.twin.storage import Change, Relation, Storage
from dbtune.server.connection import is_lost, reason, sqlstate
from dbtune.snapshot.value import Snapshot, Table

PREFIX = "dbtune_twin_"
_DATA_FAULT = "22"  # the class of errors of values, such as what no cast takes (manual, appendix A)
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Made:
    """A candidate: the indexes that it consists of, one a partition, or the reason why there is none."""

    pages: int = 0
    relations: tuple[Relation, ...] = ()
    reason: str | None = None


@dataclass(slots=True)
class Candidates:
    """Makes them. ``relations`` are OIDs by name, ``taken`` those of indexes that somebody else switches."""

    connection: Connection
    storage: Storage
    snapshot: Snapshot
    relations: Mapping[tuple[str, str], int]
    taken: Collection[int]
    _tables: dict[int, Table] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for table in self.snapshot.tables:
            if (oid := self.relations.get((table.schema, table.name))) is not None:
                self._tables[oid] = table

    def make(self, wanted: Sequence[tuple[int, Index]]) -> Iterator[Made]:
        """Yield what became of each, in order; they are not live. The number makes the name."""
        for start in range(0, len(wanted), _AT_ONCE):
            yield from self._make(wanted[start : start + _AT_ONCE])

    def _make(self, wanted: Sequence[tuple[int, Index]]) -> list[Made]:
        why = {number: self._obstacle(index) for number, index in wanted}
        heaps = sorted({oid for _, index in wanted for oid in self._heaps(index)})
        self.storage.shrink(heaps)
        for number, index in wanted:
            if why[number] is None:
                why[number] = self._create(number, index)
        self.storage.grow(heaps)
        found = self._trees([number for number, _ in wanted if why[number] is None])
        oids = ", ".join(str(each.oid) for tree in found.values() for each in tree)
        if oids:
            send(
                self.connection,
                "UPDATE pg_catalog.pg_index SET indislive = false, indisvalid = false, indcheckxmin = false"
                f" WHERE indexrelid IN ({oids})",
            )
        self.connection.commit()  # and with that the files are written
        made, changes = [], []
        for number, index in wanted:
            if (said := why[number]) is not None:
                made.append(Made(reason=said))
                continue
            pages = 0
            for each in found[number]:
                if each.kind == "i" and each.heap is not None:
                    change, size = self._enlarge(each, index)
                    changes.append(change)
                    pages += size.pages
            made.append(Made(pages, tuple(found[number])))
        self.storage.replace(changes)
        return made

    def _obstacle(self, index: Index) -> str | None:
        table = self.snapshot.table(*index.relation)
        if table is None:
            return f"table {index.schema}.{index.table} is not in the snapshot"
        if index.relation not in self.relations:
            return f"the twin lacks table {index.schema}.{index.table}"
        return None

    def _heaps(self, index: Index) -> Iterator[int]:
        """Yield the tables whose rows CREATE INDEX reads."""
        waiting = [index.relation]
        while waiting:
            name = waiting.pop()
            if name in self.relations:
                yield self.relations[name]
            table = self.snapshot.table(*name)
            if table is not None and table.kind == "p":
                waiting += [(t.schema, t.name) for t in self.snapshot.tables if name in t.inherits]

    def _create(self, number: int, index: Index) -> str | None:
        ddl = index.ddl(name=f"{PREFIX}{number}")
        state, said = self._attempt(ddl)
        if state is not None and state.startswith(_DATA_FAULT):
            # an expression that does not take the values of the seeds, which production's rows may never have together
            heaps = list(self._heaps(index))
            self.storage.shrink(heaps, empty=True)
            state, said = self._attempt(ddl)
            self.storage.shrink(heaps)
        return said

    def _attempt(self, ddl: str) -> tuple[str | None, str | None]:
        try:
            send(self.connection, f"SAVEPOINT candidate; {ddl}; RELEASE candidate")
        except DBAPIError as error:
            if is_lost(error):
                raise
            send(self.connection, "ROLLBACK TO SAVEPOINT candidate; RELEASE candidate")
            return sqlstate(error), reason(error)
        return None, None

    def _trees(self, numbers: Sequence[int]) -> dict[int, list[Relation]]:
        """Return each candidate's index with those of partitions that came with it."""
        if not numbers:
            return {}
        names = {f"{PREFIX}{number}": number for number in numbers}
        return {names[name]: tree for name, tree in self.storage.trees(sorted(names), self.taken).items()}

    def _enlarge(self, relation: Relation, index: Index) -> tuple[Change, Size]:
        assert relation.heap is not None
        table = self._tables[relation.heap]
        size = estimate(replace(index, schema=table.schema, table=table.name), table, self.snapshot)
        return self.storage.index(relation, max(1, size.pages), size.level, size.tuples, table.pages), size

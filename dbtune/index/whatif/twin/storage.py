"""Which file each relation has: the small one that PostgreSQL wrote, or one as large as production's.

Files are changed behind the server's back only under numbers that it has never heard of, so that nothing it has in
memory or in its WAL is ever about them; then pg_class.relfilenode is told to it. CREATE INDEX sees the small file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, RowMapping, text

from dbtune import sql
from dbtune.index.whatif.planning import send
from dbtune.index.whatif.twin import pages as layout
from dbtune.index.whatif.twin.files import Files
from dbtune.snapshot.value import Table

_FIRST_NODE = 3_000_000_000
"""OIDs count up from 16,384: no temporary server comes this far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A table or an index of the twin. ``node`` is pg_class.relfilenode, 0 without a file; ``heap`` of an index."""

    oid: int
    schema: str
    name: str
    kind: str
    node: int
    heap: int | None
    method: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What pg_class is to say of a relation."""

    oid: int
    node: int
    relpages: int
    reltuples: float
    relallvisible: int = 0


@dataclass(frozen=True, slots=True)
class Heap:
    """A table's files: ``seeds`` has its two rows, ``large`` is as large as in production."""

    seeds: int
    large: Change


class Storage:
    """The files of a twin's database."""

    def __init__(self, connection: Connection, files: Files) -> None:
        self._connection = connection
        self._files = files
        self._next = _FIRST_NODE
        self._heaps: dict[int, Heap] = {}
        self._empty: int | None = None
        self._levels: dict[int, int] = {}
        self._left: list[int] = []
        self._written: dict[int, int] = {}
        self._indexes: dict[int, Change] = {}

    def relations(self) -> dict[int, Relation]:
        """Return all tables and indexes by OID."""
        rows = self._connection.execute(text(sql.load("twin_relations"))).mappings()
        return {relation.oid: relation for relation in map(_relation, rows)}

    def trees(self, names: Sequence[str], taken: Collection[int]) -> dict[str, list[Relation]]:
        """Return the indexes of these names, each first, with those of partitions, without those that are ``taken``."""
        rows = self._connection.execute(text(sql.load("twin_trees")), {"names": list(names)}).mappings()
        found: dict[str, list[Relation]] = {name: [] for name in names}
        for row in rows:
            if row["oid"] not in taken:
                found[row["root"]].append(_relation(row))
        return found

    def heap(self, relation: Relation, table: Table) -> Change:
        """Make a table's large file; its transaction must be committed."""
        node = relation.node
        if node and table.pages > 0:
            node = self._make(self._files.content(relation.node), table.pages)
        change = Change(
            oid=relation.oid,
            node=node,
            relpages=table.relpages,
            reltuples=table.reltuples,
            relallvisible=table.relallvisible,
        )
        if relation.node:
            self._heaps[relation.oid] = Heap(relation.node, change)
        return change

    def index(self, relation: Relation, pages: int, level: int, tuples: float, heap_pages: int) -> Change:
        """Make an index's large file; its transaction must be committed."""
        node = relation.node
        if node and pages > 0:
            content = self._files.content(relation.node)
            if relation.method == "btree":
                level = min(level, max(0, pages - 2))
                content = layout.grown_btree(content, level)
            elif relation.method == "brin":
                content = layout.grown_brin(content, heap_pages)
            node = self._make(content, pages)
            self._left.append(relation.node)
            if relation.method == "btree":
                self._levels[node] = level
        change = self._indexes[relation.oid] = Change(oid=relation.oid, node=node, relpages=pages, reltuples=tuples)
        return change

    def resize(self, oids: Collection[int], factor: float) -> None:
        """Make indexes so many times as large as :meth:`index` made them, of the same height, and commit.

        A factor of 1 gives them the files again that they had.
        """
        changes, made = [], []
        for oid in oids:
            change = self._indexes[oid]
            if factor != 1 and change.node and change.relpages > 0:
                pages = max(1, round(change.relpages * factor))
                content = self._files.beginning(change.node, self._written[change.node])
                change = replace(change, node=self._make(content, pages), relpages=pages)
                made.append(change.node)
            changes.append(change)
        self.replace(changes)
        self._left += made  # until the next time

    def replace(self, changes: Sequence[Change]) -> None:
        """Tell the server, commit, and remove the indexes' small files, which nothing reads any more."""
        self._apply(changes)
        self._connection.commit()
        for node in self._left:
            self._files.remove(node)
        self._left.clear()

    def _apply(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        rows = ", ".join(
            f"({c.oid}::oid, {c.node}::oid, {c.relpages}, {float(c.reltuples)!r}::float4, {c.relallvisible})"
            for c in changes
        )
        send(
            self._connection,
            "UPDATE pg_catalog.pg_class c SET relfilenode = v.node, relpages = v.pages, reltuples = v.tuples,"
            f" relallvisible = v.visible FROM (VALUES {rows}) AS v (oid, node, pages, tuples, visible)"
            " WHERE c.oid = v.oid",
        )

    def shrink(self, heaps: Iterable[int], *, empty: bool = False) -> None:
        """Give tables the files with their seeds, or with nothing, for CREATE INDEX to read."""
        changes = []
        for oid in heaps:
            if (heap := self._heaps.get(oid)) is not None:
                node = self._nothing() if empty else heap.seeds
                changes.append(Change(oid=oid, node=node, relpages=0, reltuples=0.0))
        self._apply(changes)

    def grow(self, heaps: Iterable[int]) -> None:
        """Give tables their large files again, and pg_class what CREATE INDEX wrote over."""
        self._apply([heap.large for oid in heaps if (heap := self._heaps.get(oid)) is not None])

    def check(self) -> None:
        """Make sure that all btrees are as high as they were made.

        :raises dbtune.index.whatif.twin.pages.NotAsExpected: one is not.
        """
        for node, level in self._levels.items():
            if layout.btree_level(self._files.head(node)) != level:
                raise layout.NotAsExpected(f"file {node} has lost its height")

    def _make(self, content: bytes, pages: int) -> int:
        node = self._next
        self._next += 1
        self._files.write(node, content, pages)
        self._written[node] = len(content)
        return node

    def _nothing(self) -> int:
        if self._empty is None:
            self._empty = self._make(b"", 0)
        return self._empty


def _relation(row: RowMapping) -> Relation:
    return Relation(
        oid=row["oid"],
        schema=row["nspname"],
        name=row["relname"],
        kind=row["relkind"],
        node=row["node"],
        heap=row["heap"],
        method=row["amname"],
    )

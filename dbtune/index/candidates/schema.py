"""The snapshot by the names that statements use: the search path, views, partitions, and what is known of columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from sqlglot import exp
from sqlglot.errors import SqlglotError

from dbtune.index.candidates import datatypes
from dbtune.index.candidates.dialect import parsed
from dbtune.snapshot.value import Column, Snapshot, Statistics, Table
from dbtune.workload.lexer import Kind, tokens

_DOMAIN = re.compile(
    r"CREATE\s+DOMAIN\s+(?P<name>\S+)\s+AS\s+(?P<type>.+?)(?=\s+(?:COLLATE|DEFAULT|NOT|NULL|CONSTRAINT|CHECK)\b|;|\s*\Z)",
    re.IGNORECASE | re.DOTALL,
)
_IMMUTABLE = re.compile(r"\bIMMUTABLE\b", re.IGNORECASE)
_C_COLLATIONS = frozenset({'"C"', '"POSIX"', 'pg_catalog."C"', 'pg_catalog."POSIX"', "C", "POSIX", "ucs_basic"})
_SYSTEM = frozenset({"pg_catalog", "information_schema", "pg_toast"})


@dataclass(frozen=True, slots=True)
class View:
    """A view: its query's tree, and its columns' names where they are not those of the query."""

    schema: str
    name: str
    query: exp.Expr
    columns: tuple[str, ...] = ()


class Schema:
    """Looks up names in a snapshot. Not for use by two threads at once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._tables = {(table.schema, table.name): table for table in snapshot.tables}
        self._columns = {key: {column.name: column for column in table.columns} for key, table in self._tables.items()}
        self._pages: dict[tuple[str, str], int] = {}
        self._rows: dict[tuple[str, str], float] = {}
        self._views: dict[tuple[str, str], View | None] = {}
        self._children: dict[tuple[str, str], list[Table]] = {}
        for table in snapshot.tables:
            for parent in table.inherits:
                self._children.setdefault(parent, []).append(table)

    @cached_property
    def path(self) -> tuple[str, ...]:
        """The schemas of the search path in order, without ``"$user"``."""
        found = []
        for token in tokens(self.snapshot.search_path):
            if token.kind is Kind.WORD:
                found.append(token.text.lower())
            elif token.kind is Kind.QUOTED:
                found.append(token.text[1:-1].replace('""', '"'))
        return tuple(name for name in found if name != "$user")

    def find(self, schema: str | None, name: str) -> Table | View | None:
        """Return the table or view that a statement means, None where the snapshot has none.

        A name that is not on the search path is looked for everywhere: roles have search paths of their own.
        """
        if schema:
            return self._at(schema, name)
        for place in self.path:
            if (found := self._at(place, name)) is not None:
                return found
        others = sorted({s for s, n in [*self._tables, *self._view_definitions] if n == name})
        return self._at(others[0], name) if len(others) == 1 else None

    def is_system(self, schema: str | None, name: str) -> bool:
        """Return whether that is a catalog, which no index can be made on."""
        return schema in _SYSTEM or (not schema and name.startswith("pg_"))

    def _at(self, schema: str, name: str) -> Table | View | None:
        return self._tables.get((schema, name)) or self._view(schema, name)

    @cached_property
    def _view_definitions(self) -> dict[tuple[str, str], str]:
        objects = (*self.snapshot.objects, *self.snapshot.late_objects)
        return {(o.schema or "", o.name): o.definition for o in objects if o.kind == "view"}

    def _view(self, schema: str, name: str) -> View | None:
        key = (schema, name)
        if key not in self._views:
            self._views[key] = _read_view(schema, name, self._view_definitions.get(key))
        return self._views[key]

    def column(self, table: Table, name: str) -> Column | None:
        """Return the table's column of that name, or None."""
        return self._columns[table.schema, table.name].get(name)

    def type_of(self, column: Column) -> str:
        """Return the column's type, a domain's underlying one."""
        bare = datatypes.base(column.type)
        return datatypes.base(self._domains.get(bare, bare))

    @cached_property
    def _domains(self) -> dict[str, str]:
        found = {}
        for each in self.snapshot.objects:
            if match := _DOMAIN.match(each.definition.strip()):
                found[match["name"]] = match["type"]
                if each.schema in self.path:
                    found[match["name"].rpartition(".")[2]] = match["type"]
        return found

    @cached_property
    def immutable_functions(self) -> frozenset[str]:
        """Names, without schema, of the database's own functions all of whose variants are IMMUTABLE."""
        functions = [
            o for o in (*self.snapshot.objects, *self.snapshot.late_objects) if o.kind in ("function", "aggregate")
        ]
        others = {o.name.partition("(")[0] for o in functions if not _IMMUTABLE.search(o.definition)}
        return frozenset(o.name.partition("(")[0] for o in functions) - others

    def extension(self, name: str) -> str | None:
        """Return the schema that the extension of that name is in, None if it is not created."""
        for each in self.snapshot.objects:
            if each.kind == "extension" and each.name == name:
                return each.schema or "public"
        return None

    def homes(self, table: Table) -> tuple[Table, ...]:
        """Return the tables on which an index for queries of ``table`` is made.

        For a partition that is the topmost partitioned table; an ordinary table with children is each of them.
        """
        while table.partition_bound is not None and table.inherits:
            parent = self._tables.get(table.inherits[0])
            if parent is None:
                break
            table = parent
        if table.kind == "p":
            return (table,)
        found = {(table.schema, table.name): table}
        waiting = [table]
        while waiting:
            each = waiting.pop()
            for child in self._children.get((each.schema, each.name), ()):
                if (child.schema, child.name) not in found:
                    found[child.schema, child.name] = child
                    waiting.append(child)
        return tuple(found.values())

    def leaves(self, table: Table) -> tuple[Table, ...]:
        """Return the tables that hold the rows: the partitions of a partitioned table, else the table itself."""
        if table.kind != "p":
            return (table,)
        below = self._children.get((table.schema, table.name), [])
        return tuple(leaf for child in below for leaf in self.leaves(child))

    def pages(self, table: Table) -> int:
        """Return the 8 kB pages of the table with its partitions; what ANALYZE saw where the file is not known."""
        key = (table.schema, table.name)
        if key not in self._pages:
            self._pages[key] = sum(leaf.pages or leaf.relpages for leaf in self.leaves(table))
        return self._pages[key]

    def rows(self, table: Table) -> float:
        """Return the rows of the table with its partitions: 10 a page where ANALYZE never counted them."""
        key = (table.schema, table.name)
        if key not in self._rows:
            self._rows[key] = sum(
                10.0 * leaf.pages if leaf.is_unanalysed else max(1.0, leaf.reltuples) for leaf in self.leaves(table)
            )
        return self._rows[key]

    def statistics(self, table: Table, name: str) -> Statistics | None:
        """Return the statistics of a column, with child tables for a partitioned table; None where there are none."""
        column = self.column(table, name)
        if column is None:
            return None
        own, with_children = column.statistics, column.inherited
        return (with_children or own) if table.kind == "p" else (own or with_children)

    def width(self, table: Table, name: str) -> int:
        """Return the average width of a column's values in bytes; 32 where it varies and ANALYZE never saw it."""
        statistics = self.statistics(table, name)
        if statistics is not None:
            return statistics.avg_width
        column = self.column(table, name)
        return column.length if column is not None and column.length > 0 else 32

    def row_width(self, table: Table) -> int:
        """Return the average width of a row's values in bytes."""
        return sum(self.width(table, column.name) for column in table.columns)

    def sorts_by_bytes(self, collation: str | None) -> bool:
        """Return whether text of that collation (None: the database's) is in the order that LIKE 'a%' needs."""
        if collation not in (None, '"default"', 'pg_catalog."default"'):
            return collation in _C_COLLATIONS
        snapshot = self.snapshot
        if snapshot.locale_provider in ("b", "builtin"):
            return True  # both of the provider's locales, C and C.UTF-8, compare bytes
        return snapshot.locale_provider in ("c", "libc") and snapshot.collate in ("C", "POSIX")


def _read_view(schema: str, name: str, definition: str | None) -> View | None:
    """Return the view that CREATE VIEW makes, None where its query cannot be read: its plans must do."""
    if definition is None:
        return None
    pieces = [t for t in tokens(definition) if t.kind not in (Kind.SPACE, Kind.COMMENT)]
    depth = 0
    columns: list[str] = []
    options = False
    for piece in pieces:
        depth += {"(": 1, ")": -1}.get(piece.text, 0)
        word = piece.text.upper() if piece.kind is Kind.WORD else ""
        if depth == 0 and word == "AS":
            try:
                query = parsed(definition[piece.start + len(piece.text) :].rstrip().removesuffix(";"))
            except SqlglotError:
                return None
            return View(schema, name, query, tuple(columns)) if isinstance(query, exp.Query) else None
        options = options or word == "WITH"
        if depth == 1 and not options and piece.kind in (Kind.WORD, Kind.QUOTED):
            quoted = piece.kind is Kind.QUOTED
            columns.append(piece.text[1:-1].replace('""', '"') if quoted else piece.text.lower())
    return None

"""An index in full: what :class:`dbtune.index.definition.Index` says, and how and where it is stored."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dbtune.index import definition
from dbtune.index.definition import Index, Key
from dbtune.migration.name import digest, qualified, quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One index. ``storage`` are WITH's parameters as SQL; ``nulls_distinct`` False needs PostgreSQL 15.

    ``tablespace`` None is where the server puts new indexes. Two are equal if they make the same index of one name.
    """

    index: Index
    storage: tuple[tuple[str, str | None], ...] = ()
    tablespace: str | None = None
    nulls_distinct: bool = True

    @property
    def name(self) -> str:
        """The index's name."""
        return self.index.chosen_name

    @property
    def schema(self) -> str:
        """The schema of the table, which is the index's too."""
        return self.index.schema

    @property
    def table(self) -> str:
        """The table, as SQL with its schema."""
        return qualified(self.index.schema, self.index.table)

    @property
    def full_name(self) -> str:
        """The index, as SQL with its schema."""
        return qualified(self.index.schema, self.name)

    @property
    def digest(self) -> str:
        """Twelve characters that stand for the definition with its name."""
        return digest(self.ddl())

    @property
    def has_expression(self) -> bool:
        """Whether the planner knows nothing of a key until the table is analysed."""
        return not all(key.is_column for key in self.index.keys)

    def named(self, name: str) -> Definition:
        """Return the same under another name."""
        return replace(self, index=replace(self.index, name=name))

    def on(self, schema: str, table: str, name: str) -> Definition:
        """Return the same on another table, such as a partition."""
        return replace(self, index=replace(self.index, schema=schema, table=table, name=name))

    def ddl(
        self, *, concurrently: bool = False, if_not_exists: bool = False, only: bool = False, on: str | None = None
    ) -> str:
        """Return CREATE INDEX without a semicolon, a clause a line; ``on`` is another table to say it of, as SQL."""
        return "\n".join(self.clauses(concurrently=concurrently, if_not_exists=if_not_exists, only=only, on=on))

    def clauses(
        self, *, concurrently: bool = False, if_not_exists: bool = False, only: bool = False, on: str | None = None
    ) -> list[str]:
        """Return the clauses of :meth:`ddl`."""
        how = ["UNIQUE"] if self.index.unique else []
        how += ["INDEX"]
        how += ["CONCURRENTLY"] if concurrently else []
        how += ["IF NOT EXISTS"] if if_not_exists else []
        keys = ", ".join(key_sql(key) for key in self.index.keys)
        table = self.table if on is None else on
        lines = [
            f"CREATE {' '.join(how)} {quoted(self.name)}",
            f"ON {'ONLY ' if only else ''}{table} USING {quoted(self.index.method)} ({keys})",
        ]
        if self.index.include:
            lines.append(f"INCLUDE ({', '.join(map(quoted, self.index.include))})")
        if not self.nulls_distinct:
            lines.append("NULLS NOT DISTINCT")
        if self.storage:
            lines.append(f"WITH ({', '.join(_parameter(*each) for each in self.storage)})")
        if self.tablespace is not None:
            lines.append(f"TABLESPACE {quoted(self.tablespace)}")
        if self.index.predicate is not None:
            lines.append(f"WHERE {self.index.predicate}")
        return lines


def key_sql(key: Key) -> str:
    """Return a key as CREATE INDEX takes it."""
    return quoted(key.text) + key.sql[len(definition.quoted(key.text)) :] if key.is_column else key.sql


def _parameter(name: str, value: str | None) -> str:
    return name if value is None else f"{name} = {value}"

"""What a database holds: every object by its name, what it is, and whether it is the same one as before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dbtune import sql
from dbtune.migration.name import qualified, quoted
from dbtune.migration.verify.cluster import Run
from dbtune.server.connection import MARKER
from dbtune.sql import quote_literal

Key = tuple[str, str, str]

_APART = frozenset({"constraint", "trigger", "function", "enum", "domain", "schema", "extension"})
_COLUMNS = tuple("kind schema name oid file definition comment sound is_unique is_needed of_table".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One row of verify_inventory.sql."""

    kind: str
    schema: str
    name: str
    oid: int
    file: int
    definition: str | None
    comment: str | None
    sound: str | None
    is_unique: bool
    is_needed: bool
    of_table: int | None

    @property
    def key(self) -> Key:
        """What it is found by: tables, indexes, views and sequences share one room of names."""
        return (self.kind if self.kind in _APART else "relation", self.schema, self.name)

    @property
    def full_name(self) -> str:
        """The name with its schema, as SQL; a constraint's and a trigger's is TABLE.NAME within the schema."""
        return qualified(self.schema, self.name) if self.name else quoted(self.schema)

    @property
    def is_index(self) -> bool:
        """Whether it is an index."""
        return self.kind in ("index", "partitioned index")

    @property
    def is_valid(self) -> bool:
        """Whether it is an index that the planner uses and writes maintain."""
        return self.sound == "ttt"

    @property
    def meaning(self) -> tuple[object, ...]:
        """What it is, by name and whatever is said of it: equal for two that were made by the same statements."""
        return self.kind, self.schema, self.name, self.definition, self.sound

    @property
    def identity(self) -> tuple[object, ...]:
        """What it is, whatever its name: equal only for the very same one, untouched."""
        return self.kind, self.oid, self.file, self.definition, self.comment, self.sound


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything there is in a database, and the revisions that it is noted at."""

    things: dict[int, Thing]
    noted: frozenset[str]

    def by_key(self) -> dict[Key, Thing]:
        """Return things by name."""
        return {each.key: each for each in self.things.values()}

    def meanings(self, without: Iterable[int] = ()) -> frozenset[tuple[object, ...]]:
        """Return what there is by name, but for things with these oids."""
        left_out = set(without)
        return frozenset(each.meaning for oid, each in self.things.items() if oid not in left_out)


def read(run: Run, version_table: str) -> Inventory:
    """Return what the database of this session holds; ``version_table`` is Alembic's, as SQL."""
    rows = run(f"{MARKER}\n{sql.load('verify_inventory')}")
    things = [Thing(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]
    there = run(f"{MARKER} SELECT pg_catalog.to_regclass({quote_literal(version_table)}) IS NOT NULL")[0][0]
    noted = run(f"{MARKER} SELECT version_num FROM {version_table}") if there else []
    return Inventory({each.oid: each for each in things}, frozenset(row[0] for row in noted))

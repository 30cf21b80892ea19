"""The build that a statement begins: CREATE INDEX CONCURRENTLY, whoever wrote it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dbtune.errors import UsageError
from dbtune.migration import statement as statements
from dbtune.migration.name import qualified, quoted

_BEGINS = re.compile(
    r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?P<nameless>ON\b)?",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Names as SQL, with a schema where the statement has one; ``index`` None where the server chooses the name."""

    table: str
    index: str | None


def begun_by(statement: str) -> Build | None:
    """Return the build that ``statement`` begins, None where it begins none or cannot be read."""
    begins = _BEGINS.match(statement)
    if begins is None:
        return None
    try:
        found = statements.parse(statement)
    except UsageError:
        return None
    if not isinstance(found, statements.Create):
        return None
    schema = found.table.schema
    name = None if begins["nameless"] else found.definition.name
    return Build(table=_sql(schema, found.table.name), index=None if name is None else _sql(schema, name))


def _sql(schema: str | None, name: str) -> str:
    return quoted(name) if schema is None else qualified(schema, name)

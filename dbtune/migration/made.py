"""The indexes that revisions made, as they are afterwards."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from dbtune import sql
from dbtune.migration.build import Build
from dbtune.migration.events import Made
from dbtune.server.connection import MARKER


def by(
    connection: Connection, revisions: Sequence[str], built: Sequence[tuple[str | None, Build]] = ()
) -> tuple[Made, ...]:
    """Return what ``revisions`` made, in their order: what was ``built`` in them, and what bears their mark."""
    named = [(revision, build.index) for revision, build in built if build.index is not None]
    rows = connection.execute(
        text(f"{MARKER}\n{sql.load('migration_made')}"),
        {
            "revisions": [revision for revision, _ in named],
            "names": [name for _, name in named],
            "done": list(revisions),
        },
    ).mappings()
    found = [Made(**row) for row in rows]
    return tuple(sorted(found, key=lambda each: (list(revisions).index(each.revision), each.index)))

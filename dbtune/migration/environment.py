"""The host's env.py, asked where the database is and what it is at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.runtime.environment import EnvironmentContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from dbtune.errors import ServerError, UsageError
from dbtune.migration.events import Pending
from dbtune.migration.project import Project, translated
from dbtune.server.connection import reason

_EXPECTED = re.compile(r"^(?:# )?Size: about (?P<number>[0-9.e+]+) (?P<unit>kB|MB|GB)\. ", re.MULTILINE)
_UNITS = {"kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The database that env.py opens, the revisions it is noted at, and those that an upgrade would run, in order."""

    url: URL
    heads: tuple[str, ...]
    pending: tuple[Pending, ...]


def ask(project: Project, revision: str = "head") -> Found:
    """Run env.py as ``alembic current`` does, which changes nothing, and return what it says.

    :raises UsageError: Alembic does not know the revision, or env.py upgrades no or several databases.
    :raises ServerError: the server is unreachable, or refuses.
    """
    found: list[Found] = []
    with translated(project.path):
        directory = ScriptDirectory.from_config(project.config)

        def look(heads: Any, context: Any) -> list[Any]:
            at = tuple(heads) if isinstance(heads, tuple | list) else (heads,) if heads else ()
            pending = tuple(map(told, steps(directory, revision, at)))
            found.append(Found(url=context.connection.engine.url, heads=at, pending=pending))
            return []

        try:
            with EnvironmentContext(project.config, directory, fn=look, dont_mutate=True):
                directory.run_env()
        except DBAPIError as error:
            raise ServerError(f"{project.path}: env.py: {reason(error)}") from None
    if len(found) != 1:
        raise UsageError(
            f"{project.path}: env.py ran migrations {len(found)} times; one database at a time is upgraded"
        )
    return found[0]


def steps(directory: ScriptDirectory, revision: str, heads: Sequence[str]) -> Iterator[Any]:
    """Return Alembic's own steps from ``heads`` to ``revision``."""
    return iter(directory._upgrade_revs(revision, tuple(heads)))  # type: ignore[arg-type]  # a tuple, as env.py's own does


def told(step: Any) -> Pending:
    """Return what a step's revision says of itself."""
    script: Script = step.revision
    title = (script.doc or "").partition("\n")[0]
    return Pending(revision=script.revision, title=title, expected_bytes=_expected(script))


def _expected(script: Script) -> int | None:
    """Return the size that the text of a revision of dbtune's tells of, wherever its template puts that text."""
    path = Path(script.path)
    text = script.longdoc or (path.read_text(encoding="utf-8") if path.suffix == ".py" and path.is_file() else "")
    found = _EXPECTED.search(text)
    return None if found is None else round(float(found["number"]) * _UNITS[found["unit"]])

"""All of it: the server, the earlier revisions, the safety check, data, and the faults one by one."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from dbtune.errors import ServerError, UsageError
from dbtune.migration.name import qualified, quoted
from dbtune.migration.project import Project
from dbtune.migration.verify import address, client, cluster, inventory, schema
from dbtune.migration.verify.cluster import Cluster, Run
from dbtune.migration.verify.fill import Filled, fill
from dbtune.migration.verify.injections import ALL, Fault
from dbtune.migration.verify.injections.waits import BESIDE
from dbtune.migration.verify.judge import Result, judge
from dbtune.migration.verify.process import Client, Ended, Launcher
from dbtune.migration.verify.scene import ALEMBIC, APPLY, Scene
from dbtune.migration.verify.subject import Subject, subject
from dbtune.server.connection import MARKER

_NO_ROLE = re.compile(r'role "((?:[^"]|"")+)" does not exist')
_ROLES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to verify. ``plain`` is whether plain ``alembic upgrade`` is judged as well; ``rows`` go into each table.

    ``only`` are names of faults, with * and ?; ``environment`` is what :func:`address.environment` is given.
    """

    revision: str
    rows: int = 20_000
    plain: bool = False
    only: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    bindir: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of it. ``made`` and ``gone`` are the revision's indexes, ``roles`` those that were made up for it."""

    revision: str
    title: str
    version: str
    tables: tuple[Filled, ...]
    made: tuple[str, ...]
    gone: tuple[str, ...]
    roles: tuple[str, ...]
    results: tuple[Result, ...]
    seconds: float

    @property
    def is_fine(self) -> bool:
        """Whether nothing is held against the revision."""
        return all(each.is_fine for each in self.results)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Revision:
    """A revision, those before it, and the version table of its environment, as SQL."""

    id: str
    title: str
    downs: tuple[str, ...]
    version_table: str


def chosen(only: Sequence[str]) -> list[Fault]:
    """Return the faults of these names, all of them where there are none.

    :raises UsageError: there is none of a name.
    """
    for pattern in only:
        if not any(fnmatchcase(fault.name, pattern) for fault in ALL):
            raise UsageError(f"--only {pattern}: there is no such fault; see --list")
    return [fault for fault in ALL if not only or any(fnmatchcase(fault.name, pattern) for pattern in only)]


def verify(project: Project, wanted: Wanted, step: Callable[[str], None] = lambda name: None) -> Report:
    """Judge a revision; ``step`` is told what goes on: once for each fault and way, and thrice before.

    :raises UsageError: there is no such revision, or it touches nothing that was there before.
    :raises Unsafe: env.py opens another database than the throw-away one; it was not connected to.
    :raises ServerError: the server cannot be run, or a revision fails with nothing in its way.
    """
    began = time.monotonic()
    faults = chosen(wanted.only)
    written = client.written(project.config)
    texts = [*(os.environ.get(name) for name in ("DBTUNE_URL", "DATABASE_URL")), written]
    step("server")
    with cluster.start(address.database_name(texts), wanted.bindir) as server:
        environ = address.environment(server.address, os.environ, wanted.environment, written=written)
        launcher = Launcher(server, project, environ)
        with _launched() as keep:
            revision = _look(server, launcher, wanted.revision, keep)
            step("earlier revisions")
            roles = _earlier(server, launcher, revision, keep)
            step("rows")
            tables, found = _prepare(server, launcher, revision, wanted.rows, keep)
        results = []
        for fault in faults:
            for way in (APPLY, ALEMBIC) if wanted.plain else (APPLY,):
                down = revision.downs[0] if revision.downs else None
                scene = Scene(server, launcher, found, revision.version_table, down, way)
                results.append(judge(scene, fault))
                step(fault.name)
        return Report(
            revision=revision.id,
            title=revision.title,
            version=server.programs.version,
            tables=tuple(tables),
            made=tuple(each.full_name for each in found.made),
            gone=tuple(each.full_name for each in found.gone),
            roles=tuple(roles),
            results=tuple(results),
            seconds=time.monotonic() - began,
        )


@contextmanager
def _launched() -> Iterator[Callable[[Client], Client]]:
    """Have every client that the block is given killed at its end."""
    clients: list[Client] = []

    def keep(started: Client) -> Client:
        clients.append(started)
        return started

    try:
        yield keep
    finally:
        for each in clients:
            if each.runs:
                each.kill()


def _look(server: Cluster, launcher: Launcher, name: str, keep: Callable[[Client], Client]) -> _Revision:
    """Run env.py once as ``alembic current`` does, and return the revision. This is the safety check.

    :raises Unsafe: it opens another database.
    """
    output = server.home / "look.json"
    ended = keep(launcher.look(name, output)).end()
    if ended.code:
        raise ServerError(f"env.py does not run on the throw-away server: {ended.said}")
    found = json.loads(output.read_text(encoding="utf-8"))
    if found["wrong"]:
        raise UsageError(found["wrong"])
    if len(found["tables"]) != 1:
        raise UsageError(f"env.py ran migrations {len(found['tables'])} times; one database at a time is verified")
    ((schema_name, table),) = found["tables"]
    return _Revision(
        id=found["revision"],
        title=found["title"],
        downs=tuple(found["downs"]),
        version_table=qualified(schema_name, table) if schema_name else quoted(table),
    )


def _earlier(server: Cluster, launcher: Launcher, revision: _Revision, keep: Callable[[Client], Client]) -> list[str]:
    """Run the revisions before; return the roles that were made up because they name them."""
    roles: list[str] = []
    commands: list[tuple[str, ...]] = [("upgrade", down) for down in revision.downs] or [("ensure_version",)]
    while True:
        for command in commands:
            ended = keep(launcher.alembic(*command)).end()
            if ended.code:
                break
        else:
            return roles
        missing = _NO_ROLE.search(ended.output)
        if missing is None or len(roles) == _ROLES:
            raise ServerError(f"the revisions before {revision.id} do not run on an empty database: {ended.said}")
        roles.append(missing.group(1).replace('""', '"'))
        with server.maintenance() as run:
            run(f"{MARKER} CREATE ROLE {quoted(roles[-1])}")


def _prepare(
    server: Cluster,
    launcher: Launcher,
    revision: _Revision,
    number: int,
    keep: Callable[[Client], Client],
) -> tuple[list[Filled], Subject]:
    """Find out what the revision changes, fill those tables, and keep the database as it is before it."""
    server.keep()
    with server.session() as run:
        before, asked = inventory.read(run, revision.version_table), schema.read(run)
    _undisturbed(launcher, revision, keep)
    with server.session() as run:
        after, asked_later = inventory.read(run, revision.version_table), schema.read(run)
    found = subject(revision.id, before, after)
    server.unkeep()
    with server.session() as run:
        unique = [each for each in found.made if each.is_unique]
        tables = fill(run, asked.merged(asked_later), [table.oid for table in found.tables], number, unique)
        _stand_beside(run, found)
    server.keep()
    with server.session() as run:
        before = inventory.read(run, revision.version_table)
    _undisturbed(launcher, revision, keep)
    with server.session() as run:
        after = inventory.read(run, revision.version_table)
    return tables, subject(revision.id, before, after)


def _undisturbed(launcher: Launcher, revision: _Revision, keep: Callable[[Client], Client]) -> Ended:
    ended = keep(launcher.alembic("upgrade", revision.id)).end()
    if ended.code:
        raise ServerError(f"revision {revision.id} fails with nothing in its way: {ended.said}")
    return ended


def _stand_beside(run: Run, found: Subject) -> None:
    """Make things of somebody else's, in the same schema and on the same table, that must stay as they are."""
    beside = qualified(found.table.schema, BESIDE)
    within = quoted(found.table.schema)
    run(f"{MARKER} CREATE TABLE {beside} (id integer PRIMARY KEY, other integer)")
    run(f"{MARKER} INSERT INTO {beside} SELECT n, n FROM pg_catalog.generate_series(1, 100) AS s (n)")
    run(f"{MARKER} CREATE INDEX {BESIDE}_sound ON {beside} (other)")
    run(f"{MARKER} CREATE INDEX {BESIDE}_invalid ON {beside} (other)")
    run(f"{MARKER} CREATE INDEX {BESIDE}_same_table ON {found.table.full_name} ((1))")
    run(f"{MARKER} COMMENT ON INDEX {within}.{BESIDE}_same_table IS 'not yours'")
    run(
        f"{MARKER} UPDATE pg_catalog.pg_index SET indisvalid = false"
        f" WHERE indexrelid = '{within}.{BESIDE}_invalid'::pg_catalog.regclass"
    )

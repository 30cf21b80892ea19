"""What pending revisions would send, as ``alembic upgrade A:B --sql`` prints it; no database is asked or changed.

A revision is a program. Its ``upgrade()`` is run in Alembic's offline mode, in which what it does through Alembic is
printed. Connections that it opens by itself are refused meanwhile, and callbacks after a revision are not called.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import reduce
from io import StringIO
from typing import Any, NoReturn

from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

from dbtune.migration.project import Project, translated
from dbtune.workload import lexer

_DRIVERS = (
    ("psycopg2", "_connect"),
    ("psycopg", "connect"),
    ("psycopg", "Connection.connect"),
    ("psycopg", "AsyncConnection.connect"),
    ("asyncpg", "connect"),
)
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """The statements of a revision, in order. ``why`` tells why there may be more, which only a run can tell."""

    revision: str
    statements: tuple[str, ...]
    why: str | None = None


class _Refused(Exception):
    """A revision wanted a connection of its own."""


def printed(project: Project, revision: str, heads: Sequence[str]) -> tuple[Printed, ...]:
    """Return what an upgrade to ``revision`` would send, from where ``heads`` are noted, a revision at a time.

    The host's env.py is run as for ``--sql``; one that cannot do that is done without.

    :raises UsageError: Alembic does not know the revision.
    """
    with translated(project.path), _quietly(), _without_connections():
        directory = ScriptDirectory.from_config(project.config)
        found: list[Printed] = []
        with suppress(Exception, SystemExit):
            _run(project, directory, revision, heads, found, lambda context: directory.run_env())
        if not found:
            _run(project, directory, revision, heads, found, _without_env)
    return tuple(found)


def _run(
    project: Project,
    directory: ScriptDirectory,
    revision: str,
    heads: Sequence[str],
    found: list[Printed],
    run: Callable[[EnvironmentContext], None],
) -> None:
    steps = directory._upgrade_revs(revision, tuple(heads))  # type: ignore[arg-type]  # a tuple, as env.py's own does

    def upgrade(now: Any, context: Any) -> Iterator[Any]:
        context.on_version_apply_callbacks = ()
        for step in steps:
            step.migration_fn = _noting(step, context, found)
            yield step

    own, project.config.output_buffer = project.config.output_buffer, StringIO()
    try:
        with EnvironmentContext(
            project.config, directory, fn=upgrade, as_sql=True, starting_rev=tuple(heads), destination_rev=revision
        ) as context:
            run(context)
    finally:
        project.config.output_buffer = own


def _without_env(context: EnvironmentContext) -> None:
    context.configure(dialect_name="postgresql", literal_binds=True, dialect_opts={"paramstyle": "named"})
    context.run_migrations()


def _noting(step: Any, context: Any, found: list[Printed]) -> Callable[..., None]:
    """Return what runs the step's ``upgrade()`` and notes what it printed, whether or not it came to its end."""
    own = step.migration_fn

    def upgrade(**given: Any) -> None:
        text = StringIO()
        elsewhere, context.impl.output_buffer = context.impl.output_buffer, text
        why = None
        try:
            own(**given)
        except _Refused:
            why = "it opens a connection of its own"
        except Exception as error:
            line = " ".join(f"{type(error).__name__}: {error}".split())
            why = f"it asks the database ({line[:_LONGEST]})"
        finally:
            context.impl.output_buffer = elsewhere
        try:
            statements = tuple(lexer.statements(text.getvalue()))
        except lexer.Unterminated as error:
            statements, why = (), f"its SQL cannot be read: {error}"
        found.append(Printed(revision=step.revision.revision, statements=statements, why=why))

    return upgrade


@contextmanager
def _quietly() -> Iterator[None]:
    """Let nothing say that revisions are run: env.py sets logging up, and may print."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        logging.disable(before)


@contextmanager
def _without_connections() -> Iterator[None]:
    """Refuse whoever asks SQLAlchemy or a driver that is loaded for a connection."""

    def refuse(*given: Any, **named: Any) -> NoReturn:
        raise _Refused

    with ExitStack() as stack:
        for target, name in ((Engine, "do_connect"), (Pool, "checkout")):
            event.listen(target, name, refuse)
            stack.callback(event.remove, target, name, refuse)
        for module, path in _DRIVERS:
            if (driver := sys.modules.get(module)) is not None:
                *owners, attribute = path.split(".")
                owner = reduce(getattr, owners, driver)
                stack.callback(setattr, owner, attribute, owner.__dict__[attribute])
                setattr(owner, attribute, refuse)
        yield

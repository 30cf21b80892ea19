"""Alembic's own upgrade, with somebody beside it: one deployer at a time, waiting within a budget, blockers named."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from dbtune.errors import DbtuneError, ServerError, Unsafe, UsageError
from dbtune.migration import environment, made
from dbtune.migration.attempt import Attempt, Budget
from dbtune.migration.build import Build
from dbtune.migration.environment import Found
from dbtune.migration.events import Again, Begin, Done, Event, Made
from dbtune.migration.mutex import Mutex
from dbtune.migration.project import Project
from dbtune.migration.replica import Limit
from dbtune.migration.standbys import Standbys
from dbtune.migration.upgrade import Upgrade
from dbtune.server import connection as server
from dbtune.server.connection import MARKER, Target

__all__ = ["Applied", "Budget", "apply", "plan"]

_BACKS_OFF_S = 1.0
_AGAIN = {"55P03": "a lock was not had in time", "40P01": "a deadlock"}
"""SQLSTATEs after which the same may succeed; rows that are not unique, a full disk or missing rights will not pass."""

_BROKEN = range(140_000, 140_004)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What was run, in order, the indexes that were made, the seconds it took, and where the database is now."""

    revisions: tuple[Done, ...]
    indexes: tuple[Made, ...]
    seconds: float
    heads: tuple[str, ...]


def plan(project: Project, revision: str, url: str | None) -> tuple[Found, Target]:
    """Return what an upgrade would run, and where; nothing is changed.

    :raises Unsafe: the server is a standby, builds corrupt indexes, or is behind a pooler in transaction mode.
    """
    found = environment.ask(project, revision)
    given = url or found.url.render_as_string(hide_password=False)
    target = Target(server.parse_url(given, "--url" if url else "env.py's URL"), "--url" if url else "env.py")
    with server.connect(target) as one, server.translated(target):
        _refuse(one, target)
    return found, target


def apply(
    project: Project,
    revision: str = "head",
    url: str | None = None,
    budget: Budget | None = None,
    tell: Callable[[Event], None] = lambda event: None,
    *,
    max_lag: Limit | None = None,
    at_once: bool = False,
) -> Applied:
    """Upgrade to ``revision``; running it again after anything at all finishes what was begun.

    ``tell`` is given what goes on, twice a second. A build begins when no transaction that it would wait for is open,
    unless ``at_once``, and no standby further behind than ``max_lag``. An exception that a signal raises here cancels
    the build on the server first.

    :raises GaveUp: a budget ran out; the message names who was waited for. Or standbys fell too far behind.
    :raises Unsafe: see :func:`plan`, or a revision refuses what it found.
    :raises ServerError: the server refuses.
    """
    budget = budget or Budget()
    began = time.monotonic()
    found, target = plan(project, revision, url)
    if not found.pending:
        return Applied(revisions=(), indexes=(), seconds=0.0, heads=found.heads)
    done: list[Done] = []
    built: list[tuple[str | None, Build]] = []
    with server.translated(target), Mutex(target) as mutex:
        mutex.take(budget.lock, tell)
        found = environment.ask(project, revision)  # another deployer may have done it meanwhile
        if found.pending:
            tell(Begin(server=str(target), heads=found.heads, pending=found.pending))
        for attempt in range(1, budget.attempts + 1) if found.pending else ():
            mutex.take(budget.lock, tell)
            upgrade = Upgrade(project, revision)
            error = Attempt(mutex, upgrade, budget, began, Standbys(max_lag), tell, at_once=at_once).run()
            done += upgrade.done
            built += upgrade.built
            if error is None:
                break
            why = _passing(error)
            if why is None or attempt == budget.attempts:
                raise _told(error)
            pause = _BACKS_OFF_S * 2**attempt * random.uniform(0.5, 1.5)  # no secret
            tell(Again(why=why, attempt=attempt + 1, pause_s=pause))
            time.sleep(pause)
        indexes = made.by(mutex.usable(), [each.revision for each in done], built)
        for index in indexes:
            tell(index)
    now = environment.ask(project, revision)
    return Applied(revisions=tuple(done), indexes=indexes, seconds=time.monotonic() - began, heads=now.heads)


def _refuse(connection: Connection, target: Target) -> None:
    version = server.server_version_num(connection)
    if version in _BROKEN:
        raise Unsafe(f"{target}: PostgreSQL {server.version_text(version)} may build corrupt indexes; update to 14.4")
    if connection.scalar(text(f"{MARKER} SELECT pg_catalog.pg_is_in_recovery()")):
        raise Unsafe(f"{target} is a standby, which takes no changes; name the primary")
    connection.commit()
    here = connection.scalar(text(f"{MARKER} SELECT pg_catalog.pg_backend_pid()"))
    connection.commit()  # a pooler in transaction mode takes its session back here, and gives it to the next
    with server.connect(target) as other:
        shared = other.scalar(text(f"{MARKER} SELECT pg_catalog.pg_backend_pid()")) == here
    if shared:
        raise Unsafe(f"{target} is a pooler in transaction mode, where settings and locks leak; connect to the server")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _passing(error: BaseException) -> str | None:
    """Return why the same may succeed if it is tried again, None where it will not."""
    for each in _causes(error):
        if isinstance(each, DBAPIError):
            if server.is_lost(each):
                return "the connection was lost"
            if (code := server.sqlstate(each)) in _AGAIN:
                return _AGAIN[code or ""]
    return None


def _told(error: BaseException) -> BaseException:
    """Return what the user is told: one line for what a server or Alembic refuses; a fault of the code as it is."""
    from alembic.util import CommandError

    first = next((each for each in _causes(error) if isinstance(each, DBAPIError)), None)
    if isinstance(error, DbtuneError):
        return error
    if isinstance(error, CommandError):
        line = " ".join(str(error).split())
        return Unsafe(line) if first is not None else UsageError(line)
    if first is not None:
        return ServerError(server.reason(first))
    return error

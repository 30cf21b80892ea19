"""Alembic's own upgrade, with somebody beside it: one deployer at a time, waiting within a budget, blockers named."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from dbtune.errors import DbtuneError, GaveUp, ServerError, Unsafe, UsageError
from dbtune.migration import environment, watch
from dbtune.migration.block import lock_key
from dbtune.migration.environment import Found, Pending, Upgrade
from dbtune.migration.project import Project
from dbtune.server import connection as server
from dbtune.server.connection import MARKER, Target

_POLL_S = 0.5
_BACKS_OFF_S = 1.0
_REPEATS_S = 15.0
_AGAIN = {"55P03": "a lock was not had in time", "40P01": "a deadlock"}
"""SQLSTATEs after which the same may succeed; rows that are not unique, a full disk or missing rights will not pass."""

_BROKEN = range(140_000, 140_004)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Seconds: ``lock`` of one wait for somebody else, ``total`` of everything. ``attempts`` count the first."""

    lock: float = 300.0
    total: float = 3600.0
    attempts: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What was run, in order, how long it took in seconds, and where the database is now."""

    revisions: tuple[Pending, ...]
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
    tell: Callable[[str], None] = lambda line: None,
) -> Applied:
    """Upgrade to ``revision``; running it again after anything at all finishes what was begun.

    ``tell`` is given a line whenever what goes on has changed, and every quarter of a minute. A signal that raises here
    cancels the build on the server first.

    :raises GaveUp: a budget ran out; the message names who was waited for.
    :raises Unsafe: see :func:`plan`, or a revision refuses what it found.
    :raises ServerError: the server refuses.
    """
    budget = budget or Budget()
    began = time.monotonic()
    found, target = plan(project, revision, url)
    if not found.pending:
        return Applied(revisions=(), seconds=0.0, heads=found.heads)
    with server.connect(target) as own, server.translated(target):
        own.execution_options(isolation_level="AUTOCOMMIT")
        with _alone(own, budget, tell):
            found = environment.ask(project, revision)  # another deployer may have done it meanwhile
            for attempt in range(1, budget.attempts + 1) if found.pending else ():
                error = _run(own, project, revision, budget, began, tell)
                if error is None:
                    break
                why = _passing(error)
                if why is None or attempt == budget.attempts:
                    raise _told(error)
                pause = _BACKS_OFF_S * 2**attempt * random.uniform(0.5, 1.5)  # no secret
                tell(f"{why}; once more in {pause:.0f} s")
                time.sleep(pause)
    now = environment.ask(project, revision)
    return Applied(revisions=found.pending, seconds=time.monotonic() - began, heads=now.heads)


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


@contextmanager
def _alone(own: Connection, budget: Budget, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the database's lock of upgrades. It is polled for: a session that waits for a lock holds a snapshot."""
    key = lock_key("every upgrade")
    since = time.monotonic()
    told = False
    while not own.scalar(text(f"{MARKER} SELECT pg_catalog.pg_try_advisory_lock(:key)"), {"key": key}):
        if time.monotonic() - since > budget.lock:
            raise GaveUp(f"another deployer held the lock for {budget.lock:.0f} s; run again, nothing was changed")
        if not told:
            tell("another deployer is at work; waiting for it")
            told = True
        time.sleep(_POLL_S * random.uniform(0.5, 1.5))
    try:
        yield
    finally:
        with suppress(DBAPIError):
            own.execute(text(f"{MARKER} SELECT pg_catalog.pg_advisory_unlock(:key)"), {"key": key})


def _run(
    own: Connection,
    project: Project,
    revision: str,
    budget: Budget,
    began: float,
    tell: Callable[[str], None],
) -> BaseException | None:
    """Upgrade once and return what went wrong."""
    upgrade = Upgrade(project, revision)
    upgrade.start()
    waiting: float | None = None
    index: int | None = None
    stage: tuple[object, ...] = ()
    told = 0.0
    try:
        while True:
            if upgrade.ended.wait(_POLL_S):
                return upgrade.error
            seen = watch.look(own, upgrade.pids) if upgrade.pids else None
            if seen is None:
                continue
            index = seen.index or index
            now = time.monotonic()
            if (seen.stage != stage or now - told > _REPEATS_S) and (seen.phase or seen.waits_for):
                tell(seen.line)
                stage, told = seen.stage, now
            waiting = (waiting or now) if seen.waits_for else None
            if now - began > budget.total:
                raise GaveUp(f"gave up after {now - began:.0f} s (--total-budget): {seen.line}")
            if waiting is not None and now - waiting > budget.lock:
                raise GaveUp(f"gave up after {now - waiting:.0f} s (--lock-budget): {seen.line}")
    except BaseException as error:
        left = _stop(own, upgrade, index)
        if isinstance(error, GaveUp):
            raise GaveUp(f"{error}; {left}; run it again") from None
        tell(left)
        raise


def _stop(own: Connection, upgrade: Upgrade, index: int | None) -> str:
    """Cancel what the upgrade's sessions do, until it has ended, and take away the index that it did not finish."""
    while not upgrade.ended.is_set():
        own.execute(text(f"{MARKER} SELECT pg_catalog.pg_cancel_backend(p) FROM unnest(:p) AS p"), {"p": upgrade.pids})
        upgrade.ended.wait(_POLL_S)
    name = index and own.scalar(
        text(
            f"{MARKER} SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_index AS i"
            " JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid"
            " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE i.indexrelid = :index AND NOT i.indisvalid AND c.relkind = 'i'"
        ),
        {"index": index},
    )
    if not name:
        return "nothing is left of it"
    try:
        own.exec_driver_sql(f"{MARKER} SET lock_timeout = '2s'")
        own.exec_driver_sql(f"{MARKER} DROP INDEX CONCURRENTLY IF EXISTS {name}".replace("%", "%%"))
    except DBAPIError:
        return f"{name} stays INVALID until the next run mends it"
    return f"what was built of {name} is dropped"


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

"""The preflight: all that can be known before an upgrade, read without changing anything."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtune.errors import GaveUp, ServerError
from dbtune.migration import environment, replica, status
from dbtune.migration.preflight import blocker, cost, disk, judgement, obstacle, offline, slot, subject
from dbtune.migration.preflight import server as servers
from dbtune.migration.preflight.blocker import ANY, BUILDING, Blocker
from dbtune.migration.preflight.cost import Cost
from dbtune.migration.preflight.disk import Place
from dbtune.migration.preflight.finding import Finding, Level, Verdict, verdict
from dbtune.migration.preflight.judgement import Step
from dbtune.migration.preflight.server import Pooler, Server
from dbtune.migration.preflight.slot import Slot
from dbtune.migration.preflight.subject import State, Subject
from dbtune.migration.preflight.work import Does, Task, task
from dbtune.migration.project import Project
from dbtune.migration.replica import Limit, Replica
from dbtune.migration.status import Broken, Build
from dbtune.server import connection as connections
from dbtune.server import interrupt
from dbtune.server.connection import MARKER, Target
from dbtune.snapshot import read as snapshots
from dbtune.snapshot.value import Snapshot

_SAFELY = {"default_transaction_read_only": "on", "lock_timeout": "2s", "statement_timeout": "60s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """Something that could not be seen: why, and what makes it visible, None where nothing does."""

    what: str
    why: str
    grant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an upgrade to ``revision`` would do and meet. ``heads`` are the revisions that the database is at.

    What comes after ``steps`` is empty where the server was not looked at further, because it is a pooler.
    """

    target: str
    revision: str
    server: Server
    heads: tuple[str, ...]
    steps: tuple[Step, ...]
    blockers: tuple[Blocker, ...] = ()
    min_seconds: float = 0.0
    builds: tuple[Build, ...] = ()
    broken: tuple[Broken, ...] = ()
    replicas: tuple[Replica, ...] = ()
    slots: tuple[Slot, ...] = ()
    places: tuple[Place, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    findings: tuple[Finding, ...] = ()
    verdict: Verdict

    @property
    def worst(self) -> Level | None:
        """The level of the worst finding, None where there is none or nothing is pending."""
        return max((each.level for each in self.findings), default=None)


def read(
    project: Project, revision: str, url: str | None, *, limit: Limit | None = None, min_seconds: float = 1.0
) -> Plan:
    """Return the plan; ``url`` is the database that env.py upgrades, where env.py's engine does not say all of it.

    Everything is read in read-only transactions; see :func:`dbtune.migration.preflight.subject.look` for the exception.
    Transactions that are open for less than ``min_seconds`` are told of, and not called a reason to wait.

    :raises UsageError: Alembic does not know the revision, or env.py upgrades no or several databases.
    :raises ServerError: the server is unreachable, or refuses.
    """
    with redirect_stdout(sys.stderr):  # env.py may print
        found = environment.ask(project, revision)
    titles = {each.revision: each.title for each in found.pending}
    printed = offline.printed(project, revision, found.heads) if found.pending else ()
    tasks = [task(each, titles.get(each.revision, "")) for each in printed]
    given = url or found.url.render_as_string(hide_password=False)
    target = Target(connections.parse_url(given, "--url" if url else "env.py's URL"), "--url" if url else "env.py")
    with connections.connect(target) as connection, connections.translated(target), interrupt.cancelling():
        server = servers.read(connection, target)
        if server.pooler is Pooler.TRANSACTION:  # settings would be other clients', and locks too
            steps = tuple(Step(task=each, subjects=(), costs=()) for each in tasks)
            findings = tuple(judgement.of_server(server))
            return Plan(
                target=str(target),
                revision=revision,
                server=server,
                heads=found.heads,
                steps=steps,
                findings=findings,
                verdict=verdict(findings, len(steps)),
            )
        with _safely(connection):
            return _read(connection, str(target), revision, server, found.heads, tasks, limit, min_seconds)


def _read(
    connection: Connection,
    target: str,
    revision: str,
    server: Server,
    heads: tuple[str, ...],
    tasks: Sequence[Task],
    limit: Limit | None,
    min_seconds: float,
) -> Plan:
    looked = [
        (each, tuple(subject.look(connection, work, server.default_tablespace) for work in each.works))
        for each in tasks
    ]
    snapshot, why = _snapshot(connection, [s for _, subjects in looked for s in subjects])
    steps = tuple(
        Step(task=each, subjects=subjects, costs=tuple(_cost(s, snapshot, server) for s in subjects))
        for each, subjects in looked
    )
    relations, waits_for_snapshots = _relations(steps)
    blockers = blocker.read(connection, relations, snapshots=waits_for_snapshots) if steps else ()
    going_on = status.read(connection)
    replicas, slots = replica.lag(connection), slot.read(connection)
    places = tuple(_places(connection, server, steps))
    connection.rollback()
    findings = tuple(
        _findings(server, steps, snapshot, blockers, going_on.broken, replicas, slots, places, limit, min_seconds)
    )
    return Plan(
        target=target,
        revision=revision,
        server=server,
        heads=heads,
        steps=steps,
        blockers=blockers,
        min_seconds=min_seconds,
        builds=going_on.builds,
        broken=tuple(each for each in going_on.broken if not each.sound),
        replicas=replicas,
        slots=slots,
        places=places,
        unseen=tuple(_unseen(server, steps, places, why)),
        findings=findings,
        verdict=verdict(findings, len(steps)),
    )


def _findings(
    server: Server,
    steps: Sequence[Step],
    snapshot: Snapshot | None,
    blockers: Sequence[Blocker],
    broken: Sequence[Broken],
    replicas: Sequence[Replica],
    slots: Sequence[Slot],
    places: Sequence[Place],
    limit: Limit | None,
    min_seconds: float,
) -> Iterator[Finding]:
    yield from judgement.of_server(server)
    if not steps:
        return
    for number, step in enumerate(steps):
        yield from judgement.of_task(step.task)
        yield from obstacle.of_step(step, steps[:number], server, snapshot)
    yield from judgement.of_blockers(blockers, min_seconds)
    yield from judgement.of_tables(steps, blockers)
    yield from judgement.of_costs(steps, server)
    yield from judgement.of_places(places)
    yield from judgement.of_leftovers(broken, steps)
    yield from judgement.of_replicas(replicas, slots, steps, limit)


def _snapshot(connection: Connection, subjects: Sequence[Subject]) -> tuple[Snapshot | None, str | None]:
    """Return the statistics that sizes are estimated from, or why there are none; not read where nothing is built."""
    if not any(each.builds_on for each in subjects):
        return None, None
    try:
        return snapshots.read(connection), None
    except (GaveUp, ServerError) as error:
        return None, str(error)
    except DBAPIError as error:
        return None, connections.reason(error)


def _cost(each: Subject, snapshot: Snapshot | None, server: Server) -> Cost | None:
    if snapshot is None or each.definition is None or not each.builds_on:
        return None
    tables = [snapshot.table(table.schema, table.name) for table in each.builds_on]
    known = [table for table in tables if table is not None]
    concurrently = each.work.concurrently or each.work.parent
    if len(known) < len(tables) or any(cost.lacks(each.definition.index, table) for table in known):
        return None
    return cost.cost(each.definition, known, snapshot, server, concurrently=concurrently)


def _relations(steps: Sequence[Step]) -> tuple[list[blocker.Relation], bool]:
    """Return the tables with the locks that work on them waits for, and whether it waits for snapshots too."""
    modes: dict[int, tuple[str, frozenset[str], bool]] = {}
    snapshots_ = False
    for each in (s for step in steps for s in step.subjects):
        if each.work.does is Does.CREATE:
            if each.state is State.SAME:
                continue
            wanted = ANY if each.work.constraint else BUILDING
            snapshots_ = snapshots_ or (bool(each.builds_on) and (each.work.concurrently or each.work.parent))
        else:
            is_done = each.work.does is Does.CONSTRAINT and each.existing is not None and each.existing.needed_by
            wanted = frozenset() if is_done else ANY
        for table in (each.table, *each.missing):
            if table is not None and wanted:
                before = modes.get(table.oid, ("", frozenset(), False))[1]
                late = table.freeze_share is not None and table.freeze_share >= 1
                modes[table.oid] = (table.full_name, before | wanted, late)
    relations = [
        blocker.Relation(oid=oid, name=name, modes=held, is_overdue=late) for oid, (name, held, late) in modes.items()
    ]
    return relations, snapshots_


def _places(connection: Connection, server: Server, steps: Sequence[Step]) -> list[Place]:
    indexes: Counter[str] = Counter()
    temporary = wal = 0
    for step in steps:
        for each, costs in zip(step.subjects, step.costs, strict=True):
            if costs is not None:
                indexes[each.tablespace or ""] += costs.bytes
                temporary, wal = max(temporary, costs.temporary), wal + costs.wal
    return disk.read(connection, server, indexes, temporary, wal) if indexes else []


def _unseen(server: Server, steps: Sequence[Step], places: Sequence[Place], why: str | None) -> Iterator[Unseen]:
    if not server.sees_sessions:
        yield Unseen(
            what="other roles' sessions, builds and replicas",
            why="age, state and statement are not shown to this role; that somebody is there is",
            grant=f"GRANT pg_monitor TO {server.role};",
        )
    if why is not None:
        yield Unseen(what="sizes and times", why=why)
    for table in {t.full_name: t for step in steps for s in step.subjects for t in s.builds_on}.values():
        if not table.may_select and not table.is_owner:
            yield Unseen(
                what=f"statistics of {table.full_name}",
                why="the size is a guess",
                grant=f"GRANT SELECT ON {table.full_name} TO {server.role};",
            )
    if places and any(each.free is None for each in places):
        reason = (
            "its folders are not to be reached from here" if server.is_local else "the server is on another machine"
        )
        if server.is_local and server.data_directory is None:
            reason = "this role may not see data_directory"
        yield Unseen(what="free space", why=f"SQL does not tell it, and {reason}: look with df")


@contextmanager
def _safely(connection: Connection) -> Iterator[None]:
    """Let the session only read, and wait for nobody for long; its settings are as before at the end."""
    for name, value in _SAFELY.items():
        connection.exec_driver_sql(f"{MARKER} SET {name} = '{value}'")
    connection.commit()
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.rollback()
            for name in _SAFELY:
                connection.exec_driver_sql(f"{MARKER} RESET {name}")
            connection.commit()

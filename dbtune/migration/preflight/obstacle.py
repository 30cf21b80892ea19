"""What is in the way of one piece of work: what bears the index's name, rights, tables of the wrong kind, locks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbtune.migration.preflight import cost
from dbtune.migration.preflight.finding import Finding, Level
from dbtune.migration.preflight.judgement import Step
from dbtune.migration.preflight.server import Server
from dbtune.migration.preflight.subject import State, Subject, Table
from dbtune.migration.preflight.work import Does, Task, Work, named
from dbtune.snapshot.value import Snapshot

_TABLES = {"r": "table", "p": "partitioned table", "m": "materialised view"}


def of_step(step: Step, before: Sequence[Step], server: Server, snapshot: Snapshot | None) -> Iterator[Finding]:
    """Yield what is in the way of a revision, after those ``before`` it."""
    for subject in step.subjects:
        told = [*_of(subject, step.task, before, server), *_no_column(subject, before, snapshot)]
        for level, rule, message, advice in told:
            yield Finding(level=level, rule=rule, message=message, advice=advice, revision=step.task.revision)


_Told = tuple[Level, str, str, str | None]


def _of(subject: Subject, task: Task, before: Sequence[Step], server: Server) -> Iterator[_Told]:
    work = subject.work
    if work.does is Does.OTHER:
        if not (work.concurrently and work.statement.upper().startswith("REINDEX")):
            yield Level.WARN, "locks-out", f"{_short(work)} locks out writers, or readers too, while it works", None
        return
    if subject.table is None and work.does is not Does.DROP:
        yield from _no_table(subject, before)
        return
    if subject.table is not None and subject.table.kind not in _TABLES:
        yield Level.REFUSE, "no-table", f"{subject.table.full_name} is no table that can have an index", None
        return
    match work.does:
        case Does.CREATE:
            yield from _create(subject, task)
        case Does.DROP:
            yield from _drop(subject, task, before)
        case Does.CONSTRAINT:
            yield from _constraint(subject, before)
    if subject.table is not None and _changes(subject, task):
        yield from _rights(subject, task, server)


def _no_table(subject: Subject, before: Sequence[Step]) -> Iterator[_Told]:
    assert subject.work.table is not None
    name = named(subject.work.table)
    made = [each.task for each in before if any(t.name == subject.work.table.name for t in each.task.creates)]
    if made:
        return
    if unclear := [each.task.revision for each in before if each.task.others or each.task.why is not None]:
        yield Level.WARN, "no-table", f"there is no table {name} yet; {unclear[-1]} may make it", None
    else:
        yield Level.REFUSE, "no-table", f"there is no table {name}", "see which database and search_path this is"


def _no_column(subject: Subject, before: Sequence[Step], snapshot: Snapshot | None) -> Iterator[_Told]:
    """Yield that the index wants columns which the table has not, as far as plain columns go."""
    if snapshot is None or subject.table is None or subject.definition is None or not subject.builds_on:
        return
    known = snapshot.table(subject.table.schema, subject.table.name)
    lacks = cost.lacks(subject.definition.index, known) if known is not None else ()
    if lacks:
        unclear = [each.task.revision for each in before if each.task.others or each.task.why is not None]
        message = f"{subject.table.full_name} has no column {', '.join(lacks)}"
        if unclear:
            yield Level.WARN, "no-column", f"{message} yet; {unclear[-1]} may add it", None
        else:
            yield Level.REFUSE, "no-column", message, None


def _create(subject: Subject, task: Task) -> Iterator[_Told]:
    work, table = subject.work, subject.table
    assert table is not None
    if table.kind == "p" and not work.parent:
        if work.concurrently or task.ours:
            yield (
                Level.REFUSE,
                "partitioned",
                f"{table.full_name} is partitioned, and has no CREATE INDEX CONCURRENTLY",
                "make the revision with dbtune migrate new --url",
            )
        else:
            yield Level.WARN, "holds-up-writes", f"{_short(work)} holds up writes on all partitions", None
        return
    if subject.foreign is not None:
        yield (
            Level.REFUSE,
            "foreign-partition",
            f"{subject.foreign} is a foreign table: the index of {table.full_name} could never be valid",
            "detach it first",
        )
    if task.ours:
        yield from _taken(subject)
    else:
        yield from _plain(subject)


def _taken(subject: Subject) -> Iterator[_Told]:
    """Yield what bears the name, for a revision that looks for itself."""
    match subject.state:
        case State.FOREIGN:
            yield Level.REFUSE, "foreign-index", _other(subject), "it is left alone: rename or drop it yourself"
        case State.UNKNOWN:
            yield (
                Level.WARN,
                "foreign-index",
                f"{subject.index} is there and reads otherwise; whether it is the same, the server was not asked",
                None,
            )


def _plain(subject: Subject) -> Iterator[_Told]:
    """Yield what another tool's CREATE INDEX meets: it looks at nothing but the name, if at that."""
    work = subject.work
    if subject.state is not State.ABSENT:
        if not work.guarded:
            yield Level.REFUSE, "name-taken", f"{subject.index} is there already", "rename or drop it, or stamp"
        elif subject.state is not State.SAME:
            what = "not valid" if subject.state is State.INVALID else "not valid yet, or another index"
            yield (
                Level.WARN,
                "passed-over",
                f"IF NOT EXISTS passes {subject.index} over, which is {what}, and the revision is noted",
                "DROP INDEX CONCURRENTLY it first",
            )
    elif not work.concurrently and subject.table is not None:
        yield (
            Level.WARN,
            "holds-up-writes",
            f"{_short(work)} holds up all writes on {subject.table.full_name} while it builds",
            "build it CONCURRENTLY: dbtune migrate new",
        )


def _drop(subject: Subject, task: Task, before: Sequence[Step]) -> Iterator[_Told]:
    work = subject.work
    if subject.existing is None:
        if not (task.ours or work.guarded or _is_made(subject, before)):
            yield Level.REFUSE, "no-index", f"there is no index {subject.index}", None
        return
    matters = task.ours or subject.existing.needed_by is not None or subject.existing.table_oid is None
    if matters and subject.state is State.FOREIGN:
        yield Level.REFUSE, "foreign-index", _other(subject), "it is left alone"
    elif matters and subject.state is State.UNKNOWN:
        yield from _taken(subject)
    if not work.concurrently and not task.ours:
        yield Level.WARN, "locks-out", f"{_short(work)} locks out readers and writers while it waits for others", None


def _constraint(subject: Subject, before: Sequence[Step]) -> Iterator[_Told]:
    if _is_made(subject, before):
        return
    match subject.state:
        case State.ABSENT:
            yield Level.REFUSE, "no-index", f"there is no index {subject.index} for the constraint", None
        case State.INVALID | State.RUNNING:
            yield Level.REFUSE, "no-index", f"{subject.index} is not valid: no constraint can have it", None
        case State.FOREIGN:
            yield Level.REFUSE, "foreign-index", _other(subject), None


def _is_made(subject: Subject, before: Sequence[Step]) -> bool:
    return any(
        each.work.does is Does.CREATE and each.index == subject.index for step in before for each in step.subjects
    )


def _changes(subject: Subject, task: Task) -> bool:
    """Return whether anything is done that takes rights: a revision of dbtune's also looks, and comments."""
    if subject.work.does is Does.DROP:
        return subject.existing is not None
    return task.ours or subject.state is State.ABSENT


def _rights(subject: Subject, task: Task, server: Server) -> Iterator[_Told]:
    tables: dict[str, Table] = {each.full_name: each for each in (subject.table, *subject.missing) if each is not None}
    for name, table in tables.items():
        if not table.is_owner:
            yield (
                Level.REFUSE,
                "not-owner",
                f"role {server.role} is not the owner of {name}, who is {table.owner}",
                f"connect as {table.owner}, or GRANT {table.owner} TO {server.role};",
            )
    for schema in {table.schema for table in tables.values() if not table.may_use}:
        yield (
            Level.REFUSE,
            "no-usage",
            f"role {server.role} may not use schema {schema}",
            f"GRANT USAGE ON SCHEMA {schema} TO {server.role};",
        )
    if subject.work.does is Does.CREATE:
        for schema in {table.schema for table in tables.values() if not table.may_create}:
            yield (
                Level.REFUSE,
                "no-create",
                f"role {server.role} may not create anything in schema {schema}",
                f"GRANT CREATE ON SCHEMA {schema} TO {server.role};",
            )
        if subject.tablespace is not None and not subject.tablespace_right:
            what = "there is no tablespace" if subject.tablespace_right is None else "no right to use tablespace"
            yield Level.REFUSE, "tablespace", f"{what} {subject.tablespace}", None
    if task.ours and not server.may_make_temporary:
        yield (
            Level.REFUSE,
            "no-temporary",
            f"role {server.role} may not make temporary tables in {server.database}",
            f"GRANT TEMPORARY ON DATABASE {server.database} TO {server.role};",
        )


def _other(subject: Subject) -> str:
    existing = subject.existing
    assert existing is not None
    if existing.needed_by is not None:
        return f"{subject.index} is needed by {existing.needed_by}"
    if existing.definition is None:
        return f"{subject.index} is no index, but something else of that name"
    return f"{subject.index} is another index: {existing.definition}"


def _short(work: Work) -> str:
    return work.statement if len(work.statement) <= 60 else f"{work.statement[:59]}…"

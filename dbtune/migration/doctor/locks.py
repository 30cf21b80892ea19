"""Statements of env.py's own that do not go together with a build: locks that are waited for, settings that end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dbtune.migration.doctor import mends
from dbtune.migration.doctor.finding import Edit, Finding, Severity
from dbtune.migration.doctor.place import found
from dbtune.migration.doctor.trace import Configured, Ran, Way
from dbtune.migration.doctor.values import How, Statement

_NEEDED = re.compile(r"(?i)\b(search_path|role|session\s+authorization)\b")


def judge(ways: Sequence[Way]) -> Iterator[Finding]:
    """Yield what is wrong with the statements that env.py sends before the migrations."""
    for way in ways:
        if way.offline:
            continue
        for ran in way.ran:
            configured = ran.configured
            if configured is None or configured.connection is None:
                continue
            for each in way.statements[: configured.sent + len(ran.before)]:
                yield from _lock(each, configured, ran)
            for each in ran.before:
                if each.connection is configured.connection and mends.is_local(each.sql):
                    yield _local(each, configured)


def settled(statement: Statement, *, is_last: bool) -> list[Edit | None]:
    """Return the edits after which a statement before configure() leaves no transaction, and what it set stays."""
    source = statement.site.source
    node = source.statement(statement.site.node)
    last = node.end_lineno or node.lineno
    if mends.lock(statement.sql) is not None:
        return [_polled_here(statement)]
    if mends.is_local(statement.sql):
        edit = mends.unlocalled(statement)
        if edit is None or not mends.own_lines(source, node) or (edit.line, edit.last) != (node.lineno, last):
            return [None]
        commit = f"{source.indent(node)}{mends.committed(statement)}"
        return [Edit(file=edit.file, line=edit.line, last=last, lines=(*edit.lines, *([commit] if is_last else [])))]
    return [mends.added_after(source, node, mends.committed(statement))] if is_last else []


def _polled_here(statement: Statement) -> Edit | None:
    """Return the edit that polls for a lock where it was waited for."""
    source = statement.site.source
    node = source.statement(statement.site.node)
    lines = mends.polling(statement, statement.receiver)
    if lines is None or not mends.own_lines(source, node):
        return None
    last, indent = node.end_lineno or node.lineno, source.indent(node)
    return Edit(file=source.path, line=node.lineno, last=last, lines=tuple(f"{indent}{line}" for line in lines))


def _lock(statement: Statement, configured: Configured, ran: Ran) -> Iterator[Finding]:
    name = mends.lock(statement.sql)
    if name is None or name.endswith("_shared"):
        return
    is_own = statement.connection is configured.connection
    if is_own and "xact" in name:
        if statement in ran.before:
            yield _ends(statement)
        return
    yield found(
        "advisory-lock",
        Severity.ERROR,
        statement.site,
        f"env.py waits for a lock in {name}()",
        "A second deployer waits in that statement, with a snapshot. CREATE INDEX CONCURRENTLY waits for snapshots, the"
        " first deployer's build for the second, the second for the lock: "
        + (
            "the server ends one of them as a deadlock (40P01), often the build, and leaves an INVALID index."
            if is_own
            else "the server sees no deadlock between the two sessions of the first, and both wait for ever."
        ),
        "ask for the lock now and then, outside of transactions, or leave it to dbtune migrate apply,"
        " which lets one deployer at a time through",
        _polled(statement, configured, ran),
    )


def _polled(statement: Statement, configured: Configured, ran: Ran) -> list[Edit | None]:
    """Return the edits that poll for a lock before configure(), where no transaction of Alembic's is in the way."""
    if statement.connection is not configured.connection or statement not in ran.before:
        return [None if statement.begun not in (None, How.STATEMENT) else _polled_here(statement)]
    source = configured.site.source
    receiver = _connection_words(configured)
    lines = mends.polling(statement, receiver) if receiver else None
    if lines is None:
        return [None]
    moved = mends.added_before(source, source.statement(configured.site.node), *lines)
    return [moved, mends.deleted(statement.site.source, statement.site.source.statement(statement.site.node))]


def _connection_words(configured: Configured) -> str:
    """Return how the connection is written that configure() is given."""
    node = configured.site.node
    given = [each.value for each in getattr(node, "keywords", []) if each.arg == "connection"]
    given += getattr(node, "args", [])[:1]
    return configured.site.source.text(given[0]) if given else ""


def _ends(statement: Statement) -> Finding:
    return found(
        "transaction-lock",
        Severity.WARNING,
        statement.site,
        "the lock that keeps other deployers out ends with its transaction",
        "An index build commits the transaction, and the next deployer gets the lock while the rest is still to run."
        " dbtune's revisions take turns; the later deployer stops when it notes the same revision"
        " (expected to match one row). Run again, it has nothing to do.",
        "use dbtune migrate apply, which lets one deployer at a time through, or poll for a lock of the session"
        " (pg_try_advisory_lock) before context.configure()",
    )


def _local(statement: Statement, configured: Configured) -> Finding:
    """Report SET LOCAL in the transaction that an index build ends."""
    needed = _NEEDED.search(statement.sql)
    name = needed[0].lower() if needed is not None else ""
    noted_elsewhere = name == "search_path" and configured.option("version_table_schema") is not None
    what = {
        "search_path": "the revision's note goes to another schema's version table, or fails because there is none, and"
        " later revisions make their tables elsewhere",
        "": "the rest of the upgrade runs without it",
    }.get(name, "the index is built by the role that connected, which may not own the table")
    return found(
        "set-local",
        Severity.ERROR if name and not noted_elsewhere else Severity.WARNING,
        statement.site,
        "SET LOCAL ends with the transaction, which an index build commits",
        f"Once an index is built, {what}.",
        "set it for the session",
        [mends.unlocalled(statement)],
    )

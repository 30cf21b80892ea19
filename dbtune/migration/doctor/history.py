"""What is wrong with the revisions of a project, and with their order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dbtune.migration.doctor.finding import Finding, Fix, Severity
from dbtune.migration.doctor.place import found
from dbtune.migration.doctor.revisions import History, Revision
from dbtune.migration.doctor.settings import Line, Settings, lines
from dbtune.migration.doctor.source import Site
from dbtune.migration.project import LONGEST_ID


def judge(history: History, settings: Settings, directory: Path) -> Iterator[Finding]:
    """Yield what keeps Alembic from loading the revisions, and dbtune from adding one."""
    for trouble in history.troubles:
        text = lines(trouble.path)[trouble.line - 1] if trouble.line is not None else None
        yield Finding(
            id="revision-file",
            severity=Severity.ERROR,
            file=trouble.path,
            line=trouble.line,
            source=text,
            message=f"Alembic cannot load this file as a revision: {trouble.reason}",
            why="Alembic loads every .py file in this folder before it does anything: nothing can be upgraded.",
            fix=Fix(text="mend the file, or move it out of the folder"),
        )
    for revision in (*history.revisions.values(), *history.twice):
        yield from _revision(revision, history)
    yield from _heads(history, settings, directory)


def _revision(revision: Revision, history: History) -> Iterator[Finding]:
    site = _site(revision, revision.line)
    missing = [id for id in (*(revision.down or ()), *_full(revision, history)) if id not in history.revisions]
    if missing and not history.unread and not history.troubles:
        yield found(
            "revision-missing",
            Severity.ERROR,
            _site(revision, revision.down_line),
            f"revision {revision.id} follows {', '.join(missing)}, which is not there",
            "Alembic cannot put the revisions in order: nothing can be upgraded.",
            "bring the file back; a revision that some database is at must stay",
        )
    if revision in history.twice:
        yield found(
            "revision-twice",
            Severity.WARNING,
            site,
            f"there are two revisions {revision.id}",
            f"Alembic warns, and uses one of them; the other is in {history.revisions[revision.id].source.path.name}.",
            "give one of them an id of its own",
        )
    if len(revision.id) > LONGEST_ID:
        yield found(
            "revision-id-too-long",
            Severity.ERROR,
            site,
            f"the id of revision {revision.id} has {len(revision.id)} characters",
            f"The version table keeps {LONGEST_ID}: the revision runs, and noting it fails (22001). What it did outside"
            " of its transaction stays.",
            f"give it an id of at most {LONGEST_ID} characters",
        )


def _site(revision: Revision, line: int) -> Site:
    """Return the statement in a line of a revision's file."""
    body = revision.source.tree.body
    return Site(revision.source, next((node for node in body if node.lineno == line), body[0]))


def _full(revision: Revision, history: History) -> Iterator[str]:
    """Yield what a revision depends on, by id: labels and the beginnings of ids will do for Alembic."""
    labels = {label for each in history.revisions.values() for label in each.labels}
    for name in revision.needs or ():
        if name not in labels and not any(id.startswith(name) for id in history.revisions):
            yield name


def _heads(history: History, settings: Settings, directory: Path) -> Iterator[Finding]:
    heads = history.heads
    if history.unread:
        names = ", ".join(path.name for path in history.unread[:3]) + (", …" if len(history.unread) > 3 else "")
        yield _about(
            "revision-unread",
            Severity.INFO,
            history.unread[0],
            f"the ids of {len(history.unread)} revision{'s' if len(history.unread) > 1 else ''} are not written down"
            f" as they are ({names})",
            "Nothing is executed here, so the heads were not counted.",
            "alembic heads shows them",
        )
        return
    if not history.revisions and not history.troubles:
        yield _about(
            "no-heads",
            Severity.INFO,
            history.folders[0] if history.folders else directory,
            "there is no revision yet",
            "There is nothing for an index to follow; dbtune migrate new makes the first one, with down_revision None.",
            None,
        )
    if len(heads) > 1:
        yield _several_heads(history, heads, settings)


def _several_heads(history: History, heads: tuple[str, ...], settings: Settings) -> Finding:
    labelled = all(any(history.revisions[id].labels for id in history.ancestors(head)) for head in heads)
    first = history.revisions[heads[0]]
    line = Line(file=first.source.path, number=first.line, text=first.source.lines[first.line - 1])
    return Finding(
        id="several-heads",
        severity=Severity.WARNING if labelled else Severity.ERROR,
        file=line.file,
        line=line.number,
        source=line.text,
        message=f"there are {len(heads)} heads: {', '.join(heads)}",
        why="alembic upgrade head refuses, and so does dbtune migrate new without --head."
        + (" The branches have labels: upgrade heads, or LABEL@head." if labelled else ""),
        fix=Fix(text="say which one to follow: dbtune migrate new --head, and upgrade to heads" if labelled else
                'join them: alembic merge heads -m "merge"'),
    )  # fmt: skip


def _about(id: str, severity: Severity, path: Path, message: str, why: str, text: str | None) -> Finding:
    return Finding(
        id=id,
        severity=severity,
        file=path,
        line=None,
        source=None,
        message=message,
        why=why,
        fix=None if text is None else Fix(text=text),
    )

"""Findings about a place in a Python file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dbtune.migration.doctor.finding import Edit, Finding, Fix, Severity
from dbtune.migration.doctor.settings import Line
from dbtune.migration.doctor.source import Site


def found(
    id: str, severity: Severity, site: Site, message: str, why: str, text: str | None, edits: Iterable[Edit | None] = ()
) -> Finding:
    """Return a finding; an edit that could not be made leaves the words alone to say what to do."""
    made = list(edits)
    return Finding(
        id=id,
        severity=severity,
        file=site.source.path,
        line=site.line,
        source=site.source.lines[site.line - 1],
        message=message,
        why=why,
        fix=None
        if text is None
        else Fix(text=text, edits=() if None in made else tuple(e for e in made if e is not None)),
    )


def at_line(
    id: str, severity: Severity, line: Line, message: str, why: str, text: str, lines: Sequence[str] | None = None
) -> Finding:
    """Return a finding about a line of a configuration file; ``lines`` are to stand in its place."""
    edits = () if lines is None else (Edit(file=line.file, line=line.number, last=line.number, lines=tuple(lines)),)
    return Finding(
        id=id,
        severity=severity,
        file=line.file,
        line=line.number,
        source=line.text,
        message=message,
        why=why,
        fix=Fix(text=text, edits=edits),
    )

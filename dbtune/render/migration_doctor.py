"""The findings of ``dbtune migrate doctor``: each with its place, what goes wrong, and the lines to write."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

from dbtune.migration.doctor.finding import Edit, Finding, Report, Severity, masked
from dbtune.render.document import SCHEMA_VERSION


def document(report: Report) -> dict[str, Any]:
    """Return it for programs. Lines count from 1; an edit replaces ``line`` to ``last``, or inserts before ``line``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "migrate doctor",
        "config": _shown(report.config),
        "env": None if report.env is None else _shown(report.env),
        "summary": {severity.word: _count(report, severity) for severity in reversed(Severity)},
        "findings": [_document(each) for each in report.findings],
    }


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "severity": finding.severity.word,
        "file": _shown(finding.file),
        "line": finding.line,
        "source": None if finding.source is None else masked(finding.source),
        "message": masked(finding.message),
        "why": finding.why,
        "fix": None
        if finding.fix is None
        else {
            "text": finding.fix.text,
            "edits": [
                {
                    "file": _shown(each.file),
                    "action": each.action,
                    "line": each.line,
                    "last": each.last,
                    "lines": [masked(line) for line in each.lines],
                }
                for each in finding.fix.edits
            ],
        },
    }


def screen(report: Report, width: int) -> str:
    """Return it for people, in ``width`` columns; code is not wrapped."""
    told = ["\n".join(_finding(each, width)) for each in report.findings]
    return "\n\n".join([*told, _sum(report)]) + "\n"


def _finding(finding: Finding, width: int) -> list[str]:
    lines = textwrap.wrap(
        f"{_place(finding)}: {finding.severity.word}: {masked(finding.message)} [{finding.id}]",
        width,
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    if finding.source is not None and finding.line is not None:
        lines.append(f"{finding.line:>6} | {masked(finding.source)}")
    lines += _paragraph(finding.why, width)
    if finding.fix is not None:
        lines += _paragraph(f"Fix: {finding.fix.text}" + (":" if finding.edits else ""), width)
    for edit in finding.edits:
        lines.append(f"  {_what(edit, finding)}")
        lines += [f"       + {masked(line)}".rstrip() for line in edit.lines]
    return lines


def _paragraph(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )


def _what(edit: Edit, finding: Finding) -> str:
    """Return where the lines go, in words; the file where it is another one."""
    where = f"line {edit.line}" if edit.last <= edit.line else f"lines {edit.line} to {edit.last}"
    elsewhere = "" if edit.file == finding.file else f" of {_shown(edit.file)}"
    match edit.action:
        case "insert before":
            return f"add above {where}{elsewhere}"
        case "delete":
            return f"take {where}{elsewhere} away"
    return f"in place of {where}{elsewhere}"


def markdown(report: Report) -> str:
    """Return it for a pull request."""
    told = [f"**{_sum(report)}**"]
    for each in report.findings:
        lines = [f"### `{_place(each)}` {each.severity.word}: {masked(each.message)} (`{each.id}`)", ""]
        if each.source is not None:
            lines += ["```python", masked(each.source), "```", ""]
        lines.append(each.why)
        if each.fix is not None:
            lines += ["", f"Fix: {each.fix.text}{':' if each.edits else '.'}"]
        for edit in each.edits:
            lines += ["", f"{_what(edit, each)}"]
            if edit.lines:
                lines += ["", "```python", *map(masked, edit.lines), "```"]
        told.append("\n".join(lines))
    return "\n\n".join(told) + "\n"


def _sum(report: Report) -> str:
    found = [
        f"{count} {severity.word}{'s' if count > 1 and severity is not Severity.INFO else ''}"
        for severity in reversed(Severity)
        if (count := _count(report, severity))
    ]
    return f"read {' and '.join(_shown(Path(each)) for each in report.read)}: {', '.join(found) or 'nothing found'}"


def _count(report: Report, severity: Severity) -> int:
    return sum(each.severity is severity for each in report.findings)


def _place(finding: Finding) -> str:
    return _shown(finding.file) + ("" if finding.line is None else f":{finding.line}")


def _shown(path: Path) -> str:
    """Return a path as one would write it here: below the working folder without it."""
    try:
        return os.fspath(path.relative_to(Path.cwd()) if path.is_absolute() else path)
    except ValueError:
        return os.fspath(path)

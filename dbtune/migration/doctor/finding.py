"""What the doctor finds, as data: where, what goes wrong, and the lines to write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class Severity(IntEnum):
    """Whether an index revision fails or is noted wrongly, something else goes wrong, or it is good to know."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Lines to write in ``file`` in place of ``line`` to ``last``, both counted from 1 and included.

    They are inserted before ``line`` where ``last`` is one less; no ``lines`` take lines away.
    """

    file: Path
    line: int
    last: int
    lines: tuple[str, ...]

    @property
    def action(self) -> str:
        if self.last < self.line:
            return "insert before"
        return "replace" if self.lines else "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What to do, in words, and the lines to write where they can be told."""

    text: str
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing worth knowing. ``line`` counts from 1 and ``source`` is that line; None where no line is to blame.

    ``message`` is what is there, ``why`` what goes wrong because of it. Source and lines may hold a password:
    :func:`masked` takes it out before anybody sees them.
    ``fix`` is None where there is nothing to do.
    """

    id: str
    severity: Severity
    file: Path
    line: int | None
    source: str | None
    message: str
    why: str
    fix: Fix | None

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The lines to write."""
        return () if self.fix is None else self.fix.edits


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was read, in words, and what was found, the worst first."""

    config: Path
    env: Path | None
    read: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Severity | None:
        return max((each.severity for each in self.findings), default=None)


def inserted(file: Path, line: int, *lines: str) -> Edit:
    """Return the edit that writes lines before ``line``."""
    return Edit(file=file, line=line, last=line - 1, lines=lines)


def applied(lines: Sequence[str], edits: Iterable[Edit]) -> list[str]:
    """Return the lines of a file with the edits made. No two of them are for the same line."""
    made = list(lines)
    for edit in sorted(set(edits), key=lambda each: (each.line, each.last), reverse=True):
        made[edit.line - 1 : edit.last] = edit.lines
    return made


_IN_URL = re.compile(r"(://[^:/@\s\"']*):(?!\{[^{}]*\}@)[^\s\"']+@")
_BY_NAME = re.compile(
    r"""(?i)((?:password|passwd|pgpassword)["']?\s*[=:]\s*["']?)(?!["']?(?:\{|os\.|None|\w+\())[^&\s"',)]+"""
)


def masked(text: str) -> str:
    """Return ``text`` without the passwords in URLs, connection strings and arguments; names of values stay."""
    return _BY_NAME.sub(r"\1***", _IN_URL.sub(r"\1:***@", text))

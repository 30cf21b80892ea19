"""What is wrong with a server's connections, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Severity(IntEnum):
    """How soon somebody should look: some day, this week, now."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        return self.name.lower()


Evidence = float | int | str | bool | None | list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing worth knowing. ``check`` is its stable id, ``object`` what it is about, ``action`` the next step."""

    check: str
    object: str
    severity: Severity
    message: str
    action: str
    evidence: Mapping[str, Evidence] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """Something that could not be known, why, and what would tell it."""

    what: str
    why: str
    remedy: str | None = None

"""What a check finds, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """How soon somebody should look: some day, this week, now."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        return self.name.lower()


class Confidence(StrEnum):
    """How far the evidence reaches: a fact of the catalogs or long counting, some counting, little or an estimate."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


Evidence = float | int | str | bool | None | list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """A statement for ``dbtune migrate new``; ``replaces`` is an index that goes when the new one is there, as SQL.

    ``asks_server`` tells that only a server knows what the statement leaves out: a DROP has to be undone one day.
    """

    statement: str
    replaces: str | None = None
    asks_server: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sql:
    """A statement to send as it is."""

    statement: str


Remedy = Migration | Sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What one check saw at one object; :func:`dbtune.health.judging.judge` makes a :class:`Finding` of it.

    ``object`` is the object as SQL with its schema, or ``setting NAME``, ``slot NAME`` and the like. ``weight``
    puts the most worthwhile first among those of one severity. ``comment`` is the object's, where people may have said
    that they accept it.
    """

    object: str
    severity: Severity
    message: str
    action: str
    confidence: Confidence = Confidence.HIGH
    remedy: Remedy | None = None
    doubts: tuple[str, ...] = ()
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    size_bytes: int | None = None
    weight: float = 0.0
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing worth knowing: the check's id and title, and what it saw. ``ignored`` is why somebody accepts it."""

    check: str
    title: str
    object: str
    severity: Severity
    confidence: Confidence
    message: str
    action: str
    resolved: str
    remedy: Remedy | None = None
    doubts: tuple[str, ...] = ()
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    size_bytes: int | None = None
    ignored: str | None = None

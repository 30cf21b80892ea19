"""The whole of what is told: findings, what was checked and is sound, what could not be checked and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dbtune.health.finding import Finding, Severity
from dbtune.health.section import Section
from dbtune.health.span import Span
from dbtune.health.state import Unseen
from dbtune.health.values.server import Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchecked:
    """A check that could not be made."""

    check: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """All indexes of the database, partitioned ones once, and their tables."""

    indexes: int
    index_bytes: int
    tables: int
    table_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``findings`` are the most urgent first, those that somebody accepts among them. ``sound`` found nothing.

    ``spans`` tell over which time each section was counted. ``replicas`` are the other servers that were asked.
    """

    server: Server
    spans: Mapping[Section, Span]
    findings: tuple[Finding, ...]
    sound: tuple[str, ...]
    unchecked: tuple[Unchecked, ...]
    unseen: tuple[Unseen, ...] = ()
    notes: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ()
    totals: Totals | None = None
    history: str | None = None

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings that nobody accepts."""
        return tuple(finding for finding in self.findings if finding.ignored is None)

    def reaches(self, severity: Severity) -> bool:
        """Return whether a finding that nobody accepts is of that severity or worse."""
        return any(finding.severity >= severity for finding in self.open)

"""What a rule finds in a plan, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """How much of the statement is concerned: under a tenth, a tenth or more, half or more of its time."""

    INFO = 1
    WARN = 2
    HIGH = 3

    @property
    def word(self) -> str:
        return self.name.lower()


class Confidence(StrEnum):
    """What a finding rests on: a run with captured values, one with values sampled from statistics, or estimates."""

    MEASURED = "measured"
    SAMPLED = "sampled"
    ESTIMATED = "estimated"


Evidence = float | int | str | bool | list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What one rule saw at one place; :func:`dbtune.plan.rules.judge` makes a :class:`Finding` of it.

    ``share`` is the part of the statement that is concerned, 0 to 1. ``avoidable`` is the part of ``share`` that the
    advice would save, 0 to 1; None where nobody can tell. ``severity`` overrides what follows from the share.
    """

    message: str
    advice: str
    share: float
    avoidable: float | None = None
    node: int | None = None
    relation: str | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing worth knowing about a plan.

    ``rule`` is the stable id, such as A1, and ``name`` its spelling in words. ``node`` is the place in the plan.
    ``saves_ms`` is what the advice would save of one execution, None where that is not known. ``because_of`` is the
    rule that found the root cause of this, ``leads_to`` are the rules that found what this leads to.
    """

    rule: str
    name: str
    title: str
    severity: Severity
    message: str
    advice: str
    share: float
    saves_ms: float | None
    confidence: Confidence
    node: int | None = None
    relation: str | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    because_of: str | None = None
    leads_to: tuple[str, ...] = ()

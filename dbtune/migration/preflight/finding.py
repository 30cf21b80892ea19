"""What a preflight found, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Level(IntEnum):
    """How much it matters: worth knowing; the upgrade would wait, or may fail; it would be refused."""

    INFO = 1
    WARN = 2
    REFUSE = 3

    @property
    def word(self) -> str:
        """Its name, as options have it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing. ``rule`` is its stable name, ``revision`` the one that it is about, None for the whole upgrade.

    ``message`` says what, ``advice`` what to do about it. ``waits_for`` is who would be waited for, in few words.
    """

    level: Level
    rule: str
    message: str
    advice: str | None = None
    revision: str | None = None
    waits_for: str | None = None


class Outcome(StrEnum):
    """What an upgrade would do now."""

    READY = "ready"
    WAIT = "would wait"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome, and why in a line."""

    outcome: Outcome
    why: str


def verdict(findings: tuple[Finding, ...], pending: int) -> Verdict:
    """Return what the findings add up to, for so many pending revisions."""
    refused = [each for each in findings if each.level is Level.REFUSE]
    if refused:
        return Verdict(outcome=Outcome.REFUSED, why=_summed([each.message for each in refused]))
    if not pending:
        return Verdict(outcome=Outcome.READY, why="nothing is pending")
    waits = [each.waits_for for each in findings if each.waits_for is not None]
    if waits:
        return Verdict(outcome=Outcome.WAIT, why=f"for {_summed(waits)}")
    warned = [each for each in findings if each.level is Level.WARN]
    if warned:
        return Verdict(outcome=Outcome.READY, why=f"but {_summed([each.message for each in warned])}")
    return Verdict(outcome=Outcome.READY, why="nobody is in the way")


def _summed(messages: list[str]) -> str:
    more = f", and {len(messages) - 1} more" if len(messages) > 1 else ""
    return f"{messages[0]}{more}"

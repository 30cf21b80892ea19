"""What is wrong with a plan that cannot be read."""

from __future__ import annotations


class UnreadablePlan(ValueError):
    """Text that holds no plan, or only a part of one: ``reason`` says what and what to do.

    ``line`` counts from 1 in the text as it was given; None where no line is to blame.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        self.reason = reason
        self.line = line
        super().__init__(reason if line is None else f"line {line}: {reason}")

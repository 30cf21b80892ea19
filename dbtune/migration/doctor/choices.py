"""The ways through a program whose conditions are not known: one after the other, until all were had."""

from __future__ import annotations

from collections.abc import Iterator

MOST = 1000
"""Ways that are looked at; env.py files seen in public have less than a hundred."""


class Choices:
    """Answers for one way. A walk asks; the next way gets the next combination of answers."""

    def __init__(self) -> None:
        self._given: list[list[int]] = []
        self._asked = 0

    def pick(self, options: int = 2) -> int:
        """Return a number below ``options``, the first time around 0."""
        if self._asked == len(self._given):
            self._given.append([0, options])
        self._asked += 1
        return self._given[self._asked - 1][0]

    def ways(self) -> Iterator[int]:
        """Yield once for each way, with its number; at most :data:`MOST` times."""
        for number in range(MOST):
            self._asked = 0
            yield number
            del self._given[self._asked :]
            while self._given and self._given[-1][0] == self._given[-1][1] - 1:
                self._given.pop()
            if not self._given:
                return
            self._given[-1][0] += 1

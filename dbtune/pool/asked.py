"""What is asked of the pools: how often, for how long, and who said so."""

from __future__ import annotations

from dataclasses import dataclass, field

from dbtune.errors import UsageError
from dbtune.pool.curve import Curve, Point, fit
from dbtune.pool.prediction import Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A demand with where its numbers come from, and what speaks against touching the pool at all."""

    demand: Demand
    sources: dict[str, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()

    @property
    def busy(self) -> float:
        """Return the mean number of connections in use if none had to wait: λ·H, or what X(n) = λ takes."""
        return self.hold * self.demand.rate

    @property
    def hold(self) -> float:
        """Return the seconds of one hold with as many connections busy as the rate keeps busy."""
        curve = self.demand.curve
        busy = self.demand.rate * curve.hold(1)
        if curve.is_straight:
            return curve.hold(1)
        most = int(curve.peak) if curve.peak < 10_000 else 10_000
        n = next((n for n in range(1, most + 1) if curve.per_second(n) >= self.demand.rate), None)
        return curve.hold(n if n is not None else busy)


def points(text: str) -> tuple[Point, ...]:
    """Return a curve's points as people write them: ``1:10,2:19,4:33``, connections and what they do in a second.

    :raises UsageError: it is not that.
    """
    found = []
    for part in text.split(","):
        n, _, done = part.partition(":")
        try:
            found.append(Point(n=float(n), per_second=float(done)))
        except ValueError:
            raise UsageError(f"--curve: {part!r} is not n:per_second; write the points as 1:10,2:19,4:33") from None
    return tuple(found)


def curve(text: str) -> Curve:
    """Return the curve through points as people write them.

    :raises UsageError: see :func:`points` and :func:`dbtune.pool.curve.fit`.
    """
    return fit(points(text))

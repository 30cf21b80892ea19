"""What a server gets done with n connections busy, X(n): straight, or the universal scalability law fitted to points.

X(n) = γn / (1 + α(n-1) + βn(n-1)), Gunther, *Guerrilla Capacity Planning*, 2007; its peak is at n* = √((1-α)/β).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dbtune.errors import UsageError

_RESAMPLES = 200
_LEAST_POINTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A measurement: ``n`` connections busy, a mean that need not be whole, and what they got done in a second."""

    n: float
    per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """X(n). ``gamma`` is what one connection does in a second, ``alpha`` contention, ``beta`` coherency.

    Both 0: a straight line. Where ``points`` are given, in order of n, the curve goes through them and the law only
    beyond the last, where it is a guess, and a bad one. ``low`` and ``high`` bound the peak with 90 % confidence.
    ``others`` are connections that others have busy on the same server: of n + others, n get their share.
    """

    gamma: float
    alpha: float = 0.0
    beta: float = 0.0
    points: tuple[Point, ...] = ()
    low: float | None = None
    high: float | None = None
    others: float = 0.0

    def __post_init__(self) -> None:
        if not self.gamma > 0 or self.alpha < 0 or self.beta < 0:
            raise UsageError("a throughput curve needs γ > 0, α ≥ 0 and β ≥ 0")

    @classmethod
    def straight(cls, hold: float) -> Curve:
        """Return that of holds of ``hold`` seconds which do not disturb each other."""
        if not hold > 0:
            raise UsageError("the hold time must be more than 0")
        return cls(gamma=1 / hold)

    def per_second(self, n: float) -> float:
        """Return X(n), in 1/s."""
        if n <= 0:
            return 0.0
        every = n + self.others
        return n / every * self._whole(every)

    def _whole(self, n: float) -> float:
        if not self.points:
            return self._law(n)
        last = self.points[-1]
        if n >= last.n:
            return last.per_second * self._law(n) / self._law(last.n)
        before = Point(n=0, per_second=0)
        for point in self.points:
            if n <= point.n:
                share = (n - before.n) / (point.n - before.n)
                return before.per_second + share * (point.per_second - before.per_second)
            before = point
        raise AssertionError(n)

    def _law(self, n: float) -> float:
        return self.gamma * n / (1 + self.alpha * (n - 1) + self.beta * n * (n - 1))

    def hold(self, n: float) -> float:
        """Return how many seconds one holds its connection while ``n`` are busy: n / X(n)."""
        n = n or 1
        return n / self.per_second(n)

    @property
    def is_straight(self) -> bool:
        """Return whether holds do not disturb each other."""
        return not (self.alpha or self.beta or self.points)

    @property
    def reach(self) -> float | None:
        """Return the largest n that was measured, None where nothing was."""
        return self.points[-1].n if self.points else None

    @property
    def peak(self) -> float:
        """Return the law's n*, beyond which more connections get less done; infinite where there is no such point."""
        if self.beta <= 0:
            return math.inf
        return math.sqrt(max(0.0, 1 - self.alpha) / self.beta) or 1.0

    @property
    def most(self) -> float:
        """Return the highest X(n), in 1/s, of what was measured, else of the law."""
        if self.points:
            return max(point.per_second for point in self.points)
        if math.isinf(self.peak):
            return self.gamma / self.alpha if self.alpha else math.inf
        return max(self._law(max(1, math.floor(self.peak))), self._law(math.ceil(self.peak)))

    def times(self, factor: float) -> Curve:
        """Return the curve of a server that does everything ``factor`` times as fast."""
        return replace(
            self,
            gamma=self.gamma * factor,
            points=tuple(Point(n=point.n, per_second=point.per_second * factor) for point in self.points),
        )

    def beside(self, others: float) -> Curve:
        """Return what is left of the curve for those who share the server with ``others`` busy connections."""
        return replace(self, others=others)


def fit(points: Sequence[Point]) -> Curve:
    """Return the curve through the points, and beyond them the law that fits them best, with a range of its peak.

    The fit is linear in (1, n-1, n(n-1)) for n/X, relative errors weigh alike, and coefficients that come out negative
    are taken as 0; the range is bootstrapped from the residuals. Points of the same n are averaged.

    :raises UsageError: fewer than three different n, or one that got nothing done.
    """
    if any(point.n <= 0 or point.per_second <= 0 for point in points):
        raise UsageError("a point of a throughput curve must be more than 0 in both numbers")
    by_n: dict[float, list[float]] = {}
    for point in points:
        by_n.setdefault(point.n, []).append(point.per_second)
    if len(by_n) < _LEAST_POINTS:
        raise UsageError("a throughput curve needs at least three different numbers of connections")
    gamma, alpha, beta = _coefficients(points)
    law = Curve(gamma=gamma, alpha=alpha, beta=beta)
    errors = [math.log(point.per_second / law.per_second(point.n)) for point in points]
    spread = math.sqrt(len(points) / max(1, len(points) - _LEAST_POINTS))  # residuals of a fit are too small
    dice = random.Random(1)  # the same points give the same answer
    peaks = []
    for _ in range(_RESAMPLES):
        shaken = [
            Point(n=point.n, per_second=law.per_second(point.n) * math.exp(spread * dice.choice(errors)))
            for point in points
        ]
        gamma, alpha, beta = _coefficients(shaken)
        peaks.append(Curve(gamma=gamma, alpha=alpha, beta=beta).peak)
    peaks.sort()
    return replace(
        law,
        points=tuple(Point(n=n, per_second=sum(done) / len(done)) for n, done in sorted(by_n.items())),
        low=peaks[round(0.05 * (_RESAMPLES - 1))],
        high=peaks[round(0.95 * (_RESAMPLES - 1))],
    )


def _coefficients(points: Sequence[Point]) -> tuple[float, float, float]:
    """Return γ, α, β of the weighted least squares with non-negative coefficients: the best of all subsets of terms."""
    best: tuple[float, tuple[float, float, float]] | None = None
    for kept in ((0, 1, 2), (0, 1), (0, 2), (0,)):
        solved = _least_squares(points, kept)
        if solved is None or solved[0] <= 0 or any(each < 0 for each in solved[1:]):
            continue
        a, b, c = solved
        error = sum(((a + b * (p.n - 1) + c * p.n * (p.n - 1)) * p.per_second / p.n - 1) ** 2 for p in points)
        if best is None or error < best[0] - 1e-12:
            best = error, (1 / a, b / a, c / a)
    if best is None:
        raise UsageError("no throughput curve fits these points")
    return best[1]


def _least_squares(points: Sequence[Point], kept: Sequence[int]) -> tuple[float, float, float] | None:
    """Solve the normal equations of n/X = a + b(n-1) + cn(n-1), weighted by X/n, for the ``kept`` coefficients."""
    size = len(kept)
    matrix = [[0.0] * (size + 1) for _ in range(size)]
    for point in points:
        weight = point.per_second / point.n
        terms = [(1.0, point.n - 1, point.n * (point.n - 1))[each] * weight for each in kept]
        for row in range(size):
            for column in range(size):
                matrix[row][column] += terms[row] * terms[column]
            matrix[row][size] += terms[row]
    for pivot in range(size):
        best = max(range(pivot, size), key=lambda row: abs(matrix[row][pivot]))
        matrix[pivot], matrix[best] = matrix[best], matrix[pivot]
        if abs(matrix[pivot][pivot]) < 1e-12:
            return None
        for row in range(size):
            if row != pivot:
                factor = matrix[row][pivot] / matrix[pivot][pivot]
                matrix[row] = [x - factor * y for x, y in zip(matrix[row], matrix[pivot], strict=True)]
    full = [0.0, 0.0, 0.0]
    for position, term in enumerate(kept):
        full[term] = matrix[position][size] / matrix[position][position]
    return full[0], full[1], full[2]

"""The throughput curve: its values, its peak, and its fit to points."""

from __future__ import annotations

import math
import random

import pytest

from dbtune.errors import UsageError
from dbtune.pool.curve import Curve, Point, fit

PGBENCH = ((1, 4851), (2, 11222), (4, 20028), (8, 22800), (16, 29081), (32, 28863), (64, 23613), (128, 18821))
"""Read-only transactions a second by clients, pgbench on two cores."""


def points(curve: Curve, ns: tuple[int, ...], spread: float = 0.0) -> list[Point]:
    dice = random.Random(3)
    return [Point(n=n, per_second=curve.per_second(n) * math.exp(dice.gauss(0, spread))) for n in ns]


def test_straight() -> None:
    curve = Curve.straight(0.5)
    assert [curve.per_second(n) for n in (0, 1, 15)] == [0, 2, 30]
    assert curve.hold(15) == pytest.approx(0.5)
    assert curve.is_straight
    assert math.isinf(curve.peak)
    assert math.isinf(curve.most)


def test_peak_is_where_no_whole_number_does_more() -> None:
    curve = Curve(gamma=10, alpha=0.03, beta=0.0005)
    best = max(range(1, 500), key=curve.per_second)
    assert abs(best - curve.peak) < 1
    assert curve.most == curve.per_second(best)
    assert curve.hold(best) == pytest.approx(best / curve.most)


def test_contention_alone_has_a_ceiling_and_no_peak() -> None:
    curve = Curve(gamma=10, alpha=0.1)
    assert math.isinf(curve.peak)
    assert curve.most == pytest.approx(100)
    assert curve.per_second(100_000) == pytest.approx(100, rel=1e-3)


def test_fit_finds_the_law_it_came_from() -> None:
    curve = Curve(gamma=120, alpha=0.08, beta=0.002)
    found = fit(points(curve, (1, 2, 4, 8, 16, 32, 64)))
    assert (found.gamma, found.alpha, found.beta) == pytest.approx((120, 0.08, 0.002))
    assert (found.low, found.high) == pytest.approx((curve.peak, curve.peak))
    assert found.reach == 64


def test_fit_of_noisy_points_bounds_the_peak() -> None:
    curve = Curve(gamma=120, alpha=0.08, beta=0.002)
    found = fit(points(curve, (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64), spread=0.05))
    assert found.low is not None
    assert found.high is not None
    assert found.low < curve.peak < found.high
    assert found.high - found.low < curve.peak


def test_fit_of_a_measured_server() -> None:
    found = fit([Point(n=n, per_second=x) for n, x in PGBENCH])
    assert 16 < found.peak < 32
    assert all(abs(found.per_second(n) / x - 1) < 0.25 for n, x in PGBENCH)


def test_fit_of_straight_points_is_straight() -> None:
    found = fit(points(Curve.straight(0.25), (1, 4, 9, 20)))
    assert found.is_straight or found.peak > 1e4
    assert found.per_second(20) == pytest.approx(80)


def test_points_faster_than_straight_give_no_negative_terms() -> None:
    found = fit([Point(n=n, per_second=10 * n**1.1) for n in (1, 2, 4, 8, 16)])
    assert found.alpha >= 0
    assert found.beta >= 0


def test_same_points_same_answer() -> None:
    measured = [Point(n=n, per_second=x) for n, x in PGBENCH]
    assert fit(measured) == fit(measured)


@pytest.mark.parametrize(
    "given",
    [
        [],
        [Point(n=1, per_second=1)] * 5,
        [Point(n=1, per_second=1), Point(n=2, per_second=0), Point(n=3, per_second=1)],
        [Point(n=0, per_second=1), Point(n=2, per_second=1), Point(n=3, per_second=1)],
    ],
)
def test_too_little_to_fit(given: list[Point]) -> None:
    with pytest.raises(UsageError):
        fit(given)


def test_nonsense_is_refused() -> None:
    for wrong in ({"gamma": 0.0}, {"gamma": math.nan}, {"gamma": 1.0, "alpha": -1.0}, {"gamma": 1.0, "beta": -1.0}):
        with pytest.raises(UsageError):
            Curve(**wrong)
    with pytest.raises(UsageError):
        Curve.straight(0)

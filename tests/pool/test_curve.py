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
    assert all(found.per_second(n) == pytest.approx(x) for n, x in PGBENCH)
    assert 20028 < found.per_second(6) < 22800


def test_beyond_what_was_measured_the_law_goes_on_from_there() -> None:
    found = fit([Point(n=n, per_second=x) for n, x in PGBENCH])
    assert found.per_second(128.001) == pytest.approx(18821, rel=1e-3)
    assert found.per_second(500) < found.per_second(256) < 18821
    assert found.times(2).per_second(500) == pytest.approx(2 * found.per_second(500))


def test_points_of_one_n_are_averaged() -> None:
    found = fit([Point(n=n, per_second=x) for n, x in ((1, 9), (1, 11), (2, 20), (3, 30))])
    assert found.per_second(1) == pytest.approx(10)


def test_what_others_have_busy_slows_down() -> None:
    curve = Curve(gamma=10, alpha=0.03, beta=0.0005)
    assert curve.beside(0) == curve
    assert curve.beside(10).per_second(5) == pytest.approx(curve.per_second(15) / 3)
    assert Curve.straight(0.5).beside(90).per_second(5) == pytest.approx(10)


def test_fit_of_straight_points_is_straight() -> None:
    found = fit(points(Curve.straight(0.25), (1, 4, 9, 20)))
    assert found.peak > 1e4
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
    for gamma, alpha, beta in ((0.0, 0.0, 0.0), (math.nan, 0.0, 0.0), (1.0, -1.0, 0.0), (1.0, 0.0, -1.0)):
        with pytest.raises(UsageError):
            Curve(gamma=gamma, alpha=alpha, beta=beta)
    with pytest.raises(UsageError):
        Curve.straight(0)

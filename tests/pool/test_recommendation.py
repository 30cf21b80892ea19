"""What is recommended, and what it is compared with."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from dbtune.errors import UsageError
from dbtune.pool import asked, formulas
from dbtune.pool.curve import Curve, Point, fit
from dbtune.pool.prediction import Demand, Settings, predict
from dbtune.pool.recommendation import Advice, Goal, every_size, judge, recommend, split

HALF = Curve.straight(0.5)
RETROGRADE = Curve(gamma=10, alpha=0.03, beta=0.0005)
BASE = Settings(timeout=2.0, limit=97)
GOAL = Goal()


def named(advice: Advice) -> dict[str, Settings]:
    return {choice.name: choice.settings for choice in advice.choices}


def test_smallest_that_meets_everything() -> None:
    advice = recommend(Demand(rate=36, curve=HALF), BASE)
    assert advice.best is not None
    assert advice.best.holds
    assert advice.why_none is None
    cap = advice.best.settings.cap
    smaller = judge("smaller", replace(BASE, size=cap - 1, overflow=0), Demand(rate=36, curve=HALF), GOAL)
    assert not smaller.holds
    assert advice.best.margin == 97 - cap


def test_every_process_counts_against_the_limit() -> None:
    advice = recommend(Demand(rate=100, curve=RETROGRADE), replace(BASE, processes=8))
    assert advice.best is not None
    assert advice.best.holds
    assert advice.best.settings.most <= 97
    assert advice.best.margin == 97 - 8 * advice.best.settings.cap


def test_a_wider_pool_that_would_stay_wedged_is_not_recommended() -> None:
    """At 110 a second 80 connections do well, but all of them busy do less than 1.2 times the rate."""
    demand = Demand(rate=110, curve=RETROGRADE)
    wide = judge("wide", replace(BASE, size=80, overflow=0), demand, GOAL)
    assert wide.prediction.steady.success > 0.999
    assert [each.words for each in wide.inequalities if not each.holds] == [
        "X(80) = 122.5/s ≥ 1.2 × 110/s, so that a burst drains"
    ]
    best = recommend(demand, BASE).best
    assert best is not None
    assert best.settings.cap < 80
    assert best.holds


def test_no_pool_helps_beyond_what_the_server_can_do() -> None:
    advice = recommend(Demand(rate=150, curve=RETROGRADE), BASE)
    assert advice.best is None
    assert advice.why_none is not None
    assert "136.0 requests a second at most" in advice.why_none
    assert named(advice)


def test_nearest_is_told_where_nothing_fits() -> None:
    advice = recommend(Demand(rate=165, curve=HALF), replace(BASE, processes=6))
    assert advice.best is not None
    assert advice.best.name == "nearest"
    assert not advice.best.holds
    assert advice.why_none is not None
    assert advice.best.settings.most <= 97


def test_more_processes_than_connections() -> None:
    advice = recommend(Demand(rate=1, curve=HALF), replace(BASE, processes=100))
    assert advice.best is None
    assert advice.why_none is not None
    assert "100 processes" in advice.why_none


def test_a_pooler_pays_where_many_pools_hold_much_idle() -> None:
    advice = recommend(Demand(rate=20, curve=HALF), replace(BASE, processes=24))
    assert advice.pooler is not None
    assert advice.pooler.size < 24
    assert "one shared pool" in advice.pooler.words
    assert recommend(Demand(rate=20, curve=HALF), BASE).pooler is None


def test_compared_with_today_and_rules() -> None:
    today = Settings(size=20, overflow=3, timeout=2.0, limit=97)
    advice = recommend(Demand(rate=36, curve=HALF), BASE, today=today, cores=4)
    settings = named(advice)
    assert settings["today"] == today
    assert (settings["SQLAlchemy's default"].size, settings["SQLAlchemy's default"].overflow) == (5, 10)
    assert settings["cores × 2"].cap == formulas.doubled(4) == 8
    assert settings["HikariCP's rule"].cap == formulas.hikari(4) == 9
    assert settings["all that the server has"].cap == 97


def test_default_that_is_todays_is_shown_once() -> None:
    advice = recommend(Demand(rate=3, curve=HALF), BASE, today=Settings(timeout=2.0, limit=97))
    assert "SQLAlchemy's default" not in named(advice)


def test_what_breaks_first() -> None:
    demand = Demand(rate=36, curve=HALF)
    told = {choice.name: choice.breaks_first for choice in recommend(demand, BASE, today=Settings(timeout=2.0)).choices}
    assert told["recommended"] == "the pool at 50/s"
    assert "QueuePool limit" in told["today"]
    over = judge("over", Settings(size=30, overflow=0, processes=4, limit=97), Demand(rate=10, curve=HALF), GOAL)
    assert over.breaks_first == "server: 120 asked, 97 there"
    fragile = judge("x", Settings(size=15, overflow=0, processes=8), Demand(rate=125, curve=RETROGRADE), GOAL)
    assert "wedges" in fragile.breaks_first
    assert math.isinf(fragile.drains)


def test_what_is_rarely_busy_is_overflow() -> None:
    demand = Demand(rate=4, curve=HALF)
    settings = split(20, demand, BASE)
    assert settings.cap == 20
    assert settings.size == 5  # 2 busy, and twice their root
    assert split(3, demand, BASE).overflow == 0


def test_sizes_for_a_plot_are_in_order_and_end_at_the_last() -> None:
    sizes = [found.settings.cap for found in every_size(Demand(rate=36, curve=HALF), BASE, 80)]
    assert sizes == sorted(set(sizes))
    assert (sizes[0], sizes[-1]) == (1, 80)
    successes = [found.steady.success for found in every_size(Demand(rate=36, curve=HALF), BASE, 80)]
    assert successes == sorted(successes)


def test_points_as_people_write_them() -> None:
    curve = asked.curve("1:10, 2:19,4:33")
    assert curve.per_second(4) == 33
    for wrong in ("", "1:10", "1:10,2:x,3:4", "1:10;2:19", "1:10,2:0,3:5"):
        with pytest.raises(UsageError):
            asked.curve(wrong)


def test_hold_is_that_of_a_server_as_busy_as_the_rate_makes_it() -> None:
    assert asked.Asked(demand=Demand(rate=36, curve=HALF)).busy == pytest.approx(18)
    found = asked.Asked(demand=Demand(rate=100, curve=RETROGRADE))
    assert RETROGRADE.per_second(found.busy) == pytest.approx(100, rel=0.05)
    beyond = asked.Asked(demand=Demand(rate=500, curve=RETROGRADE))
    assert beyond.hold > 0


def test_report_of_2019() -> None:
    """One pool of 500 against a server of 300, and one of 100: the first refuses, the second waits, and none fails."""
    demand = Demand(rate=109.5, curve=Curve.straight(3.4))
    refused = predict(Settings(size=500, overflow=0, limit=297), demand)
    assert 0.15 < refused.steady.refused < 0.25
    waits = predict(Settings(size=100, overflow=0, limit=297), Demand(rate=28, curve=Curve.straight(3.4)))
    assert waits.steady.success > 0.99


def test_a_wait_that_more_connections_only_move_into_the_server_is_no_reason_for_them() -> None:
    """Two cores: what two connections do is all that the server does, so a third one serves nobody sooner."""
    cores = fit([Point(n=n, per_second=rate) for n, rate in ((1, 27), (2, 52), (3, 52), (4, 52), (8, 52), (16, 51))])
    asked = Demand(rate=40, curve=cores, variation=0.15)
    best = recommend(asked, Settings(timeout=2.0), Goal(p95=0.02)).best
    assert best is not None
    assert best.settings.cap == 2
    assert best.prediction.steady.wait.p95 > 0.02
    assert best.holds
    assert "would only move it into the server" in best.inequalities[1].words
    uneven = predict(best.settings, replace(asked, variation=2.0), band=False)
    assert not Goal(success=0.9, p95=0.02).is_met(uneven)  # short ones must not queue behind long ones

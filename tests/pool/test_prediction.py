"""Which model is asked, and what it says."""

from __future__ import annotations

import math

import pytest

from dbtune.errors import UsageError
from dbtune.pool.curve import Curve
from dbtune.pool.prediction import Demand, Method, Settings, predict, system
from dbtune.pool.recovery import drain, largest_safe, smallest_safe
from dbtune.pool.simulation import simulate

HALF = Curve.straight(0.5)
RETROGRADE = Curve(gamma=10, alpha=0.03, beta=0.0005)


def test_time_outs_are_told_by_name() -> None:
    found = predict(Settings(timeout=2.0), Demand(rate=36, curve=HALF))
    assert found.method is Method.WAITING
    assert found.steady.success == pytest.approx(0.8333, abs=0.001)
    assert found.reason is not None
    assert "QueuePool limit of size 5 overflow 10" in found.reason
    assert found.utilisation == pytest.approx(1.2)
    assert found.low < found.steady.success < found.high


def test_one_process_beyond_the_server_is_refused() -> None:
    found = predict(Settings(size=500, overflow=0, timeout=2.0, limit=15), Demand(rate=36, curve=HALF))
    assert found.method is Method.REFUSING
    assert found.steady.success == pytest.approx(0.726, abs=0.001)
    assert found.reason is not None
    assert "500" in found.reason
    assert "53300" in found.reason


def test_several_processes_beyond_the_server_are_simulated() -> None:
    found = predict(Settings(size=15, overflow=0, timeout=2.0, processes=4, limit=20), Demand(rate=24, curve=HALF))
    assert found.method is Method.SIMULATED
    assert found.steady.refused > 0.05


def test_irregular_demand_is_simulated() -> None:
    found = predict(Settings(timeout=2.0), Demand(rate=27, curve=HALF, variation=3.0))
    assert found.method is Method.SIMULATED
    assert found.steady.success < predict(Settings(timeout=2.0), Demand(rate=27, curve=HALF)).steady.success


def test_all_is_well() -> None:
    found = predict(Settings(limit=97), Demand(rate=10, curve=HALF))
    assert found.reason is None
    assert found.steady.success == pytest.approx(1)


@pytest.mark.parametrize(("processes", "size", "rate"), [(4, 8, 110), (8, 4, 140), (2, 20, 140), (4, 8, 80)])
def test_processes_that_share_a_server_agree_with_the_simulation(processes: int, size: int, rate: float) -> None:
    settings = Settings(size=size, overflow=0, timeout=2.0, processes=processes)
    demand = Demand(rate=rate, curve=RETROGRADE)
    closed = predict(settings, demand).steady
    simulated = simulate(system(settings, demand, requests=40_000))
    assert closed.success == pytest.approx(simulated.success, abs=0.01)
    assert closed.busy == pytest.approx(simulated.busy, rel=0.04)
    assert closed.wait.mean == pytest.approx(simulated.wait.mean, abs=0.08)


def test_many_small_pools_wait_more_than_one_large_one() -> None:
    demand = Demand(rate=165, curve=HALF)
    one = predict(Settings(size=90, overflow=0), demand).steady
    six = predict(Settings(size=15, overflow=0, processes=6), demand).steady
    assert one.p_wait == pytest.approx(0.32, abs=0.01)
    assert six.p_wait == pytest.approx(0.66, abs=0.01)


def test_settings_without_a_cap_are_refused() -> None:
    for wrong in ({"size": 0}, {"overflow": -1}, {"timeout": -1.0}, {"processes": 0}, {"limit": 0}):
        with pytest.raises(UsageError):
            Settings(**wrong)


def test_a_burst_drains_or_never_does() -> None:
    assert [math.isinf(drain(RETROGRADE, cap, 120, 500)) for cap in (15, 20, 30, 44, 60, 80, 100, 150)] == [
        True, True, False, False, False, False, True, True,
    ]  # fmt: skip
    assert drain(HALF, 15, 20, 100) == pytest.approx(10)


def test_safe_sizes_are_the_last_and_first_with_margin() -> None:
    largest, smallest = largest_safe(RETROGRADE, 100), smallest_safe(RETROGRADE, 100)
    assert largest is not None
    assert smallest is not None
    assert RETROGRADE.per_second(largest) >= 120 > RETROGRADE.per_second(largest + 1)
    assert RETROGRADE.per_second(smallest) >= 120 > RETROGRADE.per_second(smallest - 1)
    assert largest_safe(RETROGRADE, 200) is None
    assert smallest_safe(RETROGRADE, 200) is None
    assert (smallest_safe(HALF, 10), largest_safe(HALF, 10, most=50)) == (6, 50)
    assert largest_safe(HALF, 10, most=5) is None


def test_a_wedged_fleet_is_not_called_healthy() -> None:
    """Eight pools of 15 look fine to the closed form at 125 a second; with all busy the server does 103."""
    found = predict(Settings(size=15, overflow=0, timeout=2.0, processes=8), Demand(rate=125, curve=RETROGRADE))
    assert found.utilisation > 1
    assert found.is_fragile
    assert not predict(Settings(size=4, overflow=0, processes=8), Demand(rate=80, curve=RETROGRADE)).is_fragile

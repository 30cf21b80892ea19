"""The closed forms: against known formulas, at their limits, and against the simulation."""

from __future__ import annotations

import math

import pytest

from dbtune.errors import UsageError
from dbtune.pool.curve import Curve
from dbtune.pool.queue import Steady, refusing, waiting
from dbtune.pool.simulation import System, simulate

HALF = Curve.straight(0.5)
RETROGRADE = Curve(gamma=10, alpha=0.03, beta=0.0005)


def erlang_b(load: float, servers: int) -> float:
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = load * blocked / (k + load * blocked)
    return blocked


def erlang_c(load: float, servers: int) -> float:
    blocked = erlang_b(load, servers)
    return servers * blocked / (servers - load * (1 - blocked))


@pytest.mark.parametrize(("rate", "cap"), [(24, 15), (1, 3), (29.5, 15), (180, 100)])
def test_without_time_out_it_is_erlang_c(rate: float, cap: int) -> None:
    found = waiting(rate, HALF, cap, math.inf)
    p_wait = erlang_c(rate * 0.5, cap)
    drain = cap * 2 - rate
    assert found.success == 1
    assert found.p_wait == pytest.approx(p_wait)
    assert found.wait.mean == pytest.approx(p_wait / drain)
    assert found.wait.p99 == pytest.approx(max(0.0, math.log(p_wait / 0.01) / drain))
    assert found.busy == pytest.approx(rate * 0.5)


@pytest.mark.parametrize(("rate", "limit"), [(24, 15), (36, 15), (500, 40), (2, 97)])
def test_refusing_is_erlang_b(rate: float, limit: int) -> None:
    found = refusing(rate, HALF, limit)
    assert found.refused == pytest.approx(erlang_b(rate * 0.5, limit))
    assert found.busy == pytest.approx(rate * 0.5 * found.success)


@pytest.mark.parametrize("patience", [0.5, 2.0, 30.0])
@pytest.mark.parametrize("rate", [5.0, 29.999_999_99, 30.0, 30.000_000_01, 36.0, 3000.0])
@pytest.mark.parametrize("curve", [HALF, RETROGRADE])
def test_what_comes_in_is_served_or_lost(rate: float, patience: float, curve: Curve) -> None:
    found = waiting(rate, curve, 15, patience)
    assert found.success + found.timed_out == pytest.approx(1)
    served = rate * found.success
    if curve.is_straight:
        assert served == pytest.approx(found.busy / 0.5)
    assert served <= curve.per_second(15) * (1 + 1e-9)
    assert 0 <= found.wait.p50 <= found.wait.p95 <= found.wait.p99 <= patience
    assert 0 <= found.wait.mean <= patience


def test_no_jump_where_the_rate_meets_the_capacity() -> None:
    below, at, above = (waiting(rate, HALF, 15, 2.0) for rate in (30 - 1e-7, 30, 30 + 1e-7))
    for other in (below, above):
        assert other.success == pytest.approx(at.success, abs=1e-6)
        assert other.wait.mean == pytest.approx(at.wait.mean, abs=1e-6)
        assert other.wait.p95 == pytest.approx(at.wait.p95, abs=1e-6)


def test_overload_leaves_what_the_server_can_do() -> None:
    found = waiting(1000, HALF, 15, 30)
    assert found.success == pytest.approx(0.03, rel=1e-3)
    assert found.wait.p50 == pytest.approx(30, abs=0.01)


@pytest.mark.parametrize(("cap", "patience"), [(500, 30.0), (3000, 300.0), (1, 1e6)])
def test_extreme_sizes_stay_finite(cap: int, patience: float) -> None:
    for rate in (0.001, 1.0, 1e5):
        found = waiting(rate, RETROGRADE, cap, patience)
        assert all(math.isfinite(each) for each in (found.success, found.wait.mean, found.wait.p99, found.busy))
        assert 0 <= found.success <= 1


def test_no_steady_state_is_said() -> None:
    with pytest.raises(UsageError, match="time-out"):
        waiting(30, HALF, 15, math.inf)
    with pytest.raises(UsageError, match="rate"):
        waiting(0, HALF, 15, 1)
    with pytest.raises(UsageError, match="connection"):
        refusing(1, HALF, 0)


def close(found: Steady, other: Steady, patience: float) -> None:
    assert found.success == pytest.approx(other.success, abs=0.006)
    assert found.refused == pytest.approx(other.refused, abs=0.006)
    assert found.p_wait == pytest.approx(other.p_wait, abs=0.02)
    assert found.busy == pytest.approx(other.busy, rel=0.02)
    for name in ("mean", "p50", "p95", "p99"):
        assert getattr(found.wait, name) == pytest.approx(getattr(other.wait, name), abs=0.05 * patience), name


@pytest.mark.parametrize(
    ("rate", "curve", "cap", "patience"),
    [
        (24, HALF, 15, 2.0),
        (30, HALF, 15, 2.0),
        (36, HALF, 15, 2.0),
        (125, RETROGRADE, 44, 1.0),
        (150, RETROGRADE, 44, 1.0),
    ],
)
def test_simulation_agrees_on_waiting(rate: float, curve: Curve, cap: int, patience: float) -> None:
    simulated = simulate(System(rate=rate, curve=curve, size=cap, patience=patience, requests=60_000))
    close(waiting(rate, curve, cap, patience), simulated, patience)


@pytest.mark.parametrize(("rate", "limit", "variation"), [(24, 15, 1.0), (36, 15, 0.0), (36, 15, 2.5)])
def test_simulation_agrees_on_refusing_whatever_the_holds(rate: float, limit: int, variation: float) -> None:
    simulated = simulate(
        System(rate=rate, curve=HALF, size=500, limit=limit, variation=variation, requests=60_000, seed=2)
    )
    close(refusing(rate, HALF, limit), simulated, 1.0)

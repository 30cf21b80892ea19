"""The simulation: what the closed forms do not know."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from dbtune.errors import UsageError
from dbtune.pool.curve import Curve, Point, fit
from dbtune.pool.simulation import System, simulate

BASE = System(rate=30, curve=Curve.straight(0.5), size=5, overflow=10, patience=2.0, requests=30_000)


def test_same_seed_same_answer() -> None:
    assert simulate(BASE) == simulate(BASE)
    assert simulate(BASE) != simulate(replace(BASE, seed=2))


def test_holds_all_alike_wait_less_and_uneven_ones_more() -> None:
    calm, usual, wild = (simulate(replace(BASE, rate=27, variation=each)) for each in (0.0, 1.0, 3.0))
    assert calm.wait.mean < 0.8 * usual.wait.mean
    assert usual.success > wild.success


def test_bursts_cost_success() -> None:
    assert simulate(replace(BASE, burstiness=3.0)).success < simulate(BASE).success - 0.02


def test_newcomers_that_overtake_shorten_the_mean_wait_and_cost_success() -> None:
    overtaken = simulate(replace(BASE, rate=36, slips=0.005))
    in_order = simulate(replace(BASE, rate=36))
    assert overtaken.wait.mean < 0.8 * in_order.wait.mean
    assert overtaken.p_wait < in_order.p_wait - 0.05
    assert overtaken.success == pytest.approx(in_order.success, abs=0.02)


def test_what_one_process_keeps_open_another_cannot_use() -> None:
    """Four pools of 15 ask 60 of 20: what two processes keep open, the others are refused, though much is idle."""
    shared = simulate(replace(BASE, size=60, overflow=0, limit=20, rate=24))
    split = simulate(replace(BASE, size=15, overflow=0, processes=4, limit=20, rate=24))
    assert shared.refused < 0.02
    assert split.refused > 5 * shared.refused
    overflow = simulate(replace(BASE, size=1, overflow=14, processes=4, limit=20, rate=24))
    assert overflow.refused < split.refused


def test_outcomes_add_up() -> None:
    for system in (
        replace(BASE, rate=60, processes=3, limit=20, slips=0.003),
        replace(BASE, patience=0.0),
        replace(BASE, variation=0.0, burstiness=0.0),
    ):
        found = simulate(system)
        assert found.success + found.timed_out + found.refused == pytest.approx(1)


def test_regular_arrivals_and_holds_below_capacity_never_wait() -> None:
    found = simulate(replace(BASE, rate=29, variation=0.0, burstiness=0.0))
    assert (found.success, found.p_wait) == (1.0, 0.0)
    assert found.busy == pytest.approx(14.5, rel=0.01)


def test_nonsense_is_refused() -> None:
    for wrong in ({"rate": 0.0}, {"size": 0, "overflow": 0}, {"processes": 0}):
        with pytest.raises(UsageError):
            replace(BASE, **wrong)


FLAT = fit([Point(n=n, per_second=100.0) for n in (1, 2, 4, 8, 16)])
"""A machine that gets 100 a second done, however many are at work."""


def test_a_connection_kept_without_work_is_busy_but_takes_nothing_of_the_machine() -> None:
    refused = System(rate=36, curve=Curve.straight(0.5), size=20, limit=15, requests=30_000)
    split = replace(refused, curve=Curve.straight(0.1), dwell=0.4)
    assert simulate(split).refused == pytest.approx(simulate(refused).refused, abs=0.01)  # Erlang: whatever the holds
    found = simulate(replace(BASE, curve=FLAT, rate=36, dwell=0.3, size=50))
    assert found.success == 1
    assert found.busy == pytest.approx(36 * 0.3 + 0.36 / (1 - 0.36), rel=0.03)  # M/M/1 and what dwells


def test_refusals_take_of_what_the_machine_can_do() -> None:
    crowded = replace(BASE, curve=FLAT, rate=90, dwell=0.5, size=60, overflow=0, limit=40)
    free, dear = simulate(crowded), simulate(replace(crowded, refusal=0.9))
    assert dear.success < free.success - 0.02
    assert dear.success + dear.refused == pytest.approx(1)


def test_given_arrivals_are_all_counted() -> None:
    """Ten at once, two connections, one second each: two begin each second, and nobody waits more than two."""
    system = System(
        rate=1.0, curve=Curve.straight(1.0), size=2, patience=2.5, variation=0.0, arrivals=tuple([0.0] * 10)
    )
    found = simulate(system)
    assert found.success == pytest.approx(0.6)
    assert found.timed_out == pytest.approx(0.4)
    assert found.wait.mean == pytest.approx(1.0)


def test_what_is_answered_after_the_deadline_has_been_work_all_the_same() -> None:
    at_once = replace(
        BASE, curve=Curve.straight(1.0), size=1, overflow=0, variation=0.0, patience=math.inf, arrivals=(0.0,) * 10
    )
    found = simulate(replace(at_once, deadline=4.5))
    assert found.success == 1
    assert found.late == pytest.approx(0.6)
    assert simulate(at_once).late == 0

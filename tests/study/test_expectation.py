"""What is expected of arms: the pool's time-outs, the server's refusals, the listen queue, the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbtune.load.closed import Looped
from dbtune.load.route import Route
from dbtune.study import file
from dbtune.study.arm import Arm
from dbtune.study.expectation import Expectation, curve, exceeds, expect

# A machine that does 100 requests a second however many ask.
LOOPED = [Looped(callers=n, per_second=100.0, seconds=n / 100, variation=0.2) for n in (1, 2, 4, 8, 16)]
ROUTES = tuple(
    Route(method="GET", path=f"/{name}/{{id}}", name=name, parameters=tuple({"id": n} for n in range(50)))
    for name in "abc"
)


def arm(text: str) -> Arm:
    (found,) = file.parse(f'[[arm]]\nname = "a"\n{text}', Path("x.toml")).arms
    return found


def expected(text: str, usable: int = 57, client_timeout_s: float = 60.0) -> Expectation:
    made = arm(text)
    return expect(made, made.schedule(1), ROUTES, 1, LOOPED, usable, client_timeout_s)


def test_a_hold_keeps_connections_busy_but_not_the_machine() -> None:
    held = curve(LOOPED, 0.4)
    assert held.per_second(1) == pytest.approx(1 / 0.41, rel=0.02)
    assert held.per_second(15) == pytest.approx(15 / 0.41, rel=0.02)
    assert held.per_second(128) == pytest.approx(100, rel=0.02)


def test_a_service_that_keeps_up_loses_nothing() -> None:
    found = expected("rate = 30\nseconds = 20\n")
    assert found.success == 1
    assert found.no_claim is None


def test_a_pool_that_is_too_small_for_the_hold_times_out_and_a_larger_one_does_not() -> None:
    load = "rate = 60\nseconds = 20\nhold = 0.4\npool_timeout = 2.0\n"
    small = expected(load)
    assert 0.5 < small.success < 0.8
    assert small.pool_timeout == pytest.approx(1 - small.success)
    large = expected(load + "pool_size = 50\nmax_overflow = 0\n")
    assert large.success == 1


def test_a_pool_that_is_larger_than_the_server_is_refused() -> None:
    found = expected("rate = 90\nseconds = 20\nhold = 1.0\npool_size = 100\nmax_overflow = 0\n")
    assert found.refused == pytest.approx(1 - found.success)
    assert found.refused > 0.2


def test_refusals_cost_what_was_measured() -> None:
    made = arm("rate = 90\nseconds = 20\nhold = 1.0\npool_size = 100\nmax_overflow = 0\n")
    assert exceeds(made, 57)
    assert not exceeds(made, 100)
    free, dear = (expect(made, made.schedule(1), ROUTES, 1, LOOPED, 57, 60.0, refusal_s=s) for s in (0.0, 0.01))
    assert dear.success < free.success - 0.02


def test_workers_that_block_never_run_their_pools_dry_and_leave_clients_waiting() -> None:
    load = 'rate = 150\nseconds = 20\nserver = "gevent"\nworkers = 8\nbacklog = 2048\npool_timeout = 1.0\n'
    found = expected(load, client_timeout_s=2.0)
    assert found.pool_timeout == 0
    assert found.no_answer == pytest.approx(1 - found.success)
    assert found.success == pytest.approx(4 / 20, abs=0.05)  # from the 4th second on all that is done is too late


def test_a_burst_over_the_listen_queue_is_not_claimed_to_be_known() -> None:
    found = expected("counts = [200]\noffsets_ms = [1]\n")
    assert found.no_claim is not None
    assert "listen queue has 128" in found.no_claim


def test_killed_services_are_not_claimed_to_be_known() -> None:
    assert expected("rate = 5\nkill_at = 1.0\n").no_claim == "its processes are killed"


def test_few_keys_hit_and_many_do_not() -> None:
    load = 'rate = 50\nseconds = 20\ncaching = "simple"\n'
    few = expected(load)
    assert few.hits == pytest.approx(1 - 150 / 1000, abs=0.05)  # three routes of 50 keys
    one_entry = expected(load + "cache_entries = 1\n")
    assert one_entry.hits < 0.1
    each_its_own = expected(load + 'server = "gthread"\nworkers = 4\n')
    assert each_its_own.hits < few.hits - 0.1


def test_answers_that_wait_in_a_queue_are_not_in_the_cache_yet() -> None:
    burst = expected('counts = [400]\noffsets_ms = [1]\ncaching = "simple"\nbacklog = 2048\npool_timeout = 30.0\n')
    slow = expected('counts = [400]\noffsets_ms = [50]\ncaching = "simple"\npool_timeout = 30.0\n')
    assert burst.hits < slow.hits

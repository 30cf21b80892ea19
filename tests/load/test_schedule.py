"""When requests are due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from dbtune.errors import UsageError
from dbtune.load import schedule
from dbtune.load.schedule import Schedule


def times(made: Schedule) -> list[float]:
    return [each.at for each in made.due]


def test_sets_of_2019() -> None:
    made = schedule.sets(schedule.REPORT_COUNTS, schedule.REPORT_OFFSETS_MS, 3, overlapped=True)
    assert len(made.due) == 12_000
    assert Counter(each.route for each in made.due) == {0: 4000, 1: 4000, 2: 4000}
    assert made.seconds == pytest.approx(499 * 2)
    assert sum(each.at < 5 for each in made.due) == pytest.approx(3 * 109.5 * 5, rel=0.04)
    assert len(made.cells) == 15


def test_sets_one_after_the_other_leave_time_to_drain() -> None:
    made = schedule.sets((3,), (100, 200), 1, overlapped=False, drain_s=5)
    assert times(made) == pytest.approx([0, 0.1, 0.2, 5.3, 5.5, 5.7])
    faster = schedule.sets((3,), (100, 200), 1, overlapped=False, drain_s=5, faster=10)
    assert times(faster) == pytest.approx([0, 0.01, 0.02, 5.03, 5.05, 5.07])


def test_constant_is_even_and_poisson_is_not() -> None:
    even = schedule.constant(50, 4, 2)
    assert len(even.due) == 200
    gaps = {round(b - a, 9) for a, b in zip(times(even), times(even)[1:], strict=False)}
    assert gaps == {0.02}
    uneven = schedule.poisson(50, 200, 2)
    assert len(uneven.due) == pytest.approx(10_000, rel=0.04)
    assert all(0 <= at < 200 for at in times(uneven))
    gaps_ = [b - a for a, b in zip(times(uneven), times(uneven)[1:], strict=False)]
    mean = sum(gaps_) / len(gaps_)
    assert sum((gap - mean) ** 2 for gap in gaps_) / len(gaps_) == pytest.approx(mean**2, rel=0.1)


def test_ramp_grows_evenly() -> None:
    made = schedule.ramp(10, 90, 10, 1)
    assert len(made.due) == 500
    assert sum(at < 5 for at in times(made)) == pytest.approx(150, abs=1)
    assert made.seconds <= 10
    down = schedule.ramp(90, 10, 10, 1)
    assert sum(at < 5 for at in times(down)) == pytest.approx(350, abs=1)
    assert len(schedule.ramp(20, 20, 5, 1).due) == 100
    assert times(schedule.ramp(0, 10, 10, 1))[0] == 0


def test_steps_are_cells() -> None:
    made = schedule.steps((10, 20), 2, 1)
    assert Counter(each.cell for each in made.due) == {"10/s": 20, "20/s": 40}
    assert made.peak == pytest.approx(21, abs=1)


def test_same_seed_same_schedule_and_routes_in_turn() -> None:
    assert schedule.poisson(20, 10, 3, seed=5) == schedule.poisson(20, 10, 3, seed=5)
    assert schedule.poisson(20, 10, 3, seed=5) != schedule.poisson(20, 10, 3, seed=6)
    routes = [each.route for each in schedule.constant(30, 1, 3).due]
    assert all(sorted(routes[n : n + 3]) == [0, 1, 2] for n in range(0, 30, 3))


@pytest.mark.parametrize("m", [1, 2, 3, 7])
def test_shards_are_the_whole_and_nothing_twice(m: int) -> None:
    whole = schedule.poisson(40, 5, 3)
    parts = [whole.shard(k, m) for k in range(1, m + 1)]
    assert sorted((each for part in parts for each in part.due), key=lambda each: each.number) == list(whole.due)
    assert max(len(part.due) for part in parts) - min(len(part.due) for part in parts) <= 1


def test_nonsense_is_refused() -> None:
    wrong: list[Callable[[], Schedule]] = [
        lambda: schedule.constant(0, 1, 1),
        lambda: schedule.poisson(1, 0, 1),
        lambda: schedule.ramp(-1, 5, 1, 1),
        lambda: schedule.sets((0,), (100,), 1, overlapped=True),
        lambda: schedule.sets((), (), 1, overlapped=True),
        lambda: schedule.constant(1, 5, 1).shard(0, 2),
        lambda: schedule.constant(1, 5, 1).shard(3, 2),
        lambda: schedule.constant(0.01, 1, 1),
    ]
    for make in wrong:
        with pytest.raises(UsageError):
            make()

"""What the report saw: each phenomenon is told where an arm shows it, with its numbers, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dbtune.load.closed import Looped
from dbtune.load.outcome import Outcome
from dbtune.load.record import Row
from dbtune.load.summary import Summary
from dbtune.load.timeline import Timeline
from dbtune.party.web.funnel import STAGES, Funnel
from dbtune.study import file
from dbtune.study.measured import Measured, Sessions
from dbtune.study.phenomena import phenomena
from dbtune.study.result import Result

TITLES = [each.title for each in phenomena([], 97)]


def ran(
    text: str = "",
    *,
    name: str = "a",
    good: int = 100,
    failed: int = 0,
    unanswered: int = 0,
    stages: dict[str, int] | None = None,
    sessions: Sessions | None = None,
    broken: int = 0,
    most: float = 0.0,
) -> Result:
    """An arm that ran once, with these answers and the service's counts of them."""
    (arm,) = file.parse(f'[[arm]]\nname = "{name}"\n{text}', Path("x.toml")).arms
    ends = (
        [(Outcome.OK, 200)] * good + [(Outcome.SERVER_ERROR, 500)] * failed + [(Outcome.TIMED_OUT, None)] * unanswered
    )
    summary = Summary(planned=len(ends))
    for number, (outcome, status) in enumerate(ends):
        summary.add(
            Row(number=number, cell="c", route="r", due=0.0, sent=0.0, done=0.5, outcome=outcome, status=status)
        )
    counts = dict.fromkeys(STAGES, 0) | {"accepted": len(ends)} | (stages or {})
    hit = counts["accepted"] - counts["cached"]
    through = hit - counts["pool_timeout"] - counts["too_many_clients"]
    counts |= {"hit": hit, "pool_wait": hit}
    counts |= dict.fromkeys(("connection", "query_started", "query_completed"), through)
    measured = Measured(
        summary=summary,
        timeline=Timeline(1.0),
        rows=(),
        funnel=Funnel({1: counts}),
        sessions=sessions or Sessions(),
        broken=broken,
        refused=counts["too_many_clients"],
    )
    looped = (Looped(callers=4, per_second=most, seconds=0.1, variation=0.2),) if most else ()
    return Result(arm=arm, runs=(measured,), looped=looped)


def seen(*results: Result) -> dict[str, tuple[str, ...]]:
    """What is seen: titles by their first words, and evidence."""
    return {each.title: each.evidence for each in phenomena(results, 57) if each.is_seen}


def test_a_service_that_keeps_up_shows_nothing() -> None:
    assert seen(ran(), ran(name="b")) == {}
    assert [each.is_seen for each in phenomena([Result(arm=ran().arm, failed="no port")], 57)] == [False] * 9


def test_no_response() -> None:
    found = seen(ran(good=90, unanswered=10, stages={"accepted": 96}))
    assert found == {TITLES[0]: ("a: 10.0% not answered; 4 never taken, 6 answered too late",)}
    assert seen(ran(good=1000, unanswered=4)) == {}  # less than half a per cent
    assert TITLES[0] not in seen(ran("kill_at = 1.0\n", good=50, unanswered=50))


def test_a_pool_that_runs_dry_and_one_that_does_not() -> None:
    dry = ran("hold = 0.4\npool_timeout = 2.0\n", good=80, failed=20, stages={"pool_timeout": 20, "status_500": 20})
    large = ran("hold = 0.4\npool_size = 50\nmax_overflow = 0\n", name="b", sessions=Sessions(most=23))
    found = seen(dry, large)
    assert found[TITLES[1]] == ("a: 20 of 100 waited 2 s for one of 5+10",)
    assert found[TITLES[2]] == ("a → b: 20.0% → 0; it had 23 of 50 open at most",)
    assert TITLES[2] not in seen(dry, replace(large, runs=dry.runs))
    other_hold = ran("hold = 0.1\npool_size = 50\nmax_overflow = 0\n", name="b")
    assert TITLES[2] not in seen(dry, other_hold)


def test_a_pool_beyond_the_server() -> None:
    refused = ran(
        'pool_size = 100\nmax_overflow = 0\nreported = "pool 500"\n',
        good=70,
        failed=30,
        stages={"too_many_clients": 30, "status_500": 30},
    )
    found = seen(refused)
    assert found[TITLES[3]] == ("a: 30 of 100 refused; the server's log has 30",)
    assert found[TITLES[4]] == ("a: 100 asked of 57: 70.0% ok, 30.0% 500s (2019: 80.3 %, 19.7 %)",)
    assert TITLES[4] not in seen(replace(refused, arm=replace(refused.arm, reported=None)))


def test_workers_that_block() -> None:
    text = 'server = "gevent"\nworkers = 8\n'
    found = seen(ran(text, good=60, unanswered=40, sessions=Sessions(most=8)))
    assert found[TITLES[5]] == ("a: no 500 in 100; 8 sessions of 8 workers, 40.0% without an answer",)
    assert TITLES[5] not in seen(ran(text, good=60, failed=40, stages={"status_500": 40}))


def test_a_cache_and_its_hits() -> None:
    found = seen(ran('caching = "simple"\nkeys = 100\n', good=95, failed=5, stages={"cached": 60}))
    assert found[TITLES[6]] == ("a: 60% hits of 100 keys: 95.0% succeeded, p50 500 ms",)


def test_transactions_that_were_cut_off() -> None:
    assert seen(ran("kill_at = 1.0\n", broken=3)) == {TITLES[7]: ("a: 3 in the server's log",)}


@pytest.mark.parametrize("scale", ["versions = 9.2\n", "versions = 1.8\n"])
def test_indexes(scale: str) -> None:
    before = ran(scale, good=60, failed=40, most=70.0)
    after = ran(f"{scale}indexes = true\n", name="b", most=150.0)
    found = seen(before, after)
    (told,) = found[TITLES[8]]
    assert told.startswith("a → b: ")
    assert told.endswith(" versions: 70 → 150 requests a second at most; 60.0% → 100.0% succeeded")
    assert TITLES[8] not in seen(before, ran("versions = 3.0\nindexes = true\n", name="b", most=150.0))
    assert TITLES[8] not in seen(after)

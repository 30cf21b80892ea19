"""Why an arm came out as it did, in sentences made from its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dbtune.plan import words
from dbtune.study.arm import Reported
from dbtune.study.expectation import doors
from dbtune.study.result import Result

_SOME = 0.005
_DRIFT = 0.1


def explain(result: Result, usable: int) -> list[str]:
    """Return what an arm shows: what limits it, where requests were lost, what would help, what to take with care."""
    if not result.runs:
        return [f"It did not run: {result.failed}."] if result.failed else []
    return [*_limit(result), *_losses(result), *_waits(result, usable), *_cares(result)]


def _limit(result: Result) -> Iterator[str]:
    found = result.expectation
    if found is None:
        return
    peak = max(run.sessions.most for run in result.runs)
    active = max(run.sessions.active for run in result.runs)
    yield (
        f"The service does {found.capacity:.0f} a second at most with these settings; {found.words.split(', ')[1]}."
        f" It had {peak} sessions open at once, {active} of them at work."
    )


def _losses(result: Result) -> Iterator[str]:
    lost = {stage: count for stage, count in result.lost.items() if count}
    if not lost:
        yield "Nothing was lost."
        return
    most = max(lost, key=lost.__getitem__)
    share = lost[most] / result.sent
    settings, server = result.arm.settings, result.arm.server
    if share < _SOME:
        return
    if result.arm.killed_at_s is not None:
        yield (
            f"Its processes were killed after {result.arm.killed_at_s:g} s: {lost.get('cut off', 0):,} requests were"
            f" under way, {lost.get('not taken', 0):,} found nobody."
        )
        return
    yield {
        "not taken": (
            f"{share:.1%} were never taken from the listen queue: the service was busy with those before them until"
            " their clients gave up or the queue overflowed. A longer queue or more workers only moves the wait;"
            " less work for each request, or fewer of them, ends it."
        ),
        "turned away": f"{share:.1%} were turned away before the route's function.",
        "pool_timeout": (
            f"{share:.1%} waited {settings.pool_timeout:g} s in vain for one of {settings.cap} connections, and were"
            " answered 500. They reached the function: what fails is the wait before the query, which a log line"
            " 'query started' before it hides."
        ),
        "too many clients": (
            f"{share:.1%} were refused: {server.workers} × {settings.cap} connections are asked for, and the server"
            " has fewer. A pool that is larger than the server turns a wait into an error."
        ),
        "connect failed": f"{share:.1%} could not connect.",
        "query failed": f"{share:.1%} failed in a statement or the commit.",
        "cut off": f"{share:.1%} were under way when their process ended: nobody answers those.",
        "too late": f"{share:.1%} were answered, but their clients had given up: work for nobody.",
    }[most]


def _waits(result: Result, usable: int) -> Iterator[str]:
    arm = result.arm
    if arm.settings.cap and arm.settings.cap * arm.server.workers > usable and doors(arm.server) > 1:
        yield f"{arm.server.workers} × {arm.settings.cap} connections may be asked for, and {usable} can be had."
    hits = sum(run.hit_ratio for run in result.runs) / len(result.runs)
    if hits > _SOME:
        yield f"{hits:.0%} were answered from the cache, which needs no connection at all."
    if arm.reported is Reported.POOL_100:
        yield "The report measured the same: with connections for all, nothing fails, and the wait is elsewhere."
    served = result.served
    if served.count and not math.isnan(served.at(0.5)):
        p50, p99 = (words.milliseconds(served.at(share) * 1000) for share in (0.5, 0.99))
        yield f"Those that succeeded took {p50} at the median and {p99} at 99 %."


def _cares(result: Result) -> Iterator[str]:
    for run in result.runs:
        if run.ended is not None and result.arm.killed_at_s is None:
            yield f"The service ended by itself: {run.ended}."
        if abs(run.pace - 1) > _DRIFT:
            yield f"The machine was {run.pace - 1:+.0%} as fast as at the start: other work ran beside it."
        yield from (f"{note}." for note in run.notes)
    if result.no_verdict is not None:
        yield f"Take it with care: {result.no_verdict}."

"""What the report saw, one by one: whether this study shows it, in which arm, and by which numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dbtune.party.web.servers import Kind
from dbtune.party.web.settings import Caching
from dbtune.plan import words
from dbtune.study.arm import Reported
from dbtune.study.result import Result

_SOME = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Phenomenon:
    """What was looked for, why it comes about, and the evidence: a line for each arm that shows it."""

    title: str
    cause: str
    evidence: tuple[str, ...]

    @property
    def is_seen(self) -> bool:
        """Return whether any arm shows it."""
        return bool(self.evidence)


def phenomena(results: Sequence[Result], usable: int) -> list[Phenomenon]:
    """Return them in the order in which they are told of."""
    ran = [each for each in results if each.runs]
    return [
        Phenomenon(
            title="no response",
            cause="requests come faster than they are served, and their clients give up, or the listen queue overflows",
            evidence=tuple(_each(ran, _no_response)),
        ),
        Phenomenon(
            title="500: QueuePool limit reached, timeout",
            cause="requests wait longer for one of pool_size + max_overflow connections than pool_timeout",
            evidence=tuple(_each(ran, _pool_timeout)),
        ),
        Phenomenon(
            title="the same with a pool that is large enough: none",
            cause="a pool of at least rate × hold, or of as many as there are threads, has nobody waiting",
            evidence=tuple(_pairs(ran, _cured)),
        ),
        Phenomenon(
            title="500: too many clients (53300)",
            cause="the processes' pools open more connections than max_connections less the reserved ones",
            evidence=tuple(_each(ran, _refused)),
        ),
        Phenomenon(
            title="a pool of 500 against 300 connections, scaled down",
            cause="this needs more than 300 requests in the database at once, which few machines have; here the same"
            " proportion of fewer",
            evidence=tuple(_each(ran, lambda each: _scaled(each, usable))),
        ),
        Phenomenon(
            title="gunicorn: no 500s at all",
            cause="a worker whose driver blocks has one request at work at a time, so its pool can never run dry",
            evidence=tuple(_each(ran, _one_each)),
        ),
        Phenomenon(
            title="SimpleCache: as good as its hit ratio",
            cause="a hit needs no connection; how many hit depends on how many distinct keys there are, by process",
            evidence=tuple(_each(ran, _cached)),
        ),
        Phenomenon(
            title="unexpected EOF on client connection with an open transaction",
            cause="a process of the service ended within a transaction: killed, or restarted",
            evidence=tuple(_each(ran, _broken)),
        ),
        Phenomenon(
            title="indexes: much on large data, little on small",
            cause="scans grow with the table; where they are short, the application is what takes the time",
            evidence=tuple(_pairs(ran, _indexed)),
        ),
    ]


def _each(results: Sequence[Result], tell: Callable[[Result], str | None]) -> Iterator[str]:
    for result in results:
        told = tell(result)
        if told is not None:
            yield f"{result.arm.name}: {told}"


def _pairs(results: Sequence[Result], tell: Callable[[Result, Result], str | None]) -> Iterator[str]:
    for one in results:
        for other in results:
            told = tell(one, other)
            if told is not None:
                yield f"{one.arm.name} → {other.arm.name}: {told}"


def _no_response(result: Result) -> str | None:
    share = result.share("no response")
    if share < _SOME or result.arm.killed_at_s is not None:
        return None
    lost = result.lost
    return f"{share:.1%} not answered; {lost['not taken']:,} never taken, {lost['too late']:,} answered too late"


def _pool_timeout(result: Result) -> str | None:
    count = result.stages["pool_timeout"]
    if count < _SOME * result.sent:
        return None
    settings = result.arm.settings
    return (
        f"{count:,} of {result.sent:,} waited {settings.pool_timeout:g} s for one of"
        f" {settings.pool_size}+{settings.max_overflow}"
    )


def _cured(one: Result, other: Result) -> str | None:
    alike = (
        one.arm.load == other.arm.load
        and one.arm.scale == other.arm.scale
        and one.arm.indexes == other.arm.indexes
        and one.arm.server == other.arm.server
        and one.arm.settings.hold_s == other.arm.settings.hold_s
        and (one.arm.settings.cap or 0) < (other.arm.settings.cap or 0)
    )
    before, after = one.stages["pool_timeout"], other.stages["pool_timeout"]
    if not alike or before < _SOME * one.sent or after:
        return None
    most = max(run.sessions.most for run in other.runs)
    return f"{before / one.sent:.1%} → 0; it had {most} of {other.arm.settings.cap} open at most"


def _refused(result: Result) -> str | None:
    count = result.stages["too_many_clients"]
    if count < _SOME * result.sent:
        return None
    refusals = sum(run.refused for run in result.runs)
    return f"{count:,} of {result.sent:,} refused; the server's log has {refusals:,}"


def _scaled(result: Result, usable: int) -> str | None:
    if result.arm.reported is not Reported.POOL_500 or not result.stages["too_many_clients"]:
        return None
    return (
        f"{result.arm.settings.cap} asked of {usable}: {result.share('200'):.1%} ok, {result.share('500'):.1%} 500s"
        " (2019: 80.3 %, 19.7 %)"
    )


def _one_each(result: Result) -> str | None:
    if result.arm.server.kind is not Kind.GEVENT or result.stages["status_500"]:
        return None
    most = max(run.sessions.most for run in result.runs)
    return (
        f"no 500 in {result.sent:,}; {most} sessions of {result.arm.server.workers} workers,"
        f" {result.share('no response'):.1%} without an answer"
    )


def _cached(result: Result) -> str | None:
    if result.arm.settings.caching is Caching.OFF:
        return None
    ratio = sum(run.hit_ratio for run in result.runs) / len(result.runs)
    served = result.served
    p50 = f", p50 {words.milliseconds(served.at(0.5) * 1000)}" if served.count else ""
    return f"{ratio:.0%} hits of {result.arm.keys:,} keys: {result.success:.1%} succeeded{p50}"


def _broken(result: Result) -> str | None:
    count = sum(run.broken for run in result.runs)
    return f"{count} in the server's log" if count else None


def _indexed(one: Result, other: Result) -> str | None:
    if one.arm.indexes or not other.arm.indexes or one.arm.load != other.arm.load:
        return None
    if one.arm.server != other.arm.server or one.arm.settings != other.arm.settings or not one.looped:
        return None
    if one.arm.scale != other.arm.scale:
        return None
    before, after = (max(each.per_second for each in result.looped) for result in (one, other))
    return (
        f"{one.arm.scale.counts['business_attributes']:,} versions: {before:.0f} → {after:.0f} requests a second at"
        f" most; {one.success:.1%} → {other.success:.1%} succeeded"
    )

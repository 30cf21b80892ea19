"""What a run of the hammer tells: verdict, tables as in 2019 and percentiles; for people and for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dbtune.load.latency import Latencies
from dbtune.load.outcome import REPORTED
from dbtune.load.record import Head
from dbtune.load.summary import Summary, Tally
from dbtune.load.timeline import Timeline
from dbtune.plan import words
from dbtune.render import table
from dbtune.render.document import SCHEMA_VERSION

_SHARES = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999))
_BAR = 32


def document(head: Head, found: Summary) -> dict[str, Any]:
    """Return it for programs; times in milliseconds, from what ``times_from`` says, shares from 0 to 1."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "hammer",
        "target": head.target,
        "schedule": head.schedule,
        "shard": head.shard,
        "planned": found.planned,
        "sent": found.sent,
        "rate": _finite(found.rate),
        "goodput": _finite(found.goodput),
        "times_from": "due" if head.knows_due else "sent",
        "lag_ms": _times(found.lag) if head.knows_due else None,
        "no_verdict": found.no_verdict,
        "all": _tally(found.all),
        "routes": {name: _tally(tally) for name, tally in found.routes.items()},
        "cells": {name: _tally(tally) for name, tally in found.cells.items()},
        "failures": [
            {"outcome": outcome.value, "detail": detail, "count": count}
            for (outcome, detail), count in found.details.most_common(20)
        ],
    }


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "count": tally.count,
        "success": _finite(tally.success),
        "outcomes": {outcome.value: count for outcome, count in sorted(tally.outcomes.items())},
        "served_ms": _times(tally.served),
        "failed_ms": _times(tally.failed),
        "service_ms": _times(tally.service),
    }


def _times(times: Latencies) -> dict[str, float | None]:
    told: dict[str, float | None] = {"least": _finite(times.least * 1000), "mean": _finite(times.mean * 1000)}
    told |= {name: _finite(times.at(share) * 1000) for name, share in _SHARES}
    return told | {"most": times.most * 1000 if times.count else None}


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def screen(head: Head, found: Summary, timeline: Timeline | None, width: int, *, markdown: bool = False) -> str:
    """Return it for people."""
    told = [_verdict(head, found)]
    told.append(_section("Outcomes", _outcomes(found, markdown=markdown), markdown=markdown))
    told.append(
        _section(
            f"Times of successes and of failures, from when each was {'due' if head.knows_due else 'sent'}",
            _percentiles(head, found, width, markdown=markdown),
            markdown=markdown,
        )
    )
    if len(found.cells) > 1:
        told.append(_section("By set", _by("set", found.cells, markdown=markdown), markdown=markdown))
    if found.details:
        lines = [
            f"{count:>7,} × {outcome.value}: {detail}"[:width]
            for (outcome, detail), count in found.details.most_common(5)
        ]
        told.append(_section("Failures said", lines, markdown=markdown))
    if timeline is not None and timeline.slices:
        plotted = plot(timeline)
        told.append(_section("Over time", ["```", *plotted, "```"] if markdown else plotted, markdown=markdown))
    return "\n\n".join(told) + "\n"


def _verdict(head: Head, found: Summary) -> str:
    good = found.all
    first = (
        f"{good.success:.2%} of {good.count:,} requests to {head.target} succeeded"
        f" ({head.schedule}{'' if head.shard == '1/1' else f', shard {head.shard}'})"
    )
    second = f"sent {found.rate:,.1f}/s, answered well {found.goodput:,.1f}/s"
    if head.knows_due:
        middle, late = (words.milliseconds(found.lag.at(share) * 1000) for share in (0.5, 0.99))
        second += f"; sent late by {middle} at the median, {late} at 99 %"
    else:
        second += "; when each should have been sent is not known, so stalls of the generator do not show"
    third = [] if found.no_verdict is None else [f"NO VERDICT: {found.no_verdict}"]
    return "\n".join([first, second, *third])


def _outcomes(found: Summary, *, markdown: bool) -> list[str]:
    rows = [_counted(name, tally) for name, tally in found.routes.items()]
    if len(found.routes) > 1:
        rows.append(_counted("all", found.all))
        rows.append(_averaged("mean of routes", found.routes))
    return _grid(("route", "requests", *REPORTED), rows, markdown=markdown)


def _counted(name: str, tally: Tally) -> tuple[str, ...]:
    return (name, f"{tally.count:,}", *(_share(tally.columns[column], tally.count) for column in REPORTED))


def _averaged(name: str, tallies: Mapping[str, Tally]) -> tuple[str, ...]:
    """Return the mean of the routes' percentages, as the tables of 2019 have it."""
    shares = [
        sum(tally.columns[column] / tally.count for tally in tallies.values()) / len(tallies) for column in REPORTED
    ]
    return (name, "", *(f"{share:.2%}" if share else "" for share in shares))


def _share(count: int, of: int) -> str:
    return f"{count / of:.2%}" if count else ""


def _percentiles(head: Head, found: Summary, width: int, *, markdown: bool) -> list[str]:
    """Return a line for each kind of answer, or, where that is too wide, a column."""
    headers = ("", "requests", "least", "mean", *(name for name, _ in _SHARES), "most")
    everything = found.all
    rows = []
    for name, times in (
        ("succeeded", everything.served),
        ("failed", everything.failed),
        ("succeeded, from sending", everything.service),
    ):
        if times.count and (head.knows_due or times is not everything.service):
            values = (times.least, times.mean, *(times.at(share) for _, share in _SHARES), times.most)
            rows.append((name, f"{times.count:,}", *(words.milliseconds(value * 1000) for value in values)))
    lines = _grid(headers, rows, markdown=markdown)
    if markdown or max(map(len, lines), default=0) + 2 <= width:
        return lines
    turned = list(zip(headers, *rows, strict=True))
    return _grid(turned[0], turned[1:], markdown=False)


def _by(title: str, tallies: Mapping[str, Tally], *, markdown: bool) -> list[str]:
    rows = [
        (
            *_counted(name, tally),
            words.milliseconds(tally.served.at(0.5) * 1000) if tally.served.count else "",
            words.milliseconds(tally.served.at(0.95) * 1000) if tally.served.count else "",
        )
        for name, tally in tallies.items()
    ]
    return _grid((title, "requests", *REPORTED, "p50", "p95"), rows, markdown=markdown)


def _grid(headers: tuple[str, ...], rows: list[tuple[str, ...]], *, markdown: bool) -> list[str]:
    """Return a table without columns that are empty throughout."""
    kept = [place for place in range(len(headers)) if place < 2 or any(row[place] for row in rows)]
    heads = [headers[place] for place in kept]
    cells = [[row[place] for place in kept] for row in rows]
    align = ["left" if place == 0 else "right" for place in kept]
    return (table.markdown if markdown else table.grid)(heads, cells, align).splitlines()


def plot(timeline: Timeline) -> list[str]:
    """Return what was sent, how it ended and how long it took, a line for each slice of time."""
    most = max(each.count for each in timeline.slices) or 1
    lines = [f"{'from':>7}  {'sent, █ succeeded ░ failed':<{_BAR}}  {'in flight':>9}  {'p50':>9}  {'p99':>9}"]
    for each in timeline.slices:
        good = round(each.good / most * _BAR)
        bad = round(each.count / most * _BAR) - good
        p50, p99 = (
            words.milliseconds(each.times.at(share) * 1000) if each.times.count else "" for share in (0.5, 0.99)
        )
        lines.append(f"{each.begins:>6.1f}s  {'█' * good + '░' * bad:<{_BAR}}  {each.in_flight:>9}  {p50:>9}  {p99:>9}")
    return lines


def _section(title: str, lines: list[str], *, markdown: bool) -> str:
    return "\n".join([f"## {title}", "", *lines] if markdown else [title, *(f"  {line}".rstrip() for line in lines)])

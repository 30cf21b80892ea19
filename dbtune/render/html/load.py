"""A run of the hammer as one HTML page: verdict, tables, latency over time by outcome with what was under way."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dbtune.load.latency import Latencies
from dbtune.load.record import Head, Row
from dbtune.load.summary import Summary
from dbtune.load.timeline import Timeline
from dbtune.plan import words
from dbtune.render import load as text
from dbtune.render.html.chart import Series, chart
from dbtune.render.html.document import document
from dbtune.render.html.elements import Html, element, section

DOTS = 4000
"""Of each outcome, so many requests are drawn at most, evenly chosen."""


_FROM_DUE = "from when it was due"


def page(head: Head, found: Summary, rows: Sequence[Row], timeline: Timeline) -> str:
    """Return the whole document; ``rows`` are drawn one by one."""
    y_title = _FROM_DUE if head.knows_due else "from when it was sent"
    return document(
        "Load test",
        element("pre", text.screen(head, found, None, 110)),
        section("time", "Over time", *charts(found, rows, timeline, y_title=y_title)),
        section("percentiles", "Percentiles", curve(found, y_title=y_title)),
    )


def charts(found: Summary, rows: Sequence[Row], timeline: Timeline, *, y_title: str = _FROM_DUE) -> list[Html]:
    """Return latency by outcome over time, and what was under way."""
    kinds = (
        ("succeeded", "d", lambda row: row.outcome.is_success),
        ("failed", "b", lambda row: not row.outcome.is_success and not row.outcome.is_no_response),
        ("no response", "c", lambda row: row.outcome.is_no_response),
    )
    series = []
    for name, kind, is_one in kinds:
        points = [(row.due, row.latency) for row in rows if row.latency is not None and is_one(row)]
        step = max(1, math.ceil(len(points) / DOTS))
        if points:
            series.append(Series(name=name, points=points[::step], kind=kind, is_line=False))
    flight = [(each.begins, float(each.in_flight)) for each in timeline.slices]
    return [
        chart("Latency by outcome", series, x_title="seconds into the test", y_title=y_title, y_words=_time),
        chart(
            "Under way",
            [Series(name="requests", points=flight, kind="e")],
            x_title="seconds into the test",
            y_title="sent and not answered",
            height=150,
        ),
    ]


def curve(found: Summary, *, y_title: str = _FROM_DUE) -> Html:
    """Return latency by percentile, on an axis on which each step is a tenth of what is above it."""
    series = [
        Series(name=name, points=_spectrum(times), kind=kind)
        for name, times, kind in (("succeeded", found.all.served, "d"), ("failed", found.all.failed, "b"))
        if times.count
    ]
    return chart(
        "Latency by percentile",
        series,
        x_title="of requests, on a scale of nines",
        y_title=y_title,
        y_words=_time,
        x_words=lambda nines: f"{(1 - 10**-nines) * 100:.4g} %",
    )


def _spectrum(times: Latencies) -> list[tuple[float, float]]:
    last = math.log10(max(10, times.count))
    return [(nines := last * step / 60, times.at(1 - 10**-nines)) for step in range(61)]


def _time(seconds: float) -> str:
    return words.milliseconds(seconds * 1000)

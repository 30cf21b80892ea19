"""The page of ``dbtune size`` as HTML: the table of settings, conditions, what to paste, and two charts."""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.plan import words
from dbtune.pool.asked import Asked
from dbtune.pool.prediction import Prediction
from dbtune.pool.recommendation import Advice, Choice
from dbtune.render import size as text
from dbtune.render.html.chart import Mark, Series, chart
from dbtune.render.html.document import document
from dbtune.render.html.elements import Html, element, section, wide


def page(asked: Asked, advice: Advice, sizes: Sequence[Prediction]) -> str:
    """Return the whole document."""
    parts: list[Html] = [element("p", line) for line in text.asked_lines(asked)]
    if asked.causes:
        parts.append(section("first", "Do not touch the pool first", _list(asked.causes)))
    parts.append(section("settings", "Settings", wide(_table(advice), "settings")))
    if advice.why_none is not None:
        parts.append(element("p", advice.why_none, ".", class_="note"))
    if advice.best is not None:
        parts.append(section("best", text.named(advice.best), _conditions(advice.best)))
        code = element("pre", element("code", "\n".join(text.paste(advice.best))), class_="paste")
        parts.append(section("paste", "To paste", code))
    if advice.pooler is not None:
        parts.append(element("p", advice.pooler.words, ".", class_="note"))
        ini = element("pre", element("code", "\n".join(text.bouncer(advice))), class_="paste")
        parts.append(section("pooler", "pgbouncer.ini", ini))
    if sizes:
        parts.append(section("sizes", "What every size does", *_charts(advice, sizes)))
    if asked.doubts:
        parts.append(section("care", "Take with care", _list(asked.doubts)))
    return document("Connection pool sizes", *parts)


def _list(items: Sequence[str]) -> Html:
    return element("ul", *(element("li", item) for item in items))


def _table(advice: Advice) -> Html:
    head = element("tr", *(element("th", title) for title in text.HEADERS))
    rows = []
    for choice, cells in zip(advice.choices, text.rows(advice), strict=True):
        drawn = [
            element("td", cell, class_="number" if 2 <= number <= 4 else None) for number, cell in enumerate(cells)
        ]
        rows.append(element("tr", *drawn, class_="best" if choice is advice.best else None))
    return element("table", element("thead", head), element("tbody", *rows), class_="plain")


def _conditions(choice: Choice) -> Html:
    items = [
        element("li", element("b", "✓ " if each.holds else "✗ ", class_="good" if each.holds else "bad"), each.words)
        for each in choice.inequalities
    ]
    return element("ul", *items)


def _charts(advice: Advice, sizes: Sequence[Prediction]) -> list[Html]:
    marks = [
        Mark(x=choice.settings.cap, name=f"{choice.name}: {choice.settings.cap}")
        for choice in advice.choices[:2]
        if choice.settings.cap <= sizes[-1].settings.cap
    ]
    success = Series(name="success", points=[(found.settings.cap, found.steady.success) for found in sizes])
    waits = [
        Series(
            name=name,
            points=[(found.settings.cap, getattr(found.steady.wait, attribute)) for found in sizes],
            kind=kind,
        )
        for name, attribute, kind in (("p50", "p50", "d"), ("p95", "p95", "c"), ("p99", "p99", "b"))
    ]
    return [
        chart(
            "Success",
            [success],
            x_title="connections of one process",
            y_title="share of requests",
            y_words=lambda value: f"{value:.0%}",
            top=1.0,
            marks=marks,
        ),
        chart(
            "Wait for a connection",
            waits,
            x_title="connections of one process",
            y_title="of those who got one",
            y_words=lambda value: words.milliseconds(value * 1000),
            marks=marks,
        ),
    ]

"""A study as one HTML page: the same tables and words, predicted against measured, and each arm over time."""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.render import study as text
from dbtune.render.html import load
from dbtune.render.html.chart import Series, chart
from dbtune.render.html.document import document
from dbtune.render.html.elements import Html, element, section, wide
from dbtune.study.explanation import explain
from dbtune.study.phenomena import phenomena
from dbtune.study.result import Result, Results


def page(results: Results) -> str:
    """Return the whole document."""
    headers, rows = text.arm_rows(results)
    return document(
        results.study.title,
        section("arms", "Predicted and measured", wide(_table(headers, rows), "arms"), _compared(results)),
        section("seen", "What the report saw", element("ol", *_phenomena(results))),
        section("funnel", "The funnel", wide(_table(*text.funnel_rows(results)), "funnel")),
        section("lost", "Where requests were lost", wide(_table(*text.lost_rows(results)), "lost")),
        *(_arm(number, each, results.usable) for number, each in enumerate(results.arms, 1)),
        section("text", "The same as text", element("pre", text.screen(results, 110))),
    )


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    head = element("tr", *(element("th", title) for title in headers))
    body = [
        element("tr", *(element("td", cell, class_="number" if place else None) for place, cell in enumerate(row)))
        for row in rows
    ]
    return element("table", element("thead", head), element("tbody", *body), class_="plain")


def _compared(results: Results) -> Html:
    """Return success by arm, predicted and measured, one beside the other."""
    ran = [(number, each) for number, each in enumerate(results.arms, 1) if each.runs]
    predicted = [(float(number), each.expectation.success) for number, each in ran if each.expectation is not None]
    measured = [(float(number), each.success) for number, each in ran]
    return chart(
        "Success by arm, in the order of the table",
        [
            Series(name="predicted", points=predicted, kind="c"),
            Series(name="measured", points=measured, kind="d", is_line=False),
        ],
        x_title="arm",
        y_title="share of requests",
        y_words=lambda value: f"{value:.0%}",
        top=1.0,
    )


def _phenomena(results: Results) -> list[Html]:
    return [
        element(
            "li",
            element("b", "seen: " if each.is_seen else "not seen: ", class_="good" if each.is_seen else "bad"),
            each.title,
            element("p", each.cause, class_="note"),
            element("ul", *(element("li", told) for told in each.evidence)),
        )
        for each in phenomena(results.arms, results.usable)
    ]


def _arm(number: int, result: Result, usable: int) -> Html:
    parts: list[Html] = [element("p", " ".join(explain(result, usable)))]
    if result.runs:
        first = result.runs[0]
        parts += load.charts(first.summary, first.rows, first.timeline)
    return section(f"arm-{number}", f"{result.arm.name}: {result.arm.title}", *parts)

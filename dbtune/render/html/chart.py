"""Line and point charts as SVG within a page: its colours, a title for screen readers, no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dbtune.render.html.elements import Html, element, join

WIDTH, HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 14, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A line through points of (x, y), or only the points where ``is_line`` is false. ``kind`` is its CSS class."""

    name: str
    points: Sequence[tuple[float, float]]
    kind: str = "a"
    is_line: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A vertical line at ``x`` with a word."""

    x: float
    name: str


def chart(
    title: str,
    series: Sequence[Series],
    *,
    x_title: str,
    y_title: str,
    y_words: Callable[[float], str] = lambda value: f"{value:g}",
    x_words: Callable[[float], str] = lambda value: f"{value:g}",
    top: float | None = None,
    marks: Sequence[Mark] = (),
    height: int = HEIGHT,
) -> Html:
    """Return a chart whose axes begin at 0; ``top`` is the largest y that is shown, else that of the points."""
    every = [point for each in series for point in each.points]
    x_most = max([x for x, _ in every] + [mark.x for mark in marks], default=1.0) or 1.0
    y_most = top if top is not None else (max((y for _, y in every), default=1.0) or 1.0)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            round(_LEFT + x / x_most * (WIDTH - _LEFT - _RIGHT), 1),
            round(height - _BOTTOM - min(y, y_most) / y_most * (height - _TOP - _BOTTOM), 1),
        )

    drawn: list[Html] = []
    for value in ticks(y_most):
        x, y = place(0, value)
        drawn.append(element("line", x1=x, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="grid"))
        drawn.append(element("text", y_words(value), x=x - 6, y=y + 4, text_anchor="end"))
    for value in ticks(x_most):
        x, y = place(value, 0)
        drawn.append(element("text", x_words(value), x=x, y=y + 16, text_anchor="middle"))
    for mark in marks:
        x, y = place(mark.x, 0)
        drawn.append(element("line", x1=x, x2=x, y1=_TOP, y2=y, class_="mark"))
        at_end = mark.x > 0.8 * x_most
        drawn.append(
            element(
                "text", mark.name, x=x + (-4 if at_end else 4), y=_TOP + 10, text_anchor="end" if at_end else "start"
            )
        )
    for each in series:
        placed = [place(x, y) for x, y in each.points]
        if each.is_line:
            drawn.append(
                element("polyline", points=" ".join(f"{x},{y}" for x, y in placed), class_=f"line {each.kind}")
            )
        else:
            drawn += [element("circle", cx=x, cy=y, r=2, class_=f"dot {each.kind}") for x, y in placed]
    drawn.append(element("text", x_title, x=WIDTH - _RIGHT, y=height - 6, text_anchor="end", class_="axis"))
    drawn.append(element("text", y_title, x=4, y=height - 6, text_anchor="start", class_="axis"))
    svg = element(
        "svg",
        element("title", title),
        *drawn,
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        class_="chart",
    )
    keys = [element("span", each.name, class_=f"key-{each.kind}") for each in series if each.name]
    return element("figure", element("figcaption", title, " ", join(keys, " ")), svg, class_="plot")


def ticks(most: float, wanted: int = 5) -> list[float]:
    """Return round numbers from 0 to ``most``, about ``wanted`` of them."""
    rough = most / wanted
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough * 0.999)
    return [round(step * number, 10) for number in range(math.floor(most / step + 1e-9) + 1)]

"""Charts as SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from dbtune.render.html.chart import HEIGHT, WIDTH, Mark, Series, chart, ticks


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (97, [0, 20, 40, 60, 80]),
        (5, [0, 1, 2, 3, 4, 5]),
        (0.0123, [0, 0.0025, 0.005, 0.0075, 0.01]),
    ],
)
def test_ticks_are_round(most: float, expected: list[float]) -> None:
    assert ticks(most) == pytest.approx(expected)


def test_everything_lies_within() -> None:
    drawn = chart(
        "A <title>",
        [Series(name="line", points=[(0, 0), (5, 20), (10, 7)]), Series(name="", points=[(3, 3)], is_line=False)],
        x_title="x",
        y_title="y",
        top=10,
        marks=[Mark(x=9, name="here")],
    )
    svg = ElementTree.fromstring(re.sub(r"^.*?(<svg.*</svg>).*$", r"\1", drawn, flags=re.S))
    (line,) = svg.findall("polyline")
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert points[1][1] < points[2][1] < points[0][1]  # downwards is less
    assert len(svg.findall("circle")) == 1
    assert "A &lt;title&gt;" in drawn


def test_nothing_to_draw() -> None:
    assert "<svg" in chart("empty", [], x_title="", y_title="")

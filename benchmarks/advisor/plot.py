"""The curve of cost over size as an SVG, drawn without a library."""

from __future__ import annotations

from collections.abc import Sequence

_WIDTH, _HEIGHT, _MARGIN = 760, 420, 60
_COLOURS = ("#1f6feb", "#d1242f", "#2da44e", "#9a6700")

Series = Sequence[tuple[float, float]]


def svg(title: str, curves: Sequence[tuple[str, Series]], steps: Sequence[str] = ()) -> str:
    """Return a picture of the curves: size as a part of the heap, in %, and cost as a part of that without, in %.

    Curves whose names are in ``steps`` are drawn as stairs: what lies between two points costs what the left one does.
    """
    most = max((x for _, points in curves for x, _ in points), default=100.0)
    least = min((y for _, points in curves for _, y in points), default=0.0)
    floor = max(0.0, least // 10 * 10 - 10)

    def place(x: float, y: float) -> tuple[float, float]:
        across = _MARGIN + x / most * (_WIDTH - 2 * _MARGIN)
        down = _HEIGHT - _MARGIN - (y - floor) / (100 - floor) * (_HEIGHT - 2 * _MARGIN)
        return round(across, 1), round(down, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif"'
        ' font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_WIDTH / 2}" y="24" text-anchor="middle" font-size="15">{title}</text>',
    ]
    for share in range(int(floor), 101, 10):
        left, down = place(0, share)
        right, _ = place(most, share)
        parts.append(f'<line x1="{left}" y1="{down}" x2="{right}" y2="{down}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{down + 4}" text-anchor="end">{share} %</text>')
    for size in range(0, int(most) + 1, 10 if most <= 120 else 50):
        across, down = place(size, floor)
        parts.append(f'<text x="{across}" y="{down + 18}" text-anchor="middle">{size} %</text>')
    parts.append(
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 12}" text-anchor="middle">size of new indexes, of the heap</text>'
    )
    for number, (name, points) in enumerate(curves):
        colour = _COLOURS[number % len(_COLOURS)]
        drawn: list[tuple[float, float]] = []
        for x, y in points:
            if name in steps and drawn:
                drawn.append((place(x, y)[0], drawn[-1][1]))
            drawn.append(place(x, y))
        path = " ".join(f"{x},{y}" for x, y in drawn)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in (place(*each) for each in points)]
        parts.append(f'<text x="{_WIDTH - _MARGIN - 160}" y="{60 + 18 * number}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"

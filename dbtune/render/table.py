"""Tables: a grid for wide places, aligned lines for narrow ones, and Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

WIDE = 132
"""Columns from which a report shows one line a row; below it the details stand under their row."""

Row = Sequence[str]


def grid(headers: Row, rows: Sequence[Row], align: Row, limits: Sequence[int | None] | None = None) -> str:
    """Return a table whose cells may have several lines; ``limits`` are the most characters of each column."""
    return tabulate(
        rows,
        headers,
        tablefmt="simple",
        colalign=tuple(align),
        disable_numparse=True,
        maxcolwidths=limits,
        break_long_words=False,
    )


def markdown(headers: Row, rows: Sequence[Row], align: Row) -> str:
    """Return a table as GitHub reads it."""
    cells = [[cell.replace("|", "\\|").replace("\n", "<br>") for cell in row] for row in rows]
    return tabulate(cells, headers, tablefmt="pipe", colalign=tuple(align), disable_numparse=True)


def aligned(headers: Row, rows: Sequence[Row], width: int) -> list[str]:
    """Return the header and each row: the first column takes the room that the others leave.

    A first cell that is longer has a line of its own.
    """
    sizes = [max(len(cell) for cell in column) for column in list(zip(headers, *rows, strict=True))[1:]]
    room = max(20, width - sum(sizes) - 2 * len(sizes))
    lines = []
    for first, *others in (headers, *rows):
        lead = f"{first:<{room}}" if len(first) <= room else f"{first}\n{'':<{room}}"
        lines.append(lead + "".join(f"  {o:>{s}}" for o, s in zip(others, sizes, strict=True)))
    return lines

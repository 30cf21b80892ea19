"""What changed since a baseline, for people."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from dbtune.plan import words
from dbtune.plan.comparison import Direction, Work, work
from dbtune.plan.report import Outcome, Report
from dbtune.render import table

_MARKS = {Direction.BETTER: "+", Direction.WORSE: "−", Direction.OTHER: "·"}


def changes(report: Report, width: int, *, markdown: bool = False) -> str:
    """Return a row for each query: blocks, rows read per row and time before → now, and what changed in its plan."""
    compared = [o for o in report.by_cost() if o.changes is not None]
    new = [o.query.name for o in report.outcomes if o.changes is None]
    changed = [o for o in compared if o.changes]
    lines = [
        f"{len(changed)} of {len(compared)} queries changed; time is told for context only."
        if compared
        else "No query of the baseline was explained."
    ]
    if new:
        lines.append(f"Not in the baseline, or not planned: {', '.join(new)}")
    if not changed:
        return "\n".join(textwrap.fill(line, width) for line in lines) + "\n"
    headers = ["query", "blocks", "read/row", "ms"]
    if markdown or width >= table.WIDE:
        rows = [[*_figures(o), "\n".join(_told(o))] for o in changed]
        align = ["left", "right", "right", "right", "left"]
        draw = table.markdown if markdown else table.grid
        limits = () if markdown else ([40, None, None, None, max(40, width - 100)],)
        return "\n".join(lines) + "\n\n" + draw([*headers, "what changed"], rows, align, *limits) + "\n"
    head, *drawn = table.aligned(headers, [_figures(o) for o in changed], width)
    told = [*(textwrap.fill(line, width) for line in lines), "", head, "─" * width]
    for line, outcome in zip(drawn, changed, strict=True):
        told.append(line)
        for change in _told(outcome):
            told += textwrap.wrap(change, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    return "\n".join(told) + "\n"


def _figures(outcome: Outcome) -> list[str]:
    assert outcome.before is not None and outcome.analysis is not None
    before, now = outcome.before, work(outcome.analysis)
    return [
        outcome.query.name,
        _pair(before.blocks, now.blocks),
        _pair(before.read_per_row, now.read_per_row),
        _times(before, now),
    ]


def _pair(before: float | None, now: float | None) -> str:
    return f"{_number(before)} → {_number(now)}"


def _number(value: float | None) -> str:
    return "–" if value is None else words.number(round(value) if value >= 10 else round(value, 1))


def _times(before: Work, now: Work) -> str:
    def one(value: float | None) -> str:
        return "–" if value is None else f"{value:,.2f}"

    return f"{one(before.execution_ms)} → {one(now.execution_ms)}"


def _told(outcome: Outcome) -> Sequence[str]:
    return [f"{_MARKS[change.direction]} {change.text}" for change in outcome.changes or ()]

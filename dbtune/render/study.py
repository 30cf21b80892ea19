"""A study as people read it: arms, phenomena, the report's tables beside ours, the funnel; and as programs do."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

from dbtune.load.outcome import REPORTED
from dbtune.plan import words
from dbtune.render import table
from dbtune.render.document import SCHEMA_VERSION
from dbtune.study.explanation import explain
from dbtune.study.measured import LOST
from dbtune.study.phenomena import phenomena
from dbtune.study.report_2019 import FIGURES
from dbtune.study.result import Result, Results

_COLUMNS = ("200", "no response", "404", "500")


def document(results: Results) -> dict[str, Any]:
    """Return it for programs; shares from 0 to 1, times in milliseconds, null for what is not known."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "study",
        "title": results.study.title,
        "server_version": results.version,
        "cores": results.cores,
        "usable_connections": results.usable,
        "seconds": results.seconds,
        "interrupted": results.interrupted,
        "arms": [_arm(each, results.usable) for each in results.arms],
        "phenomena": [
            {"title": each.title, "cause": each.cause, "seen": each.is_seen, "evidence": list(each.evidence)}
            for each in phenomena(results.arms, results.usable)
        ],
    }


def _arm(result: Result, usable: int) -> dict[str, Any]:
    found, served = result.expectation, result.served
    return {
        "name": result.arm.name,
        "title": result.arm.title,
        "load": str(result.arm.load),
        "server": str(result.arm.server),
        "settings": result.arm.settings.public(),
        "predicted": None
        if found is None
        else {
            "success": found.success,
            "pool_timeout": found.pool_timeout,
            "refused": found.refused,
            "no_answer": found.no_answer,
            "p50_ms": found.p50_s * 1000,
            "capacity": found.capacity,
            "hit_ratio": found.hits,
            "no_claim": found.no_claim,
        },
        "measured": {
            "runs": len(result.runs),
            "sent": result.sent,
            "success": result.success if result.runs else None,
            "noise": result.noise if result.runs else None,
            "goodput": None if math.isnan(result.goodput) else result.goodput,
            "p50_ms": served.at(0.5) * 1000 if served.count else None,
            "p99_ms": served.at(0.99) * 1000 if served.count else None,
            "shares": {column: result.share(column) for column in REPORTED},
            "lost": result.lost,
            "funnel": result.stages,
            "no_verdict": result.no_verdict,
        },
        "miss": result.miss,
        "failed": result.failed,
        "explanation": explain(result, usable),
    }


def screen(results: Results, width: int, *, markdown: bool = False) -> str:
    """Return it for people."""
    parts = [_heading(results, markdown=markdown)]
    parts.append(_section("Predicted and measured", _arms(results, width, markdown=markdown), markdown=markdown))
    parts.append(_section("What the report saw", _phenomena(results, width, markdown=markdown), markdown=markdown))
    parts.append(
        _section("The report's tables, and ours", _reported(results, width, markdown=markdown), markdown=markdown)
    )
    parts.append(_section("The funnel", _funnel(results, width, markdown=markdown), markdown=markdown))
    parts.append(_section("Where requests were lost", _lost(results, width, markdown=markdown), markdown=markdown))
    parts.append(_section("Arm by arm", _explained(results, width, markdown=markdown), markdown=markdown))
    return "\n\n".join(parts) + "\n"


def _heading(results: Results, *, markdown: bool) -> str:
    lines = [f"# {results.study.title}" if markdown else results.study.title]
    ended = ", interrupted" if results.interrupted else ""
    lines.append(
        f"{len(results.arms)} arms in {results.seconds:.0f} s on {results.cores} cores{ended}; PostgreSQL"
        f" {results.version} with {results.usable} connections to be had; clients wait"
        f" {results.study.client_timeout_s:g} s"
    )
    return "\n\n".join(lines) if markdown else "\n".join(lines)


def arm_rows(results: Results) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return headers and a row for each arm: predicted success, measured, the miss, and times."""
    headers = ("arm", "sent", "predicted", "measured", "miss", "p50", "p99", "good/s")
    return headers, [_arm_row(each) for each in results.arms]


def _arm_row(result: Result) -> tuple[str, ...]:
    found, served = result.expectation, result.served
    predicted = "" if found is None else f"{found.success:.1%}" if found.no_claim is None else f"({found.success:.1%})"
    if not result.runs:
        return (result.arm.name, "", predicted, "did not run", "", "", "", "")
    miss = "" if result.miss is None else f"{result.miss * 100:+.1f}"
    doubt = " !" if result.no_verdict else ""
    times = [words.milliseconds(served.at(share) * 1000) if served.count else "" for share in (0.5, 0.99)]
    return (
        result.arm.name,
        f"{result.sent:,}",
        predicted,
        f"{result.success:.1%} ±{result.noise * 100:.1f}{doubt}",
        miss,
        *times,
        "" if math.isnan(result.goodput) else f"{result.goodput:.0f}",
    )


def _arms(results: Results, width: int, *, markdown: bool) -> list[str]:
    headers, rows = arm_rows(results)
    lines = _grid(headers, rows, width, markdown=markdown, spared=("sent", "p99", "good/s"))
    noise = (
        "± half the range of the runs"
        if results.study.repeat > 1
        else "± two standard errors of one run, without what the machine adds"
    )
    notes = [f"{noise}; miss in points"]
    if any(each.expectation and each.expectation.no_claim for each in results.arms):
        notes.append("in brackets: the model does not claim to know")
    if any(each.no_verdict for each in results.arms):
        notes.append("!: the generator fell behind")
    return [*lines, "", *(["; ".join(notes)] if markdown else _wrapped("; ".join(notes), width, ""))]


def _phenomena(results: Results, width: int, *, markdown: bool) -> list[str]:
    lines = []
    for number, each in enumerate(phenomena(results.arms, results.usable), 1):
        lines += _wrapped(f"{number}. {'seen' if each.is_seen else 'NOT SEEN'}: {each.title}", width, "   ")
        lines += _wrapped(f"   Cause: {each.cause}", width, "   ")
        for told in each.evidence:
            lines += _wrapped(f"   - {told}", width, "     ")
    return lines


def _reported(results: Results, width: int, *, markdown: bool) -> list[str]:
    rows = []
    for result in results.arms:
        figures = FIGURES.get(result.arm.reported) if result.arm.reported is not None else None
        if figures is None or not result.runs:
            continue
        theirs = [figures.ok, figures.none, figures.missing, figures.error]
        rows.append((f"2019: {figures.title}", *("" if share is None else f"{share:.2f}" for share in theirs)))
        rows.append((f"ours: {result.arm.name}", *(f"{result.share(column) * 100:.2f}" for column in _COLUMNS)))
    if not rows:
        return ["No arm stands for a setting of the report."]
    headers = ("per cent of requests", "success (200)", "no response", "404", "500")
    return _grid(headers, rows, width, markdown=markdown, spared=("404",))


def funnel_rows(results: Results) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return headers and rows of the report's four counters and those that it lacked."""
    headers = ("requests", "sent", "taken", "hit", "waited", "connected", "started", "completed", "answered")
    rows: list[tuple[str, ...]] = []
    for result in results.arms:
        figures = FIGURES.get(result.arm.reported) if result.arm.reported is not None else None
        if figures is not None and figures.funnel is not None:
            sent, hit, started, completed = (f"{each:,}" for each in figures.funnel)
            rows.append((f"2019: {figures.title}", sent, "", hit, "", "", started, completed, ""))
        if result.runs:
            stages = result.stages
            names = ("accepted", "hit", "pool_wait", "connection", "query_started", "query_completed", "written")
            rows.append((result.arm.name, f"{result.sent:,}", *(f"{stages[name]:,}" for name in names)))
    return headers, rows


def _funnel(results: Results, width: int, *, markdown: bool) -> list[str]:
    headers, rows = funnel_rows(results)
    return _grid(headers, rows, width, markdown=markdown, spared=("taken", "waited", "started", "answered"))


def lost_rows(results: Results) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return headers and rows of where requests were lost; with those that succeeded they sum to what was sent."""
    ran = [each for each in results.arms if each.runs]
    stages = [stage for stage in LOST if any(each.lost[stage] for each in ran)]
    rows = []
    for result in ran:
        good = sum(run.succeeded for run in result.runs)
        lost = [result.lost[stage] for stage in stages]
        rows.append(
            (
                result.arm.name,
                f"{good:,}",
                *(f"{each:,}" if each else "" for each in lost),
                f"{good + sum(lost):,}",
                f"{result.sent:,}",
            )
        )
    return ("requests", "succeeded", *(stage.replace("_", " ") for stage in stages), "sum", "sent"), rows


def _lost(results: Results, width: int, *, markdown: bool) -> list[str]:
    headers, rows = lost_rows(results)
    meanings = [f"{name.replace('_', ' ')}: {meaning}" for name, meaning in LOST.items()]
    seen = [told for told in meanings if told.partition(":")[0] in headers]
    items = [f"- {told}" for told in seen] if markdown else seen
    return [*_grid(headers, rows, width, markdown=markdown, spared=("sum",)), "", *items]


def _explained(results: Results, width: int, *, markdown: bool) -> list[str]:
    lines: list[str] = []
    for result in results.arms:
        if lines:
            lines.append("")
        title = f"{result.arm.name}: {result.arm.title}"
        lines += [f"### {title}", ""] if markdown else _wrapped(title, width, "  ")
        told = " ".join(explain(result, results.usable))
        if result.expectation is not None and result.expectation.no_claim is not None:
            told += f" The model makes no claim: {result.expectation.no_claim}."
        lines += [told] if markdown else _wrapped(f"  {told}", width, "  ")
    return lines


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, max(40, width - 2), subsequent_indent=indent, break_long_words=False)


def _grid(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    markdown: bool,
    spared: Sequence[str] = (),
) -> list[str]:
    """Return a table; where it is too wide, without the columns that can be ``spared``, the last ones first."""
    spare = [name for name in spared if name in headers]
    while True:
        align = ["left", *("right" for _ in headers[1:])]
        lines = (table.markdown if markdown else table.grid)(headers, rows, align).splitlines()
        if markdown or not spare or max(map(len, lines)) + 2 <= width:
            return lines
        place = list(headers).index(spare.pop())
        headers = [*headers[:place], *headers[place + 1 :]]
        rows = [[*row[:place], *row[place + 1 :]] for row in rows]


def _section(title: str, lines: Sequence[str], *, markdown: bool) -> str:
    return "\n".join([f"## {title}", "", *lines] if markdown else [title, *(f"  {line}".rstrip() for line in lines)])

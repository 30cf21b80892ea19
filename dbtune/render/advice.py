"""Advice for people and programs: a report, Markdown, JSON, or the statements alone."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from dbtune.index.advice import Advice, Measured, Outcome, Point, Recommendation
from dbtune.plan import words
from dbtune.render import table as tables
from dbtune.render.document import SCHEMA_VERSION

_SHOWN = 5
_REJECTED_SHOWN = 8
_OUTCOMES = ["query", "weight", "before", "after", "", "indexes"]
_OUTCOMES_ALIGN = ["left", "right", "right", "right", "right", "left"]


def sql(advice: Advice) -> str:
    """Return the CREATE INDEX statements, one a line, and nothing else."""
    return "".join(f"{each.index.ddl()};\n" for each in advice.recommendations)


def text(advice: Advice, width: int) -> str:
    """Return the report: what it all comes to, each index, what to drop, each query, and what was not advised."""
    width = min(width, 110)
    parts = [_summary(advice, width)]
    parts += [_recommendation(number, each, width) for number, each in enumerate(advice.recommendations, start=1)]
    if advice.removals:
        lines = [f"  {_bytes(each.bytes):>9}  {each.index.chosen_name}: {each.why}" for each in advice.removals]
        parts.append("Could be dropped:\n" + _wrapped(lines, width))
    if advice.outcomes:
        parts.append("Queries:\n" + _queries(advice.outcomes, width))
    if advice.frontier:
        parts.append("Cost over size:\n" + curve(advice.frontier, advice.before, width))
    if advice.unhelped:
        lines = [f"  {each.query}: {each.why}" for each in advice.unhelped]
        parts.append("No index helps:\n" + _wrapped(lines, width))
    if advice.rejected:
        shown = advice.rejected[:_REJECTED_SHOWN]
        lines = [f"  {each.index.target}: {each.why}" for each in shown]
        if more := len(advice.rejected) - len(shown):
            lines.append(f"  and {more} more (--format json lists them all)")
        parts.append("Considered and not advised:\n" + _wrapped(lines, width))
    if said := [*advice.warnings, *advice.notes]:
        parts.append("\n".join(_paragraph(f"! {each}", width, "  ") for each in said))
    return "\n\n".join(parts) + "\n"


def markdown(advice: Advice) -> str:
    """Return the report as GitHub reads it."""
    rows = [
        [
            f"`{each.index.ddl()}`",
            _bytes(each.bytes),
            _share(each.saves, advice.before),
            each.confidence.name.lower(),
            "\n".join(f"{h.name} {_costs(h)}" for h in each.helped),
        ]
        for each in advice.recommendations
    ]
    parts = [_summary(advice, 10_000)]
    if rows:
        headers = ["index", "size", "saves", "confidence", "helps"]
        parts.append(tables.markdown(headers, rows, ["left", "right", "right", "left", "left"]))
    if advice.removals:
        parts.append("\n".join(f"- drop `{each.index.chosen_name}`: {each.why}" for each in advice.removals))
    if advice.outcomes:
        parts.append(tables.markdown(_OUTCOMES, [_outcome(each) for each in advice.outcomes], _OUTCOMES_ALIGN))
    parts += ["\n".join(f"- {each.query}: {each.why}" for each in advice.unhelped)] if advice.unhelped else []
    if said := [*advice.warnings, *advice.notes]:
        parts.append("\n".join(f"> {each}" for each in said))
    return "\n\n".join(parts) + "\n"


def document(advice: Advice) -> dict[str, Any]:
    """Return the whole advice. Costs are the planner's; sizes are bytes, times milliseconds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "advise",
        "method": advice.method,
        "server": advice.server,
        "budget_bytes": advice.budget,
        "heap_bytes": advice.heap,
        "bytes": advice.bytes,
        "cost": {
            "before": advice.before,
            "after": advice.after,
            "predicted": advice.predicted,
            "writes_before": advice.writes_before,
            "writes_after": advice.writes_after,
        },
        "gap": advice.gap,
        "complete": advice.complete,
        "planner_calls": advice.calls,
        "recommendations": [_recommendation_document(each) for each in advice.recommendations],
        "removals": [
            {"index": each.index.name, "bytes": each.bytes, "why": each.why, "definition": each.index.ddl()}
            for each in advice.removals
        ],
        "rejected": [
            {"definition": each.index.ddl(), "bytes": each.bytes, "why": each.why} for each in advice.rejected
        ],
        "unhelped": [{"query": each.query, "why": each.why} for each in advice.unhelped],
        "queries": [_outcome_document(each) for each in advice.outcomes],
        "frontier": [
            {"bytes": each.bytes, "cost": each.cost, "indexes": each.indexes, "gap": each.gap}
            for each in advice.frontier
        ],
        "warnings": list(advice.warnings),
        "notes": list(advice.notes),
    }


def _recommendation_document(each: Recommendation) -> dict[str, Any]:
    return {
        "name": each.index.chosen_name,
        "definition": each.index.ddl(),
        "schema": each.index.schema,
        "table": each.index.table,
        "bytes": each.bytes,
        "saves": each.saves,
        "write_cost": each.write_cost,
        "confidence": each.confidence.name.lower(),
        "doubts": list(each.doubts),
        "reasons": list(each.reasons),
        "redundant": list(each.redundant),
        "needs_extension": each.needs_extension,
        "helps": [_outcome_document(helped) for helped in each.helped],
    }


def _outcome_document(each: Outcome) -> dict[str, Any]:
    def measured(one: Measured | None) -> dict[str, Any] | None:
        return None if one is None else {"ms": one.ms, "blocks": one.blocks}

    return {
        "query": each.query,
        "parameter_set": each.parameter_set,
        "weight": each.weight,
        "cost_before": each.before,
        "cost_after": each.after,
        "indexes": list(each.used),
        "measured_before": measured(each.measured_before),
        "measured_after": measured(each.measured_after),
        "deceived": each.deceived,
    }


def _summary(advice: Advice, width: int) -> str:
    count = len(advice.recommendations)
    if count:
        share = f" ({_share(advice.bytes, advice.heap)} of the tables' {_bytes(advice.heap)})" if advice.heap else ""
        first = (
            f"{count} {'index' if count == 1 else 'indexes'} of {_bytes(advice.bytes)}{share}"
            f" would take the workload's cost from {words.number(round(advice.before))}"
            f" to {words.number(round(advice.after))} ({_share(advice.after, advice.before)})."
        )
    else:
        first = "No index is advised: none would pay for itself with this workload."
    proof = (
        f"Planned on {advice.method} of {advice.server}. Proven: no choice among all combinations that were explored"
        f" is better by more than {words.percent(advice.gap)}; {advice.calls:,} questions to the planner."
    )
    lines = [_paragraph(first, width), _paragraph(proof, width)]
    if not advice.complete:
        lines.append(_paragraph("The search was stopped early: this is the best that was found until then.", width))
    if advice.slower:
        names = ", ".join(each.name for each in advice.slower)
        lines.append(_paragraph(f"Slower with it: {names}.", width))
    return "\n".join(lines)


def _recommendation(number: int, each: Recommendation, width: int) -> str:
    facts = [
        _bytes(each.bytes),
        f"saves {words.number(round(each.saves))}",
        f"confidence {each.confidence.name.lower()}",
    ]
    if each.write_cost:
        facts.insert(2, f"writes cost {words.number(round(each.write_cost))}")
    lines = [_paragraph(f"{number}. {each.index.ddl()}", width, "   "), f"   {', '.join(facts)}"]
    if each.needs_extension:
        lines.append(f"   needs CREATE EXTENSION {each.needs_extension}")
    for helped in each.helped[:_SHOWN]:
        calls = f" ×{helped.weight:,.0f}" if helped.weight != 1 else ""
        lines.append(_paragraph(f"   helps {helped.name}{calls}: {_costs(helped)}", width, "         "))
    if (more := len(each.helped) - _SHOWN) > 0:
        lines.append(f"   and {more} more")
    lines += [_paragraph(f"   because {reason}", width, "     ") for reason in each.reasons[:2]]
    lines += [_paragraph(f"   doubt: {doubt}", width, "     ") for doubt in each.doubts]
    if each.redundant:
        lines.append(_paragraph(f"   makes {', '.join(each.redundant)} superfluous", width, "     "))
    return "\n".join(lines)


def _queries(outcomes: Sequence[Outcome], width: int) -> str:
    rows = [_outcome(each) for each in outcomes]
    if width >= tables.WIDE:
        return tables.grid(_OUTCOMES, rows, _OUTCOMES_ALIGN)
    head, *lines = tables.aligned(_OUTCOMES[:5], [row[:5] for row in rows], width)
    told = [head, "─" * width]
    for line, row in zip(lines, rows, strict=True):
        told.append(line)
        if row[5]:
            told.append(_paragraph(f"  by {row[5]}", width, "     "))
    return "\n".join(told)


def _outcome(each: Outcome) -> list[str]:
    return [
        each.name,
        f"{each.weight:,.0f}",
        _number(each.before),
        _number(each.after),
        _percent(each.ratio),
        ", ".join(each.used),
    ]


def _costs(each: Outcome) -> str:
    said = f"{_number(each.before)} → {_number(each.after)}"
    one, other = each.measured_before, each.measured_after
    if one is not None and other is not None:
        said += f", {words.milliseconds(one.ms)} → {words.milliseconds(other.ms)}"
        said += f", {one.blocks:,} → {other.blocks:,} blocks"
        if each.deceived:
            said += " (slower: the planner is deceived)"
    return said


def curve(points: Sequence[Point], before: float, width: int) -> str:
    """Return the curve as a table with a bar for each point's cost."""
    room = max(10, width - 42)
    lines = [f"  {'size':>10}  {'indexes':>7}  {'cost':>8}"]
    for point in points:
        share = point.cost / before if before else 1.0
        lines.append(f"  {_bytes(point.bytes):>10}  {point.indexes:>7}  {_percent(share):>8}  {_bar(share, room)}")
    return "\n".join(line.rstrip() for line in lines)


def _bar(share: float, room: int) -> str:
    eighths = round(min(share, 1.0) * room * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def _bytes(size: float) -> str:
    return words.size(size / 8192)


def _share(part: float, whole: float) -> str:
    return _percent(part / whole) if whole else "0 %"


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _number(cost: float) -> str:
    return f"{cost:,.2f}" if cost < 100 else f"{cost:,.0f}"


def _paragraph(said: str, width: int, hang: str = "") -> str:
    return "\n".join(textwrap.wrap(said, width, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False))


def _wrapped(lines: Sequence[str], width: int) -> str:
    return "\n".join(_paragraph(line, width, "     ") for line in lines)

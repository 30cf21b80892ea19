"""The report of ``dbtune explain`` for people: a table of queries, a summary, the most valuable findings in words."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from dbtune.plan import words
from dbtune.plan.arithmetic import Count
from dbtune.plan.explain import Status
from dbtune.plan.finding import Confidence, Finding
from dbtune.plan.report import Advice, Outcome, Report, SequentialScan
from dbtune.render import table

SHOWN = 5
"""Findings told in words; JSON has all."""

_NAMED = 12
"""Queries named for a table; JSON has all."""


def explain(report: Report, width: int, *, markdown: bool = False) -> str:
    """Return the report: a row for each query, a summary, the most valuable findings in words."""
    parts = [_queries(report, width, markdown), _summary(report, width, markdown), _advice(report, width, markdown)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _queries(report: Report, width: int, markdown: bool) -> str:
    outcomes = report.by_cost()
    if not outcomes:
        return ""
    if markdown or width >= table.WIDE:
        return _wide(outcomes, width, markdown)
    return _narrow(outcomes, width)


def _wide(outcomes: Sequence[Outcome], width: int, markdown: bool) -> str:
    headers = [
        "query",
        "route",
        "calls",
        "ms",
        "rows",
        "buffers",
        "sequential scans: rows read → kept",
        "worst finding",
    ]
    rows = [
        [
            outcome.query.name,
            outcome.query.route or "",
            "" if outcome.query.calls is None else words.number(outcome.query.calls),
            *_figures(outcome),
            "\n".join(_scan(scan, bare=True) for scan in _merged(outcome.scans)),
            _worst(outcome),
        ]
        for outcome in outcomes
    ]
    align = ("left", "left", "right", "right", "right", "right", "left", "left")
    if markdown:
        return table.markdown(headers, rows, align)
    room = max(20, (width - 72) // 4)
    return table.grid(headers, rows, align, [40, room, None, None, None, None, room + 14, room + 14])


def _narrow(outcomes: Sequence[Outcome], width: int) -> str:
    rows = [[outcome.query.name, *_figures(outcome)] for outcome in outcomes]
    head, *lines = table.aligned(["query", "ms", "rows", "buffers"], rows, width)
    told = [head, "─" * width]
    for line, outcome in zip(lines, outcomes, strict=True):
        details = [outcome.query.route or ""]
        details += [f"seq scan {_scan(scan, bare=False)}" for scan in _merged(outcome.scans)]
        details.append(_worst(outcome))
        told.append(line)
        for detail in details:
            told += textwrap.wrap(detail, width, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(told)


def _figures(outcome: Outcome) -> list[str]:
    """Return time, rows and shared buffers as text; a dash where the statement was not run."""
    if not outcome.is_measured or outcome.analysis is None:
        return ["–", "–", "–"]
    analysis = outcome.analysis
    time = "–" if analysis.execution_ms is None else f"{analysis.execution_ms:,.2f}"
    rows = "–" if outcome.rows is None else words.count(outcome.rows)
    blocks = "–" if analysis.blocks is None else words.number(analysis.blocks.shared)
    return [time, rows, blocks]


def _merged(scans: Sequence[SequentialScan]) -> list[SequentialScan]:
    """Return the scans by rows read, those of tiny tables included: they are facts, not findings."""
    return sorted(scans, key=lambda s: -(s.read.value if s.read else 0.0))


def _scan(scan: SequentialScan, *, bare: bool) -> str:
    if scan.read is None or scan.kept is None:
        figures = "rows unknown"
    else:
        sign = "~ " if scan.is_estimated else ""
        figures = f"{sign}{_rows(scan.read)} → {_rows(scan.kept)}"
    times = f" ({words.number(scan.loops)} times)" if scan.loops > 1 else ""
    return f"{scan.relation} {figures}{times}" if bare else f"{scan.relation}: {figures} rows{times}"


def _rows(total: Count) -> str:
    return words.count(total)


def _worst(outcome: Outcome) -> str:
    explained = outcome.explained
    worst = outcome.worst
    told = f"{worst.severity.word}: {worst.title} ({worst.rule})" if worst is not None else ""
    if explained.status is Status.MEASURED:
        return told
    lead = "planned only" if explained.status is Status.PLANNED else "skipped"
    why = f"{lead}: {explained.reason}"
    return f"{told}; {why}" if told else why


def _summary(report: Report, width: int, markdown: bool) -> str:
    measured = len(report.measured)
    planned = sum(o.explained.status is Status.PLANNED for o in report.outcomes)
    skipped = sum(o.explained.status is Status.SKIPPED for o in report.outcomes)
    counts = [f"{words.plural(measured, 'query').replace('querys', 'queries')} measured"]
    counts += [f"{planned} planned only"] if planned else []
    counts += [f"{skipped} skipped"] if skipped else []
    if report.interrupted:
        counts.append(f"stopped before {report.selected - len(report.outcomes)} more")
    total = f"{words.milliseconds(report.execution_ms)} and {words.size(report.blocks)} of shared buffers"
    where = f"on PostgreSQL {report.version} at {report.server}" if report.version else f"in {report.server}"
    work = f": {total} for one run of each" if measured else ""
    lines = [f"{', '.join(counts)} {where}{work}."]
    for scanned in report.scanned_tables():
        names = ", ".join(query.name for query in scanned.queries[:_NAMED])
        if len(scanned.queries) > _NAMED:
            names += f" and {len(scanned.queries) - _NAMED} more"
        read = f", {words.plural(scanned.rows_read, 'row')} read" if scanned.rows_read else ""
        count = len(scanned.queries)
        lines.append(f"{scanned.relation} is scanned by {count} {'query' if count == 1 else 'queries'}{read}: {names}")
    if not report.scanned_tables():
        lines.append("No sequential scans.")
    if markdown:
        return "\n".join(f"- {line}" for line in lines)
    return "\n".join(textwrap.fill(line, width, subsequent_indent="    ", break_on_hyphens=False) for line in lines)


def _advice(report: Report, width: int, markdown: bool) -> str:
    grouped = group(report.advice())
    if not grouped:
        return ""
    lines = []
    for number, together in enumerate(grouped[:SHOWN], 1):
        first = together[0].finding
        lead = f"{number}. {first.title} ({first.rule}, {first.severity.word}). {_message(together)}"
        saving = sum(a.saves_ms for a in together)
        calls = sum(a.query.weight for a in together)
        gain = (
            f" Saves about {words.milliseconds(saving)} over {words.plural(calls, 'call')}." if saving >= 0.01 else ""
        )
        told = ", ".join(f"{c.title} ({c.rule})" for c in together[0].leads_to)
        text = f"{lead}. Would help: {first.advice}.{f' This leads to: {told}.' if told else ''}{gain}"
        lines.append(text if markdown else textwrap.fill(text, width, subsequent_indent="   ", break_on_hyphens=False))
    if len(grouped) > SHOWN:
        lines.append(f"{len(grouped) - SHOWN} more with --format json.")
    heading = "## Most valuable" if markdown else "Most valuable first:"
    return heading + "\n" + "\n".join(lines)


def group(advice: Sequence[Advice]) -> list[list[Advice]]:
    """Put together the same advice for several queries; the group that saves most comes first."""
    groups: dict[tuple[str, str | None, str], list[Advice]] = {}
    for one in advice:
        groups.setdefault((one.finding.rule, one.finding.relation, one.finding.advice), []).append(one)
    return sorted(groups.values(), key=lambda g: (-sum(a.saves_ms for a in g), -g[0].finding.severity))


def _message(together: Sequence[Advice]) -> str:
    finding: Finding = together[0].finding
    others = len({a.query.name for a in together}) - 1
    also = f" and {others} more {'query' if others == 1 else 'queries'}" if others else ""
    sure = {Confidence.ESTIMATED: " (estimated)", Confidence.SAMPLED: " (with sampled values)"}.get(
        finding.confidence, ""
    )
    return f"{together[0].query.name}{also}: {finding.message}{sure}"

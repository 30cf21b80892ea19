"""The reports as tables for a terminal, a pipe or a Markdown page."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from tabulate import tabulate

from dbtune.plan import words
from dbtune.plan.arithmetic import Count
from dbtune.plan.explain import Status
from dbtune.plan.finding import Confidence, Finding
from dbtune.plan.report import Advice, Outcome, Report, SequentialScan
from dbtune.server.activity import ScanReport, TableScans

WIDE = 132
"""Columns from which the table shows one line a query; below it the details stand under the query."""

SHOWN = 5
"""Findings told in words; JSON has all."""


def explain(report: Report, width: int, *, markdown: bool = False) -> str:
    """Return the report: a row for each query, a summary, the most valuable findings in words."""
    parts = [_queries(report, width, markdown), _summary(report, width, markdown), _advice(report, width, markdown)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _queries(report: Report, width: int, markdown: bool) -> str:
    outcomes = report.by_cost()
    if not outcomes:
        return ""
    if markdown or width >= WIDE:
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
        cells = [[cell.replace("|", "\\|").replace("\n", "<br>") for cell in row] for row in rows]
        return tabulate(cells, headers, tablefmt="pipe", colalign=align, disable_numparse=True)
    room = max(20, (width - 72) // 4)
    limits = [40, room, None, None, None, None, room + 14, room + 14]
    return tabulate(
        rows,
        headers,
        tablefmt="simple",
        colalign=align,
        disable_numparse=True,
        maxcolwidths=limits,
        break_long_words=False,
    )


def _narrow(outcomes: Sequence[Outcome], width: int) -> str:
    figures = [_figures(outcome) for outcome in outcomes]
    headers = ("ms", "rows", "buffers")
    sizes = [max(len(headers[i]), *(len(f[i]) for f in figures)) for i in range(3)]
    name = max(20, width - sum(sizes) - 2 * len(sizes))
    lines = [f"{'query':<{name}}" + "".join(f"  {h:>{s}}" for h, s in zip(headers, sizes, strict=True)), "─" * width]
    for outcome, figure in zip(outcomes, figures, strict=True):
        lead = textwrap.shorten(outcome.query.name, name, placeholder="…")
        lines.append(f"{lead:<{name}}" + "".join(f"  {f:>{s}}" for f, s in zip(figure, sizes, strict=True)))
        details = [outcome.query.route or ""]
        details += [f"seq scan {_scan(scan, bare=False)}" for scan in _merged(outcome.scans)]
        details.append(_worst(outcome))
        for detail in details:
            lines += textwrap.wrap(detail, width, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(line.rstrip() for line in lines)


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
    lines = [f"{', '.join(counts)} on PostgreSQL {report.version} at {report.server}: {total} for one run of each."]
    for table in report.scanned_tables():
        names = ", ".join(query.name for query in table.queries)
        read = f", {words.plural(table.rows_read, 'row')} read" if table.rows_read else ""
        count = len(table.queries)
        lines.append(f"{table.relation} is scanned by {count} {'query' if count == 1 else 'queries'}{read}: {names}")
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
        text = f"{lead}. Would help: {first.advice}.{gain}"
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
    sure = " (estimated)" if finding.confidence is Confidence.ESTIMATED else ""
    return f"{together[0].query.name}{also}: {finding.message}{sure}"


def scans(report: ScanReport, causes: dict[str, list[str]], width: int, *, markdown: bool = False) -> str:
    """Return the tables that are scanned, and under each the captured queries whose plans scan it."""
    shown = [t for t in report.tables if t.seq_scan or t.idx_scan]
    headers = ["table", "seq scans", "rows read", "rows/scan", "idx scans", "size", "last seq scan", "queries"]
    rows = [_scanned(table, causes) for table in shown]
    if not any(t.last_seq_scan for t in shown):
        headers.pop(6)
        for row in rows:
            row.pop(6)
    lines = [_since(report)]
    if not rows:
        return "\n".join([*lines, "No table was read."]) + "\n"
    align = ["left", *["right"] * (len(headers) - 2), "left"]
    if markdown:
        cells = [[cell.replace("|", "\\|").replace("\n", "<br>") for cell in row] for row in rows]
        return f"{lines[0]}\n\n{tabulate(cells, headers, tablefmt='pipe', colalign=align, disable_numparse=True)}\n"
    if width >= WIDE:
        body = tabulate(rows, headers, tablefmt="simple", colalign=align, disable_numparse=True)
        return f"{lines[0]}\n\n{body}\n"
    if width < 110 and "last seq scan" in headers:
        headers.pop(6)
        for row in rows:
            row.pop(6)
    align = ["left", *["right"] * (len(headers) - 2)]
    bare = [row[:-1] for row in rows]
    table_lines = tabulate(bare, headers[:-1], tablefmt="simple", colalign=align, disable_numparse=True).splitlines()
    body_lines = table_lines[:2]
    for line, row in zip(table_lines[2:], rows, strict=True):
        body_lines.append(line)
        if row[-1]:
            names = row[-1].replace("\n", ", ")
            body_lines += textwrap.wrap(
                f"by {names}", width, initial_indent="    ", subsequent_indent="       ", break_on_hyphens=False
            )
    return "\n".join([lines[0], "", *body_lines]) + "\n"


def _scanned(table: TableScans, causes: dict[str, list[str]]) -> list[str]:
    name = f"{table.schemaname}.{table.relname}"
    last = table.last_seq_scan.strftime("%Y-%m-%d %H:%M:%S") if table.last_seq_scan else ""
    return [
        name,
        words.number(table.seq_scan),
        words.number(table.seq_tup_read),
        words.number(round(table.rows_per_scan)),
        words.number(table.idx_scan),
        words.size(table.size_bytes / 8192),
        last,
        "\n".join(causes.get(name, [])),
    ]


def _since(report: ScanReport) -> str:
    if report.seconds is not None:
        return f"Scans within {report.seconds:.0f} s:"
    if report.since is None:
        return "Scans since the statistics began (they were never reset):"
    return f"Scans since the statistics were reset, {report.since:%Y-%m-%d %H:%M:%S %Z}:"

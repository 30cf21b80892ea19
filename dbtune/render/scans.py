"""The report of ``dbtune scans`` for people: tables, and under each the captured queries whose plans scan it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from dbtune.plan import words
from dbtune.render import table
from dbtune.server.activity import ScanReport, TableScans

_HEADERS = ["table", "seq scans", "rows read", "rows/scan", "idx scans", "size"]


def scans(report: ScanReport, causes: Mapping[str, Sequence[str]], width: int, *, markdown: bool = False) -> str:
    """Return the tables that were read at all, those first of which most rows were read by sequential scans.

    ``causes`` names, for ``schema.table``, the queries that scan it.
    """
    shown = [t for t in report.tables if t.seq_scan or t.idx_scan]
    if not shown:
        return f"{_since(report)}\nNo table was read.\n"
    names = [list(causes.get(f"{t.schemaname}.{t.relname}", ())) for t in shown]
    rows = [_cells(t) for t in shown]
    if markdown or width >= table.WIDE:
        headers = list(_HEADERS)
        if any(t.last_seq_scan for t in shown):
            headers.append("last seq scan")
            rows = [[*row, _last(t)] for row, t in zip(rows, shown, strict=True)]
        headers.append("queries")
        rows = [[*row, "\n".join(by)] for row, by in zip(rows, names, strict=True)]
        align = ["left", *["right"] * (len(headers) - 2), "left"]
        draw = table.markdown if markdown else table.grid
        return f"{_since(report)}\n\n{draw(headers, rows, align)}\n"
    head, *lines = table.aligned(_HEADERS, rows, width)
    told = [_since(report), "", head, "─" * width]
    for line, by in zip(lines, names, strict=True):
        told.append(line)
        if by:
            text = f"by {', '.join(by)}"
            told += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="     ", break_on_hyphens=False)
    return "\n".join(told) + "\n"


def _cells(scanned: TableScans) -> list[str]:
    return [
        f"{scanned.schemaname}.{scanned.relname}",
        words.number(scanned.seq_scan),
        words.number(scanned.seq_tup_read),
        words.number(round(scanned.rows_per_scan)),
        words.number(scanned.idx_scan),
        words.size(scanned.size_bytes / 8192),
    ]


def _last(scanned: TableScans) -> str:
    return f"{scanned.last_seq_scan:%Y-%m-%d %H:%M:%S}" if scanned.last_seq_scan else ""


def _since(report: ScanReport) -> str:
    if report.seconds is not None:
        return f"Scans within {report.seconds:.0f} s:"
    if report.since is None:
        return "Scans since the statistics began (they were never reset):"
    return f"Scans since the statistics were reset, {report.since:%Y-%m-%d %H:%M:%S %Z}:"

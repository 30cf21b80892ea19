"""The report of ``dbtune indexes`` and ``dbtune health``: findings by check, what is sound, what was not seen."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from dbtune.health import words
from dbtune.health.finding import Finding, Severity
from dbtune.health.report import Report
from dbtune.health.section import Section
from dbtune.health.span import YOUNG_DAYS, Kind, Span
from dbtune.health.state import Unseen
from dbtune.render import remedy
from dbtune.render.document import SCHEMA_VERSION
from dbtune.server.connection import version_text

_DAY = 86_400.0
_MOST = 20


def table(report: Report, command: str, at: str, width: int, every: bool = False) -> str:
    """Return the report for a terminal; ``at`` is how a shell names the server, for the commands to paste.

    Unless ``every``, only the first few findings of a check are told, and how many more there are.
    """
    told = [*_wrapped(_head(report), width)]
    for (_, check), findings in groupby(report.open, key=lambda each: (each.severity, each.check)):
        group = list(findings)
        shown, more = _shown(group, every)
        told += ["", *_group(shown, check, at, width), *(f"  {line}" for line in more)]
    told += ["", *_wrapped([_sum(report, command)], width)]
    for line in _rest(report):
        told += _wrapped([line], width, "    ")
    return "\n".join(told) + "\n"


def _shown(findings: list[Finding], every: bool) -> tuple[list[Finding], list[str]]:
    if every or len(findings) <= _MOST:
        return findings, []
    return findings[:_MOST], [f"… and {words.number(len(findings) - _MOST)} more: --all"]


def _group(findings: Sequence[Finding], check: str, at: str, width: int) -> Iterator[str]:
    first = findings[0]
    yield from _wrapped([f"{first.severity.word.upper()} {check}: {first.title}"], width, "    ")
    for finding in findings:
        yield f"  {finding.object} (confidence {finding.confidence})"
        yield from _wrapped([finding.message], width, "    ", "    ")
        yield from _wrapped([f"→ {finding.action}"], width, "      ", "    ")
        if finding.remedy is not None:
            yield from (f"    {line}" for line in remedy.shell(finding.remedy, at, width - 4))
        for doubt in finding.doubts:
            yield from _wrapped([f"but {doubt}"], width, "      ", "    ")


def _wrapped(lines: Iterable[str], width: int, further: str = "", first: str = "") -> Iterator[str]:
    for line in lines:
        yield from textwrap.wrap(
            line,
            width,
            initial_indent=first,
            subsequent_indent=further,
            break_on_hyphens=False,
            break_long_words=False,
        )


def _head(report: Report) -> Iterator[str]:
    server = report.server
    standby = ", a standby" if server.in_recovery else ""
    yield f"Database {server.database} on PostgreSQL {version_text(server.version_num)}{standby}, as role {server.role}"
    if report.totals is not None:
        sums = report.totals
        yield (
            f"{words.plural(sums.tables, 'table')} of {words.size(sums.table_bytes)}; "
            f"{words.number(sums.indexes)} indexes of {words.size(sums.index_bytes)}"
        )
    yield _counted(report)
    if report.replicas:
        yield f"Scans of {', '.join(report.replicas)} are added."


def _counted(report: Report) -> str:
    """Say over which time counters count, and for which sections it is another one."""
    span = report.spans.get(Section.TABLES)
    if span is None:
        return "No counters were read."
    if span.kind is Kind.RESET:
        return f"Counters are totals {_since(span)}: no earlier reading can be compared. {_advice(report, span)}"
    others = [
        f"{section.value} {_since(other)}"
        for section, other in report.spans.items()
        if other.kind is Kind.RESET and section is not Section.SERVER
    ]
    reset = f"; but {', '.join(others)}" if others else ""
    if span.kind is Kind.INTERVAL:
        return f"Counters within {words.age(span.seconds or 0)}{reset}."
    return (
        f"Counters within {words.age(span.seconds or 0)}, since the reading of {span.since:%Y-%m-%d %H:%M %Z}{reset}."
    )


def _since(span: Span) -> str:
    if span.since is None or span.seconds is None:
        return "since nobody knows when"
    return f"since counting began {words.age(span.seconds)} ago ({span.since:%Y-%m-%d %H:%M %Z})"


def _advice(report: Report, span: Span) -> str:
    young = span.seconds is not None and span.seconds < YOUNG_DAYS * _DAY
    lead = "So little time says little. " if young else ""
    kept = "This reading is kept: run it again later" if report.history is not None else "Use --interval 60s"
    return f"{lead}{kept}{', or with --interval 60s,' if report.history is not None else ''} for the rates of today."


def _sum(report: Report, command: str) -> str:
    count = len(report.open)
    by_severity = [
        f"{sum(each.severity is severity for each in report.open)} {severity.word}"
        for severity in sorted(Severity, reverse=True)
        if any(each.severity is severity for each in report.open)
    ]
    told = f"{words.plural(count, 'finding')}: {', '.join(by_severity)}" if count else "No findings"
    ignored = len(report.findings) - count
    return f"{told}{f'; {ignored} ignored' if ignored else ''}. dbtune {command} --rules explains each check."


def _rest(report: Report) -> Iterator[str]:
    """Say what was checked and is sound, what could not be checked, what was not to be seen, and what else to know."""
    if report.sound:
        yield f"Checked and sound: {', '.join(report.sound)}."
    for why, checks in _by_reason(report):
        yield f"Not checked: {', '.join(checks)} ({why})."
    for unseen in report.unseen:
        yield f"Not seen: {_unseen(unseen)}"
    yield from (f"Note: {note}" for note in report.notes)


def _by_reason(report: Report) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for each in report.unchecked:
        found.setdefault(each.why, []).append(each.check)
    return list(found.items())


def _unseen(unseen: Unseen) -> str:
    mend = f"; {unseen.remedy}" if unseen.remedy is not None else ""
    return f"{unseen.what}: {unseen.why}{mend}"


def markdown(report: Report, command: str, at: str, every: bool = False) -> str:
    """Return the report for a pull request or a page."""
    told = [*(f"{line}  " for line in _head(report)), ""]
    for (severity, check), findings in groupby(report.open, key=lambda each: (each.severity, each.check)):
        group, more = _shown(list(findings), every)
        told += [f"## {severity.word.capitalize()}: {group[0].title} (`{check}`)", ""]
        for finding in group:
            told += [
                f"- `{finding.object}` (confidence {finding.confidence}): {finding.message}",
                f"  - {finding.action}",
            ]
            told += [f"  - but {doubt}" for doubt in finding.doubts]
            if finding.remedy is not None:
                language = "sql" if remedy.is_sql(finding.remedy) else "sh"
                command_line = remedy.line(finding.remedy, at)
                told += ["", f"  ```{language}", f"  {command_line}", "  ```", ""]
        told += [*(f"- {line}" for line in more), ""]
    told += [_sum(report, command), "", *(f"- {line}" for line in _rest(report))]
    return "\n".join(told).rstrip("\n") + "\n"


def document(report: Report, command: str, at: str) -> dict[str, Any]:
    """Return the report for programs: sizes in bytes, times in seconds, severities and confidences as words."""
    server = report.server
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "at": server.at.isoformat(),
        "server": {
            "version": version_text(server.version_num),
            "database": server.database,
            "role": server.role,
            "system_identifier": server.system_identifier,
            "in_recovery": server.in_recovery,
        },
        "counted": {
            section.value: {
                "from": span.kind.value,
                "since": span.since.isoformat() if span.since is not None else None,
                "seconds": round(span.seconds, 3) if span.seconds is not None else None,
            }
            for section, span in report.spans.items()
        },
        "totals": {
            "indexes": report.totals.indexes,
            "index_bytes": report.totals.index_bytes,
            "tables": report.totals.tables,
            "table_bytes": report.totals.table_bytes,
        }
        if report.totals is not None
        else None,
        "findings": [_finding(each, at) for each in report.findings],
        "sound": list(report.sound),
        "unchecked": [{"check": each.check, "why": each.why} for each in report.unchecked],
        "unseen": [{"what": each.what, "why": each.why, "remedy": each.remedy} for each in report.unseen],
        "notes": list(report.notes),
        "replicas": list(report.replicas),
        "history": report.history,
    }


def _finding(finding: Finding, at: str) -> dict[str, Any]:
    return {
        "check": finding.check,
        "title": finding.title,
        "object": finding.object,
        "severity": finding.severity.word,
        "confidence": finding.confidence.value,
        "message": finding.message,
        "action": finding.action,
        "command": remedy.document(finding.remedy, at) if finding.remedy is not None else None,
        "doubts": list(finding.doubts),
        "evidence": dict(finding.evidence),
        "size_bytes": finding.size_bytes,
        "resolved_when": finding.resolved,
        "ignored": finding.ignored,
    }

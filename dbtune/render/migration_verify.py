"""The screen of ``dbtune migrate verify``: a table of faults for each way to run the revision, and what fails."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dbtune.migration.verify.injections import Fault
from dbtune.migration.verify.judge import Result
from dbtune.migration.verify.verification import Report
from dbtune.plan import words
from dbtune.render import table
from dbtune.render.document import SCHEMA_VERSION

_HEADERS = ("", "fault", "what happens", "exit", "left behind", "again", "others")
_WIDE = 120
_LIMITS = (1, 25, 10, 20, 8, 9)
_BAD = "!"


def document(report: Report) -> dict[str, Any]:
    """Return it for programs; times in seconds."""
    found = asdict(report)
    for result, each in zip(found["results"], report.results, strict=True):
        result["is_fine"] = each.is_fine
    return {"schema_version": SCHEMA_VERSION, "command": "migrate verify", "is_fine": report.is_fine, **found}


def screen(report: Report, *, width: int, markdown: bool = False) -> str:
    """Return it for people."""
    lead, code = ("## ", "`") if markdown else ("", "")
    told = ["\n".join(_about(report, markdown))]
    for way in dict.fromkeys(each.way for each in report.results):
        results = [each for each in report.results if each.way == way]
        told.append(f"{lead}By {code}{_command(way)}{code}")
        told.append(_table([_row(each) for each in results if each.skipped is None], width, markdown))
        sections = {
            "What fails": [line for each in results for line in _failure(each)],
            "Noticed": [f"{each.fault}: {note}" for each in results for note in each.notes],
            "Could not be put in": _skipped(results),
        }
        for title, lines in sections.items():
            if lines:
                told.append(_section(title, lines, width, markdown))
    told.append(_sum(report))
    return "\n\n".join(told) + "\n"


def listed(faults: Sequence[Fault]) -> str:
    """Return the faults there are, by the names that ``--only`` takes."""
    longest = max(len(fault.name) for fault in faults)
    return "\n".join(f"{fault.name:<{longest}}  {fault.says}" for fault in faults) + "\n"


def _table(rows: Sequence[table.Row], width: int, markdown: bool) -> str:
    """Return the table; a narrow one has names alone, which ``--list`` explains."""
    if markdown:
        return table.markdown(_HEADERS, rows, ("left",) * len(_HEADERS))
    if width >= _WIDE:
        return table.grid(_HEADERS, rows, ("left",) * len(_HEADERS))
    headers, *shorter = ((*row[:2], *row[3:]) for row in (_HEADERS, *rows))
    return table.grid(headers, shorter, ("left",) * len(headers), _LIMITS)


def _section(title: str, lines: Sequence[str], width: int, markdown: bool) -> str:
    if markdown:
        return f"{title}:\n\n" + "\n".join(f"- {line}" for line in lines)
    wrapped = [textwrap.fill(line, width, initial_indent="  ", subsequent_indent="    ") for line in lines]
    return "\n".join([f"{title}:", *wrapped])


def _about(report: Report, markdown: bool) -> list[str]:
    lead = "# " if markdown else ""
    gap = [""] if markdown else []
    title = f": {report.title}" if report.title else ""
    lines = [f"{lead}{report.revision}{title}", *gap]
    changes = [f"makes {_some(report.made)}"] if report.made else []
    changes += [f"drops {_some(report.gone)}"] if report.gone else []
    lines.append(f"PostgreSQL {report.version}, thrown away" + "".join(f"; {each}" for each in changes))
    lines += gap
    bullet = "- " if markdown else "  "
    for each in report.tables:
        why = f" of {each.wanted:,}: {each.why}" if each.why else ""
        lines.append(f"{bullet}{each.table}: {words.plural(each.rows, 'row')}{why}")
    if report.roles:
        lines.append(f"{bullet}roles made up because revisions name them: {', '.join(report.roles)}")
    return lines


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _command(way: str) -> str:
    return f"dbtune {way}" if way.startswith("migrate") else way


def _row(result: Result) -> tuple[str, ...]:
    again = f"{result.again}, done" if result.converges else f"{result.again}, FAILS"
    return (
        "" if result.is_fine else _BAD,
        result.fault,
        result.says,
        _codes(result.exits),
        result.left,
        again,
        "untouched" if result.untouched else "TOUCHED",
    )


def _codes(exits: Sequence[int]) -> str:
    """Return 0, 255, 255 as ``0, 255 ×2``."""
    counts = {code: exits.count(code) for code in dict.fromkeys(exits)}
    return ", ".join(f"{code} ×{count}" if count > 1 else str(code) for code, count in counts.items())


def _failure(result: Result) -> list[str]:
    said = f" ({result.said})" if result.said else ""
    return [f"{result.fault}: {'; '.join(result.problems)}{said}"] if result.problems else []


def _skipped(results: Sequence[Result]) -> list[str]:
    """Return the reasons, each with the faults that it stands for."""
    reasons = dict.fromkeys(each.skipped for each in results if each.skipped is not None)
    return [f"{', '.join(each.fault for each in results if each.skipped == why)}: {why}" for why in reasons]


def _sum(report: Report) -> str:
    met = [each for each in report.results if each.skipped is None]
    failing = sum(not each.is_fine for each in met)
    skipped = len(report.results) - len(met)
    aside = f"; {skipped} could not be put in" if skipped else ""
    verdict = f"{failing} of {words.plural(len(met), 'fault')} end badly" if failing else "every fault ends well"
    return f"{verdict}{aside}. {_time(report.seconds)}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"

"""What ``dbtune snapshot`` tells people: one screen about the file that it wrote."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from dbtune.plan import words
from dbtune.render.document import SCHEMA_VERSION
from dbtune.snapshot.summary import Summary
from dbtune.snapshot.value import BLOCK

_KINDS = {
    "r": "table",
    "p": "partitioned table",
    "m": "materialised view",
    "f": "foreign table",
}
_SHOWN = 6
"""Lines of a list, after which it ends: all of it is in the file."""

_COSTS = {
    "keep": "holds values from rows (most common values, histograms): keep it private, or use --redact",
    "types": "holds no values from rows; estimates of single values and of ranges are averages",
    "hash": "holds hashes of values from rows; numbers keep their size, dates their month, ranges of text are lost",
}


def summary(told: Summary, file: str, size: int, width: int, *, markdown: bool = False) -> str:
    """Return the summary as text, or as Markdown. ``size`` is the file's, in bytes."""
    lines = [
        f"{told.database}: PostgreSQL {told.server_version}, {told.taken_at:%Y-%m-%d %H:%M:%S %Z}",
        "",
        *_entries(told, width, markdown=markdown),
    ]
    if told.never_analysed:
        names = _some(told.never_analysed)
        lines += ["", *_wrapped(f"Never analysed, run ANALYZE: {names}", width)]
    if told.unseen:
        lines += ["", f"Not seen ({len(told.unseen)}):"]
        for each in told.unseen[:_SHOWN]:
            lines += _wrapped(f"- {each.what}: {each.why}", width, "  ")
        if len(told.unseen) > _SHOWN:
            lines.append(f"- and {len(told.unseen) - _SHOWN} more, in the file")
    lines += ["", *_wrapped(f"{file}: {_bytes(size)}; it {_COSTS[told.redacted]}.", width)]
    return "\n".join(lines) + "\n"


def document(told: Summary, file: str | None, size: int) -> dict[str, Any]:
    """Return the summary for programs. Sizes in bytes; ``file`` is None where the snapshot went to stdout."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "snapshot",
        "file": file,
        "file_bytes": size,
        "database": told.database,
        "server_version": told.server_version,
        "taken_at": told.taken_at.isoformat(),
        "redacted": told.redacted,
        "tables": {_KINDS.get(kind, kind): count for kind, count in told.tables.items()},
        "table_bytes": told.table_bytes,
        "indexes": told.indexes,
        "index_bytes": told.index_bytes,
        "objects": told.objects,
        "columns": {"all": told.columns, "with_statistics": told.analysed, "hidden": told.hidden},
        "extended_statistics": {"all": told.extended_statistics, "with_data": told.extended_with_data},
        "settings": told.settings,
        "never_analysed": list(told.never_analysed),
        "unseen": [{"what": each.what, "why": each.why} for each in told.unseen],
    }


def _entries(told: Summary, width: int, *, markdown: bool) -> list[str]:
    tables = ", ".join(_counted(told.tables[kind], noun) for kind, noun in _KINDS.items() if kind in told.tables)
    objects = ", ".join(_counted(count, kind) for kind, count in told.objects.items())
    hidden = f", {words.number(told.hidden)} hidden from the role" if told.hidden else ""
    extended = (
        f"; {words.number(told.extended_with_data)} of {words.number(told.extended_statistics)} extended"
        if told.extended_statistics
        else ""
    )
    rows = [
        ("tables", f"{words.size(told.table_bytes / BLOCK)} in {tables}" if tables else "none"),
        ("indexes", f"{words.size(told.index_bytes / BLOCK)} in {words.number(told.indexes)}"),
        ("statistics", f"{words.number(told.analysed)} of {words.plural(told.columns, 'column')}{hidden}{extended}"),
        ("objects", objects or "none"),
        ("settings", words.number(told.settings)),
    ]
    if markdown:
        return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    return [line for name, value in rows for line in _wrapped(f"{name:<11} {value}", width, " " * 12)]


def _counted(count: int, noun: str) -> str:
    """Return ``2 operator families``."""
    ends = {"y": "ies", "s": "ses"}
    many = noun[:-1] + ends[noun[-1]] if noun[-1] in ends else f"{noun}s"
    return f"{words.number(count)} {noun if count == 1 else many}"


def _some(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {words.number(len(every) - _SHOWN)} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _bytes(size: int) -> str:
    if size < 1000:
        return words.plural(size, "byte")
    return f"{size / 1e3:,.0f} kB" if size < 999_500 else f"{size / 1e6:,.1f} MB"

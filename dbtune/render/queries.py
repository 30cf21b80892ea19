"""The workload for people and programs: which queries it holds, and how much of the time each takes."""

from __future__ import annotations

from typing import Any

from dbtune.plan import words
from dbtune.render import table as tables
from dbtune.render.document import SCHEMA_VERSION
from dbtune.workload.query import Query, Workload
from dbtune.workload.requests import fingerprint_hash

_HEADERS = ["query", "route", "calls", "mean ms", "total ms", "sets", "source"]
_ALIGN = ["left", "left", "right", "right", "right", "left", "left"]


def by_time(workload: Workload) -> list[Query]:
    """Return the queries, those first that took most time; those whose time is unknown last, by calls."""
    return sorted(workload.queries, key=lambda q: (-(_total(q) or 0), -(q.calls or 0), q.name))


def table(workload: Workload, width: int, *, markdown: bool = False) -> str:
    """Return one row a query; narrow places show the route and the sets under the name."""
    queries = by_time(workload)
    summary = _summary(workload)
    rows = [_cells(query) for query in queries]
    if markdown:
        return f"{summary}\n\n{tables.markdown(_HEADERS, rows, _ALIGN)}\n"
    if width >= tables.WIDE:
        limits = [None, 40, None, None, None, 30, 30]
        return f"{summary}\n\n{tables.grid(_HEADERS, rows, _ALIGN, limits)}\n"
    head, *lines = tables.aligned([_HEADERS[0], *_HEADERS[2:5]], [[row[0], *row[2:5]] for row in rows], width)
    told = [summary, "", head, "─" * width]
    for line, row in zip(lines, rows, strict=True):
        told.append(line)
        under = "; ".join(text for text in (row[1], row[5] and f"sets {row[5]}", row[6] and f"by {row[6]}") if text)
        if under:
            told.append(f"  {words.excerpt(under, width - 2)}")
    return "\n".join(told) + "\n"


def document(workload: Workload) -> dict[str, Any]:
    """Return the workload of ``dbtune capture list``. Times in milliseconds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "capture list",
        "queries": [
            {
                "name": query.name,
                "fingerprint": fingerprint_hash(query.statement),
                "route": query.route,
                "calls": query.calls,
                "mean_ms": query.mean_ms,
                "total_ms": _total(query),
                "sets": [{"name": chosen.name, "values": chosen.provenance} for chosen in query.sets],
                "source": query.source,
            }
            for query in by_time(workload)
        ],
    }


def _total(query: Query) -> float | None:
    return None if query.mean_ms is None else round(query.mean_ms * query.weight, 3)


def _summary(workload: Workload) -> str:
    count = len(workload.queries)
    calls = sum(query.calls or 0 for query in workload.queries)
    totals = [total for query in workload.queries if (total := _total(query)) is not None]
    took = f", {words.milliseconds(sum(totals))} altogether" if totals else ""
    return f"{count} {'query' if count == 1 else 'queries'}, {words.plural(calls, 'call')}{took}"


def _cells(query: Query) -> list[str]:
    total = _total(query)
    sets = ", ".join(chosen.name for chosen in query.sets)
    provenance = query.sets[0].provenance if query.sets else "captured"
    return [
        query.name,
        query.route or "",
        "" if query.calls is None else f"{query.calls:,}",
        "" if query.mean_ms is None else f"{query.mean_ms:.3f}",
        "" if total is None else f"{total:,.1f}",
        sets if provenance == "captured" else f"{sets} ({provenance})",
        query.source or "",
    ]

"""What logs told beside queries: the server's events, and the pools of an application."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dbtune.render import table as tables
from dbtune.render.document import SCHEMA_VERSION
from dbtune.workload.capture.log.application import Evidence, Pool
from dbtune.workload.capture.log.events import Kind
from dbtune.workload.capture.log.gathered import Gathered, Tally
from dbtune.workload.query import Query

_EVENTS = ["event", "count", "longest or largest", "altogether", "first", "last"]
_EVENTS_ALIGN = ["left", "right", "right", "right", "left", "left"]
_POOLS = ["pool", "time-outs", "lines", "most out", "full", "first", "last"]
_POOLS_ALIGN = ["left", "right", "right", "right", "right", "left", "left"]


def text(told: Gathered, *, markdown: bool) -> str:
    """Return the tables of events and pools, empty where there is nothing to tell."""
    draw = tables.markdown if markdown else tables.grid
    parts = []
    if told.events:
        rows = [_event(kind, tally) for kind, tally in sorted(told.events.items())]
        parts.append(draw(_EVENTS, rows, _EVENTS_ALIGN))
    evidence = told.evidence
    if evidence.pools:
        rows = [_pool(pool) for _, pool in sorted(evidence.pools.items())]
        parts.append(draw(_POOLS, rows, _POOLS_ALIGN))
    if evidence.refusals.count:
        refusals = evidence.refusals
        times = " to ".join(dict.fromkeys(_time(each) for each in (refusals.first, refusals.last) if each is not None))
        parts.append(
            f"The server refused {refusals.count:,} {'connection' if refusals.count == 1 else 'connections'}"
            f"{f', {times}' if times else ''}: {refusals.message}"
        )
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n" if parts else ""


def document(told: Gathered, queries: Sequence[Query]) -> dict[str, Any]:
    """Return all of it for programs; amounts are milliseconds for locks and bytes for temporary files."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "capture log",
        "files": [
            {
                "file": name,
                "format": reading.format and reading.format.value,
                "prefix": reading.prefix and reading.prefix.text,
                "bytes": reading.bytes,
                "unread_lines": reading.unread.lines,
            }
            for name, reading in told.readings.items()
        ],
        "queries": [
            {"name": q.name, "calls": q.calls, "mean_ms": q.mean_ms, "statement": q.statement} for q in queries
        ],
        "events": [
            {
                "kind": kind.value,
                "count": tally.count,
                "amount": tally.amount or None,
                "most": tally.most or None,
                "first": _iso(tally.first),
                "last": _iso(tally.last),
            }
            for kind, tally in sorted(told.events.items())
        ],
        **_evidence(told.evidence),
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    refusals = evidence.refusals
    return {
        "pools": [
            {
                "size": pool.size,
                "max_overflow": pool.max_overflow,
                "timeouts": pool.timeouts,
                "timeout_seconds": pool.timeout_seconds,
                "states": pool.states,
                "most_checked_out": pool.most_checked_out,
                "at_size": pool.at_size,
                "at_limit": pool.at_limit,
                "first": _iso(pool.first),
                "last": _iso(pool.last),
            }
            for _, pool in sorted(evidence.pools.items())
        ],
        "refusals": {
            "count": refusals.count,
            "message": refusals.message or None,
            "first": _iso(refusals.first),
            "last": _iso(refusals.last),
        },
    }


def _event(kind: Kind, tally: Tally) -> list[str]:
    def amount(number: float) -> str:
        if not number:
            return ""
        return f"{number / 1e6:,.1f} MB" if kind is Kind.TEMPORARY_FILE else f"{number:,.0f} ms"

    return [
        kind.value, f"{tally.count:,}", amount(tally.most), amount(tally.amount), _time(tally.first), _time(tally.last)
    ]  # fmt: skip


def _pool(pool: Pool) -> list[str]:
    size = f"size {pool.size}" + ("" if pool.max_overflow is None else f" + {pool.max_overflow}")
    full = "" if pool.at_limit is None or not pool.states else f"{pool.at_limit / pool.states:.0%} of lines"
    waited = "" if pool.timeout_seconds is None else f" of {pool.timeout_seconds:g} s"
    most = "" if pool.most_checked_out is None else str(pool.most_checked_out)
    return [
        size, f"{pool.timeouts:,}{waited if pool.timeouts else ''}", f"{pool.states:,}", most, full,
        _time(pool.first), _time(pool.last),
    ]  # fmt: skip


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()

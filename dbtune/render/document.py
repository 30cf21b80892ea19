"""The reports as documents for programs: numbers stay numbers, and ``schema_version`` says how to read them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from dbtune.plan.arithmetic import Count
from dbtune.plan.finding import Finding
from dbtune.plan.report import Outcome, Report, SequentialScan
from dbtune.plan.tree import Plan
from dbtune.server.activity import ScanReport

SCHEMA_VERSION = 1
"""Raised when a field changes its meaning or goes away; new fields may come without."""


def to_json(document: dict[str, Any]) -> str:
    """Return the document as JSON text."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def explain(report: Report) -> dict[str, Any]:
    """Return the report of ``dbtune explain``. Times in milliseconds, buffers in blocks of 8 kB."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "explain",
        "server": {"at": report.server, "version": report.version},
        "interrupted": report.interrupted,
        "summary": {
            "queries": len(report.outcomes),
            "measured": len(report.measured),
            "execution_ms": round(report.execution_ms, 3),
            "shared_blocks": report.blocks,
            "scanned_tables": [
                {"relation": t.relation, "rows_read": round(t.rows_read), "queries": [q.name for q in t.queries]}
                for t in report.scanned_tables()
            ],
        },
        "queries": [_outcome(outcome) for outcome in report.by_cost()],
        "problems": [{"file": str(p.path), "line": p.line, "reason": p.reason} for p in report.problems],
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    explained, analysis = outcome.explained, outcome.analysis
    document: dict[str, Any] = {
        "name": outcome.query.name,
        "route": outcome.query.route,
        "calls": outcome.query.calls,
        "status": explained.status.value,
        "reason": explained.reason,
        "statement": outcome.query.statement,
        "parameter_set": explained.parameter_set,
        "values": explained.provenance,
        "timed_out": explained.timed_out,
    }
    if analysis is None:
        return document
    return document | {
        "execution_ms": outcome.execution_ms,
        "planning_ms": analysis.plan.planning_ms,
        "total_cost": analysis.plan.root.total_cost,
        "rows": _count(outcome.rows),
        "buffers": asdict(analysis.blocks) if analysis.blocks is not None and outcome.is_measured else None,
        "sequential_scans": [_scan(scan) for scan in outcome.scans],
        "findings": [finding(f) for f in outcome.findings],
        "checked": list(outcome.checked),
        "unchecked": list(outcome.unchecked),
        "alternatives": {name: _alternative(plan) for name, plan in outcome.alternatives.items()},
        "index_paths": dict(outcome.index_paths) if outcome.index_paths is not None else None,
        "changes": [asdict(change) for change in outcome.changes] if outcome.changes is not None else None,
        "plan": analysis.plan.document(),
    }


def _alternative(plan: Plan) -> dict[str, Any]:
    return {"total_cost": plan.root.total_cost, "plan_rows": plan.root.plan_rows, "plan": plan.document()}


def finding(found: Finding) -> dict[str, Any]:
    """Return one finding; ``saves_ms`` is of one execution."""
    return asdict(found) | {
        "severity": found.severity.word,
        "confidence": found.confidence.value,
        "evidence": dict(found.evidence),
    }


def _scan(scan: SequentialScan) -> dict[str, Any]:
    return {
        "relation": scan.relation,
        "alias": scan.alias,
        "rows_read": _count(scan.read),
        "rows_kept": _count(scan.kept),
        "loops": scan.loops,
        "blocks": scan.blocks,
        "estimated": scan.is_estimated,
    }


def _count(total: Count | None) -> dict[str, float] | None:
    """Return a total with its rounding error: the true figure lies within value ± error."""
    return None if total is None else {"value": round(total.value, 3), "error": round(total.error, 3)}


def scans(report: ScanReport, causes: dict[str, list[str]]) -> dict[str, Any]:
    """Return the report of ``dbtune scans``; sizes in bytes."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "scans",
        "since": report.since.isoformat() if report.since else None,
        "seconds": report.seconds,
        "tables": [
            {
                "schemaname": t.schemaname,
                "relname": t.relname,
                "seq_scan": t.seq_scan,
                "seq_tup_read": t.seq_tup_read,
                "rows_per_scan": round(t.rows_per_scan, 1),
                "idx_scan": t.idx_scan,
                "n_live_tup": t.n_live_tup,
                "relpages": t.relpages,
                "size_bytes": t.size_bytes,
                "last_seq_scan": t.last_seq_scan.isoformat() if t.last_seq_scan else None,
                "queries": causes.get(f"{t.schemaname}.{t.relname}", []),
            }
            for t in report.tables
        ],
    }

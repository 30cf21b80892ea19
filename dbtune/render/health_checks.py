"""The catalogue of health checks: a listing, and the page that explains each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from dbtune.health.catalogue import catalogue
from dbtune.health.check import Check
from dbtune.health.limit_text import text_of
from dbtune.render import document, table


def listing(checks: Sequence[Check], format: str, width: int) -> str:
    """Return the checks as ``table`` (id, when it fires, limits), ``markdown`` (pages) or ``json``."""
    if format == "json":
        return document.to_json({"schema_version": document.SCHEMA_VERSION, "checks": [_document(c) for c in checks]})
    if format == "markdown":
        return "\n".join(_page(check) for check in checks)
    rows = [[check.id, check.title] for check in checks]
    return table.grid(["check", "finding"], rows, ["left", "left"], [None, max(20, width - 30)]) + "\n"


def page() -> str:
    """Return the page of all checks, by group."""
    parts = [
        "# Health checks\n",
        "`dbtune health --rules` lists them, `dbtune indexes` makes those of the first group. A limit is set with\n"
        "`--limit CHECK.NAME=VALUE`.\n",
    ]
    for group, checks in groupby(catalogue(), key=lambda check: check.group):
        parts.append(f"## {group.value.capitalize()}\n")
        parts += [_page(check) for check in checks]
    return "\n".join(parts)


def _page(check: Check) -> str:
    lines = [
        f"### {check.id}: {check.title}\n",
        f"{check.why}\n",
        f"- Fires when {check.trigger}.",
        f"- Severity: {check.severity}.",
        f"- Reads {'; '.join(check.reads)}.",
        f"- Next: {check.next_step.rstrip('.')}.",
        f"- Resolved when {check.resolved}.",
    ]
    if check.limits:
        limits = "; ".join(f"`{each.name}` = {text_of(each.value, each.unit)} {each.means}" for each in check.limits)
        lines.append(f"- Limits: {limits}.")
    if check.yields_to:
        lines.append(f"- Left out where {' or '.join(check.yields_to)} tells of the same object.")
    notes = [f"needs PostgreSQL {check.since}"] if check.since > 13 else []
    notes += ["only the primary can tell"] if check.primary_only else []
    if notes:
        lines.append(f"- {'; '.join(notes).capitalize()}.")
    return "\n".join(lines) + "\n"


def _document(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "title": check.title,
        "group": check.group.value,
        "reads": list(check.reads),
        "trigger": check.trigger,
        "severity": check.severity,
        "why": check.why,
        "next_step": check.next_step,
        "resolved_when": check.resolved,
        "limits": {
            each.name: {"value": each.value, "unit": each.unit.value, "means": each.means} for each in check.limits
        },
        "yields_to": list(check.yields_to),
        "primary_only": check.primary_only,
        "since": check.since,
    }

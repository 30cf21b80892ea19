"""The screen of ``dbtune migrate status``: what runs, what is broken, what was made, which revisions are noted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dbtune.migration.status import Broken, Build, Partitioned, Status, Waiting
from dbtune.plan import words
from dbtune.render.document import SCHEMA_VERSION


def document(status: Status) -> dict[str, Any]:
    """Return it for programs; times in seconds."""
    return {"schema_version": SCHEMA_VERSION, "command": "migrate status", **asdict(status)}


def screen(status: Status, *, markdown: bool = False) -> str:
    """Return it for people."""
    sections = {
        "Builds running": [_build(each) for each in status.builds],
        "INVALID or left over": [_broken(each) for each in status.broken],
        "Partitions without it": [_partitioned(each) for each in status.partitioned],
        "Made by revisions": [
            f"{each.index} on {each.table}: {each.revision or 'revision not noted'}" for each in status.made
        ],
        "Noted revisions": [
            f"{each.table}: {'may not be read' if each.revisions is None else ', '.join(each.revisions) or 'none'}"
            for each in status.versions
        ],
    }
    lead, bullet = ("## ", "- ") if markdown else ("", "  ")
    told: list[str] = []
    for title, entries in sections.items():
        if entries or title in ("Builds running", "INVALID or left over"):
            gap = "\n\n" if markdown else "\n"
            lines = [bullet + entry.replace("\n", "\n    ") for entry in entries] or [f"{bullet}none"]
            told.append(f"{lead}{title}{gap}" + "\n".join(lines))
    return "\n\n".join(told) + "\n"


def _build(build: Build) -> str:
    if build.phase is None:
        return f"pid {build.pid}: another role's; pg_read_all_stats is needed to see more"
    since = "" if build.seconds is None else f", for {_time(build.seconds)}"
    share = "" if build.percent is None else f" {build.percent:.0f}%"
    waits = "" if build.waiting is None else f"\n{_waiting(build.waiting)}"
    index = build.index or "an index not visible yet"
    return f"pid {build.pid}: {build.command} {index} on {build.table}{since}\n{build.phase}{share}{waits}"


def _waiting(waiting: Waiting) -> str:
    if waiting.pid is None:
        if not waiting.prepared:
            return "waiting for a transaction that is not known: see pg_prepared_xacts"
        return f"waiting for a prepared transaction, of pg_prepared_xacts: {', '.join(waiting.prepared)}"
    facts = [waiting.state, waiting.user, waiting.application]
    if waiting.open_seconds is not None:
        facts.append(f"open for {_time(waiting.open_seconds)}")
    if waiting.query:
        facts.append(waiting.query)
    told = ", ".join(fact for fact in facts if fact)
    return f"waiting for pid {waiting.pid} ({told or 'not shown to this role'})"


def _broken(broken: Broken) -> str:
    what = "set aside to be dropped" if broken.sound else "INVALID"
    whose = ", made by dbtune" if broken.ours else ""
    costs = f"\n{', '.join(broken.costs)}" if broken.costs else ""
    return f"{broken.index} on {broken.table}: {what}{whose}{costs}\nmend: {broken.mend}"


def _partitioned(partitioned: Partitioned) -> str:
    missing = ", ".join(partitioned.missing) or "none, but the index of one is not valid"
    return f"{partitioned.index} on {partitioned.table}: {missing}"


def _time(seconds: float) -> str:
    return words.milliseconds(seconds * 1000) if seconds < 60 else f"{seconds / 60:.0f} min"

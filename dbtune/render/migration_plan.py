"""The screen of ``dbtune migrate plan``: what an upgrade would do, what that takes, who is in the way, the verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from textwrap import fill
from typing import Any

from dbtune.migration.preflight import words
from dbtune.migration.preflight.cost import READ, WRITTEN, Cost
from dbtune.migration.preflight.disk import Holds, Place
from dbtune.migration.preflight.finding import Finding, Level
from dbtune.migration.preflight.judgement import Step
from dbtune.migration.preflight.plan import Plan
from dbtune.migration.preflight.server import Pooler
from dbtune.migration.preflight.slot import Slot
from dbtune.migration.preflight.subject import State, Subject
from dbtune.migration.preflight.work import Does
from dbtune.migration.status import Build
from dbtune.render.document import SCHEMA_VERSION

_POOLERS = {
    Pooler.NONE: "no pooler",
    Pooler.SESSION: "behind a pooler",
    Pooler.TRANSACTION: "a pooler in transaction mode",
}
_HINT = "  → "
_AMOUNT = re.compile(r"(?<=\d) (?=(?:B|[kMGT]B(?:/s)?|s|min|h|d|%)(?:\W|$))")
"""The space between a number and its unit, where no line ends."""


def document(plan: Plan) -> dict[str, Any]:
    """Return it for programs: sizes in bytes, times in seconds."""
    server = plan.server
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "migrate plan",
        "target": plan.target,
        "server": {
            "version": server.version,
            "standby": server.is_standby,
            "pooler": server.pooler.value,
            "role": server.role,
            "database": server.database,
        },
        "at": list(plan.heads),
        "to": plan.revision,
        "verdict": {"outcome": plan.verdict.outcome.value, "why": plan.verdict.why},
        "pending": [_step_document(each) for each in plan.steps],
        "blockers": [asdict(each) for each in plan.blockers],
        "min_age_seconds": plan.min_seconds,
        "builds": [asdict(each) for each in plan.builds],
        "invalid": [asdict(each) for each in plan.broken],
        "replicas": [asdict(each) for each in plan.replicas],
        "slots": [asdict(each) for each in plan.slots],
        "places": [asdict(each) for each in plan.places],
        "unseen": [asdict(each) for each in plan.unseen],
        "findings": [asdict(each) | {"level": each.level.word} for each in plan.findings],
    }


def _step_document(step: Step) -> dict[str, Any]:
    task = step.task
    return {
        "revision": task.revision,
        "title": task.title,
        "made_by_dbtune": task.ours,
        "other_statements": task.others,
        "unknown": task.why,
        "indexes": [_subject_document(*each) for each in zip(step.subjects, step.costs, strict=True)],
    }


def _subject_document(subject: Subject, cost: Cost | None) -> dict[str, Any]:
    table = subject.table
    return {
        "does": subject.work.does.value,
        "statement": subject.work.statement,
        "table": table.full_name if table is not None else None,
        "index": subject.index,
        "state": subject.state.value,
        "definition_there": subject.existing.definition if subject.existing is not None else None,
        "built_by_pid": subject.existing.builder if subject.existing is not None else None,
        "owner": table.owner if table is not None else None,
        "is_owner": table.is_owner if table is not None else None,
        "may_create": table.may_create if table is not None else None,
        "tablespace": subject.tablespace,
        "partitions": subject.members,
        "partitions_missing": [each.full_name for each in subject.missing],
        "cost": asdict(cost) if cost is not None else None,
    }


def screen(plan: Plan, width: int) -> str:
    """Return it for people, in lines of at most ``width`` columns as far as words allow."""
    lines = list(_lines(plan))
    return "\n".join(_wrapped(each, max(60, width)) for each in lines) + "\n"


def markdown(plan: Plan) -> str:
    """Return it as GitHub reads it: the verdict, then the screen."""
    verdict = plan.verdict
    body = "\n".join(list(_lines(plan))[:-1]).rstrip()
    return f"**{verdict.outcome.value}**: {verdict.why}\n\n```text\n{body}\n```\n"


def _lines(plan: Plan) -> Iterator[str]:
    server = plan.server
    kind = "standby" if server.is_standby else "primary"
    yield f"{plan.target}: PostgreSQL {server.version}, {kind}, {_POOLERS[server.pooler]}"
    number = len(plan.steps)
    pending = "nothing to do" if not number else "1 revision" if number == 1 else f"{number} revisions"
    yield f"at {', '.join(plan.heads) or 'base'}; to {plan.revision}: {pending}"
    for step in plan.steps:
        yield ""
        yield from _step(step)
        yield from _said(plan, step.task.revision)
    if plan.steps and any(cost is not None for step in plan.steps for cost in step.costs):
        yield ""
        yield from _room(plan)
    for title, lines in _sections(plan):
        if lines:
            yield ""
            yield title
            yield from lines
    yield ""
    yield f"{plan.verdict.outcome.value.upper()}: {plan.verdict.why}"


def _sections(plan: Plan) -> Iterator[tuple[str, list[str]]]:
    waits = [each for each in plan.findings if each.rule.startswith("blocked-by")]
    yield "Would wait for", [line for each in waits if each.waits_for is not None for line in _finding(each)]
    yield (
        f"Also there, and not counted (open for less than {words.time(plan.min_seconds)}, or gives way)",
        [f"  {each.message}" for each in waits if each.waits_for is None],
    )
    yield "Builds running", [line for each in plan.builds for line in _build(each)]
    others = [each for each in plan.findings if each.revision is None and each not in waits]
    yield "Findings", [line for each in others for line in _finding(each)]
    yield "Replicas", [f"  {words.replica(each)}" for each in plan.replicas] + [_slot(each) for each in plan.slots]
    yield (
        "Not seen",
        [
            line
            for each in plan.unseen
            for line in (f"  {each.what}: {each.why}", *((f"  {_HINT}{each.grant}",) if each.grant else ()))
        ],
    )


def _said(plan: Plan, revision: str) -> Iterator[str]:
    for each in plan.findings:
        if each.revision == revision:
            yield from _finding(each)


def _finding(each: Finding) -> Iterator[str]:
    mark = {Level.INFO: "-", Level.WARN: "!", Level.REFUSE: "x"}[each.level]
    yield f"  {mark} {each.message}"
    if each.advice is not None:
        yield f"  {_HINT}{each.advice}"


def _step(step: Step) -> Iterator[str]:
    task = step.task
    yield f"{task.revision}  {task.title}".rstrip()
    if not task.ours:
        many = "1 other statement" if task.others == 1 else f"{task.others} other statements"
        what = f"; {many}, which {'is' if task.others == 1 else 'are'} not judged" if task.others else ""
        yield f"  not an index revision of dbtune's{what}"
    for subject, cost in zip(step.subjects, step.costs, strict=True):
        yield f"  {subject.work.statement}"
        if subject.work.does is not Does.OTHER:
            yield f"    now     {_state(subject)}"
        yield from _table(subject)
        if cost is not None:
            yield from _cost(cost)


def _state(subject: Subject) -> str:
    work, there = subject.work, subject.existing
    builder = f"pid {there.builder}" if there is not None and there.builder is not None else "somebody"
    if subject.table is not None and subject.table.kind == "p" and work.does is Does.CREATE:
        done = subject.members - len(subject.missing)
        partitions = f"{done} of {subject.members} partitions have it"
        if subject.state in (State.ABSENT, State.INVALID):
            return f"{partitions}; the others get theirs one after the other"
    match work.does, subject.state:
        case Does.CREATE, State.ABSENT:
            return "absent: to be built"
        case Does.CREATE, State.SAME:
            return "there and valid: only checked and noted"
        case Does.CREATE, State.RUNNING:
            return f"being built by {builder}: waited for, then checked and noted"
        case Does.CREATE, State.INVALID:
            return "INVALID, left by a build: dropped and built anew"
        case Does.DROP, State.ABSENT:
            return "gone already"
        case Does.DROP, State.SAME | State.INVALID | State.RUNNING:
            return "there: to be dropped"
        case Does.CONSTRAINT, State.SAME:
            is_done = there is not None and there.needed_by is not None
            return "there already" if is_done else "its index is there: a lock for a moment"
        case Does.CONSTRAINT, State.ABSENT:
            return "its index is not there yet"
        case _, State.UNKNOWN:
            return "something is there that reads otherwise"
    return "something else bears the name"


def _table(subject: Subject) -> Iterator[str]:
    table = subject.table
    if table is None:
        return
    owner = "owner" if table.is_owner else f"not the owner ({table.owner} is)"
    create = ""
    if subject.work.does is Does.CREATE:
        create = f", {'may' if table.may_create else 'may not'} CREATE in schema {table.schema}"
    if subject.tablespace is not None:
        create += f", {'may' if subject.tablespace_right else 'may not'} use tablespace {subject.tablespace}"
    yield f"    rights  {owner} of {table.full_name}{create}"


def _cost(cost: Cost) -> Iterator[str]:
    about = f"{words.size(cost.bytes)} ±{cost.error:.0%}, {cost.rows:,.0f} rows".replace("%", " %")
    temporary = words.size(cost.temporary) if cost.temporary else "none"
    yield f"    size    {about}; temporary files {temporary}, WAL {words.size(cost.wal)}"
    yield f"    build   {words.span(*cost.seconds)}, without waiting for others"
    if cost.guess is not None:
        yield f"    guess   {cost.guess}"


def _room(plan: Plan) -> Iterator[str]:
    rates = f"reading at {_rates(READ)}, sorting and writing at {_rates(WRITTEN)}"
    yield f"Build times: {rates}"
    by_device: dict[int | None, list[Place]] = {}
    for each in plan.places:
        by_device.setdefault(each.device, []).append(each)
    for device, held in by_device.items():
        free = "free space not seen" if device is None else f"{words.size(held[0].free or 0)} free on {held[0].path}"
        yield f"Disk: {', '.join(map(_place, held))}; {free}"


def _rates(rates: tuple[float, float]) -> str:
    return f"{rates[1] / 1e6:.0f} to {rates[0] / 1e6:,.0f} MB/s"


def _place(place: Place) -> str:
    if place.holds is not Holds.INDEXES:
        return f"{place.holds.value} {words.size(place.needs)}"
    used = f", which holds {words.size(place.used)}" if place.used is not None else ""
    return f"indexes {words.size(place.needs)} in tablespace {place.tablespace}{used}"


def _build(build: Build) -> Iterator[str]:
    if build.phase is None:
        yield f"  pid {build.pid}: another role's"
        return
    since = "" if build.seconds is None else f", for {words.time(build.seconds)}"
    share = "" if build.percent is None else f" {build.percent:.0f} %"
    yield f"  pid {build.pid}: {build.index or 'an index'} on {build.table}{since}: {build.phase}{share}"


def _slot(slot: Slot) -> str:
    safe = f", {words.size(max(0, slot.safe_bytes))} more are safe" if slot.safe_bytes is not None else ""
    kept = f", keeps {words.size(max(0, slot.kept_bytes))}" if slot.kept_bytes is not None else ""
    reader = "has a reader" if slot.active else "no reader"
    return f"  slot {slot.name}: {slot.wal_status or 'keeps nothing'}, {reader}{kept}{safe}"


def _wrapped(line: str, width: int) -> str:
    """Return a line in several where it is too long, each further one indented under the first one's text."""
    lead = len(line) - len(line.lstrip())
    under = lead + 2
    if lead == 4:  # a label and its text
        under = 12
    held = _AMOUNT.sub("\u00a0", line)
    text = fill(held, width, subsequent_indent=" " * under, break_long_words=False, break_on_hyphens=False)
    return text.replace("\u00a0", " ")

"""Judging a case by checks: findings, what is sound, what could not be checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from dbtune.health import ignores as accepting
from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Limits
from dbtune.health.finding import Confidence, Finding, Severity, Sign
from dbtune.health.ignores import Ignore
from dbtune.health.report import Unchecked
from dbtune.health.section import Section
from dbtune.health.span import Kind

_OF_DATABASE = frozenset({Section.TABLES, Section.INDEXES})


def judge(
    case: Case,
    checks: Iterable[Check],
    limits: Mapping[str, Limits],
    ignores: Sequence[Ignore] = (),
    *,
    today: date,
) -> tuple[tuple[Finding, ...], tuple[str, ...], tuple[Unchecked, ...]]:
    """Return findings, the ids of checks that found nothing, and the checks that could not be made, with the reason."""
    signs: list[tuple[Check, Sign]] = []
    sound, unchecked = [], []
    for check in checks:
        if (why := _hindrance(case, check)) is not None:
            unchecked.append(Unchecked(check=check.id, why=why))
            continue
        seen = list(check.judge(case, limits[check.id]))
        signs += [(check, sign) for sign in seen]
        if not seen:
            sound.append(check.id)
    found = [(accepting.accepted(_finding(check, sign), sign.comment, ignores, today), sign) for check, sign in signs]
    open_ones = {(finding.check, finding.object) for finding, _ in found if finding.ignored is None}
    yields = {check.id: check.yields_to for check, _ in signs}
    kept = [
        (finding, sign)
        for finding, sign in found
        if not any((other, finding.object) in open_ones for other in yields[finding.check])
    ]
    kept.sort(key=lambda pair: (-pair[0].severity, pair[0].check, -pair[1].weight, pair[0].object))
    return tuple(finding for finding, _ in kept), tuple(sound), tuple(unchecked)


def _finding(check: Check, sign: Sign) -> Finding:
    # what little counting says is told, but nobody should be woken for it
    is_vague = sign.confidence is Confidence.LOW and check.counts is not None
    return Finding(
        check=check.id,
        title=check.title,
        object=sign.object,
        severity=min(sign.severity, Severity.WARNING) if is_vague else sign.severity,
        confidence=sign.confidence,
        message=sign.message,
        action=sign.action,
        resolved=check.resolved,
        remedy=sign.remedy,
        doubts=sign.doubts,
        evidence=sign.evidence,
        size_bytes=sign.size_bytes,
    )


def _hindrance(case: Case, check: Check) -> str | None:
    """Return why the check cannot be made here and now, None where it can."""
    now = case.now
    if now.server.major < check.since:
        return f"needs PostgreSQL {check.since}"
    for section in Section:
        if section in check.needs and section not in now.read:
            unseen = now.unseen.get(section)
            return f"{section.value} not seen: {unseen.why}" if unseen is not None else f"{section.value} not read"
    if check.primary_only and now.server.in_recovery:
        return "only the primary can tell"
    if check.counts in _OF_DATABASE and not now.server.track_counts:
        return "nothing is counted: track_counts is off"
    if check.counts is None or not check.rates:
        return None
    span = case.span(check.counts)
    if span.tells:
        return None
    if span.seconds is None:
        return "nobody knows since when is counted: take two readings (--interval), or run it again later"
    began = "counting began" if span.kind is Kind.RESET else "the reading before was"
    return f"{began} {words.age(span.seconds)} ago: take two readings (--interval), or run it again later"

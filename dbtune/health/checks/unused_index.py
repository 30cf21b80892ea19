"""Indexes that nothing scans."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Confidence, Migration, Severity, Sign
from dbtune.health.redundancy import redundant
from dbtune.health.section import Section
from dbtune.health.span import YOUNG_DAYS
from dbtune.health.support import supports
from dbtune.health.values.index import Index

_DAY, _MOMENT = 86_400.0, 60.0


@dataclass(frozen=True, slots=True)
class _Use:
    """Scans on all servers that were asked, and since when there was none; None: nobody knows."""

    scans: int
    idle_since: datetime | None


def judge(case: Case, limits: Limits) -> Iterator[Sign]:
    taking_over = {each.keeper.oid for each in redundant(case) if each.index.idx_scan}
    idle = {}
    for index in case.indexes:
        if not index.is_valid or index.duty is not None or index.oid in taking_over:
            continue
        use = _use(case, index)
        if not use.scans or (use.idle_since is not None and _days(case, use.idle_since) >= limits["days"]):
            idle[index.oid] = index, use
    needed = _needed_by_keys(case, idle.keys())
    standbys = _unseen_standbys(case)
    for oid, (index, use) in idle.items():
        if oid not in needed and index.size_bytes >= limits["bytes"]:
            days = None if use.idle_since is None else _days(case, use.idle_since)
            yield _sign(case, limits, index, use, days, standbys)


def _days(case: Case, since: datetime) -> float:
    return (case.now.server.at - since).total_seconds() / _DAY


def _sign(case: Case, limits: Limits, index: Index, use: _Use, days: float | None, standbys: int) -> Sign:
    confidence = _confidence(days, limits["days"], standbys)
    span = case.span(Section.TABLES)
    entries = case.entries(index)
    seconds = None if days is None else days * _DAY
    when = "counted" if seconds is None else f"for {words.age(seconds)}" if seconds >= _MOMENT else "since it was made"
    is_worth = index.size_bytes >= limits["large"] and days is not None and days >= limits["days"]
    return Sign(
        object=index.full_name,
        severity=Severity.WARNING if is_worth and confidence is not Confidence.LOW else Severity.INFO,
        message=f"no scan {when}; {words.size(index.size_bytes)}, and it costs {words.rate(span, entries, 'write')}",
        action="drop it, unless something that runs less often than this needs it",
        confidence=confidence,
        remedy=Migration(statement=f"DROP INDEX {index.full_name}", asks_server=True),
        doubts=tuple(_doubts(case, index, days, standbys)),
        evidence={
            "idx_scan": use.scans,
            "idle_since": use.idle_since.isoformat() if use.idle_since is not None else None,
            "idle_days": round(days, 2) if days is not None else None,
            "writes": entries,
            "writes_per_second": round(span.per_second(entries), 3) if span.seconds else None,
            "definition": index.definition,
        },
        size_bytes=index.size_bytes,
        weight=index.size_bytes + 8192 * span.per_second(entries),
        comment=index.comment,
    )


def _use(case: Case, index: Index) -> _Use:
    parts = case.parts[index.oid]
    known = [case.idle_since.get(part.full_name) for part in parts]
    since = max((at for at in known if at is not None), default=None) if None not in known else None
    scans = index.idx_scan
    for replica in case.replicas:
        counted = [replica.scans[part.oid] for part in parts if part.oid in replica.scans]
        there = sum(each.idx_scan for each in counted)
        last = max((each.last_idx_scan for each in counted if each.last_idx_scan is not None), default=None)
        began = last if there else replica.counters_since
        since = None if since is None or began is None else max(since, began)
        scans += there
    return _Use(scans, since)


def _needed_by_keys(case: Case, idle: Collection[int]) -> set[int]:
    """Return the idle indexes that stay, for a foreign key has no other: one for each such key."""
    leaving = {each.index.oid for each in redundant(case)}
    needed = set()
    for key in case.now.foreign_keys:
        own = case.indexes_by_table.get(key.table_oid, [])
        supporting = [index for index in own if supports(index, key) and index.oid not in leaving]
        if supporting and all(_top(case, index) in idle for index in supporting):
            needed.add(_top(case, min(supporting, key=lambda index: (len(index.columns), index.oid))))
    return needed


def _top(case: Case, index: Index) -> int:
    """Return the index that stands for itself of which this one is a part."""
    return case.tops.get(index.oid, index.oid)


def _unseen_standbys(case: Case) -> int:
    """Return how many standbys there are whose counters were not asked for."""
    streaming = sum(standby.physical for standby in case.now.standbys)
    away = sum(slot.kind == "physical" and not slot.active for slot in case.now.slots)
    return max(0, streaming + away - len(case.replicas))


def _confidence(days: float | None, enough: float, standbys: int) -> Confidence:
    if days is None or days < min(YOUNG_DAYS, enough):
        return Confidence.LOW
    return Confidence.HIGH if days >= enough and not standbys else Confidence.MEDIUM


def _doubts(case: Case, index: Index, days: float | None, standbys: int) -> Iterator[str]:
    if case.now.server.in_recovery:
        yield "this is a standby: what the primary scans is not seen here (--replica URL adds a server)"
    elif standbys:
        yield f"{words.plural(standbys, 'standby')} may scan it: each counts for itself (--replica URL adds one)"
    if days is not None and days < YOUNG_DAYS:
        yield "that is too short to see weekly or monthly work"
    if 0 in index.keys:
        yield "ANALYZE keeps statistics of its expression, which plans may rest on without scanning it"
    if index.is_clustered:
        yield "CLUSTER orders the table by it"


CHECKS = (
    Check(
        id="unused-index",
        title="Index that nothing scans",
        group=Group.INDEXES,
        reads=(
            "pg_stat_user_indexes.idx_scan, last_idx_scan (16+)",
            "pg_stat_database.stats_reset, pg_stat_archiver.stats_reset",
            "pg_index, pg_constraint",
        ),
        trigger="no scan is counted since counting began, or for `days` by stored readings, last_idx_scan or replicas",
        severity="warning from `large` bytes and `days` without a scan on, unless confidence is low; else info",
        why="Every insert, and every update that is no HOT update, has to write into it; it takes disk, cache and WAL, "
        "and keeps updates of its columns from being HOT. Kept out of this: what serves a constraint, uniqueness, the "
        "replica identity or an extension, the only index that a foreign key's columns have, and the index that takes "
        "over from a duplicate.",
        next_step="Drop it by a revision, which can be undone. A standby counts its own scans: give `--replica URL`.",
        resolved="the index is gone, or something scans it",
        needs=frozenset({Section.INDEXES, Section.TABLES, Section.FOREIGN_KEYS, Section.STANDBYS, Section.SLOTS}),
        judge=judge,
        limits=(
            Limit("days", 35, Unit.DAYS, "without a scan are enough, a month and some"),
            Limit("bytes", 65_536, Unit.BYTES, "is the least size worth telling"),
            Limit("large", 10 * 1024**2, Unit.BYTES, "is worth a warning"),
        ),
        counts=Section.INDEXES,
        rates=False,
        yields_to=("invalid-index", "duplicate-index", "prefix-index"),
    ),
)

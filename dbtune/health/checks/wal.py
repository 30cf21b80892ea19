"""Checkpoints and WAL."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Severity, Sign
from dbtune.health.section import Section

_PAGE = 8192


def checkpoints(case: Case, limits: Limits) -> Iterator[Sign]:
    counted, span = case.counted.checkpoints, case.span(Section.CHECKPOINTS)
    if counted is None:
        return
    total = counted.timed + counted.requested
    if total < limits["checkpoints"] or counted.requested < limits["share"] * total:
        return
    yield Sign(
        object="max_wal_size",
        severity=Severity.WARNING,
        message=f"{words.number(counted.requested)} of {words.number(total)} checkpoints {words.over(span)} were "
        f"asked for, mostly because WAL reached max_wal_size",
        action="a higher max_wal_size: checkpoints come by checkpoint_timeout then, and each writes less twice",
        confidence=case.confidence(Section.CHECKPOINTS),
        doubts=("backups and CHECKPOINT by hand are counted among them",),
        evidence={"timed": counted.timed, "requested": counted.requested},
    )


def buffers_full(case: Case, limits: Limits) -> Iterator[Sign]:
    counted, span = case.counted.wal, case.span(Section.WAL)
    if counted is None or span.per_second(counted.buffers_full) < limits["per_second"]:
        return
    yield Sign(
        object="wal_buffers",
        severity=Severity.INFO,
        message=f"full {words.rate(span, counted.buffers_full, 'time')}: a session then has to write WAL within its "
        f"statement",
        action="a larger wal_buffers, such as 64MB (needs a restart)",
        confidence=case.confidence(Section.WAL),
        evidence={"wal_buffers_full": counted.buffers_full},
    )


def images(case: Case, limits: Limits) -> Iterator[Sign]:
    counted, span = case.counted.wal, case.span(Section.WAL)
    if counted is None or span.per_second(counted.bytes) < limits["bytes_per_second"]:
        return
    share = min(1.0, counted.fpi * _PAGE / counted.bytes)
    if share < limits["share"]:
        return
    yield Sign(
        object="full_page_writes",
        severity=Severity.INFO,
        message=f"up to {words.percent(share)} of {words.size(counted.bytes)} of WAL {words.over(span)} are images of "
        f"whole pages",
        action="checkpoints farther apart (max_wal_size, checkpoint_timeout); wal_compression makes images smaller",
        confidence=case.confidence(Section.WAL),
        doubts=("images are counted with 8 kB each, which is more than they take where pages have free space",),
        evidence={"wal_bytes": counted.bytes, "wal_fpi": counted.fpi, "share": round(share, 3)},
    )


CHECKS = (
    Check(
        id="requested-checkpoints",
        title="Checkpoints that come too early",
        group=Group.SERVER,
        reads=("pg_stat_checkpointer: num_timed, num_requested (17+); pg_stat_bgwriter: checkpoints_*",),
        trigger="of `checkpoints` or more, `share` were asked for",
        severity="warning",
        why="Each page that is changed after a checkpoint goes into WAL as a whole: early checkpoints write more.",
        next_step="A higher max_wal_size.",
        resolved="most checkpoints come by the clock",
        needs=frozenset({Section.CHECKPOINTS}),
        judge=checkpoints,
        limits=(
            Limit("checkpoints", 10, Unit.COUNT, "are enough to judge"),
            Limit("share", 0.5, Unit.SHARE, "asked for is much"),
        ),
        counts=Section.CHECKPOINTS,
        rates=False,
        primary_only=True,
    ),
    Check(
        id="wal-buffers-full",
        title="Sessions that wait for room in WAL buffers",
        group=Group.SERVER,
        reads=("pg_stat_wal.wal_buffers_full",),
        trigger="`per_second` or more",
        severity="info",
        why="The statement that finds them full writes for all others.",
        next_step="A larger wal_buffers.",
        resolved="they are seldom full",
        needs=frozenset({Section.WAL}),
        judge=buffers_full,
        limits=(Limit("per_second", 10, Unit.RATE, "are worth telling"),),
        counts=Section.WAL,
        primary_only=True,
        since=14,
    ),
    Check(
        id="full-page-images",
        title="WAL that mostly repeats whole pages",
        group=Group.SERVER,
        reads=("pg_stat_wal: wal_fpi, wal_bytes",),
        trigger="`bytes_per_second` of WAL or more, `share` of it images of pages",
        severity="info",
        why="It is written, sent to standbys and archived.",
        next_step="Checkpoints farther apart, or wal_compression.",
        resolved="less of it are images",
        needs=frozenset({Section.WAL}),
        judge=images,
        limits=(
            Limit("bytes_per_second", 1024**2, Unit.BYTES, "a second are worth telling"),
            Limit("share", 0.7, Unit.SHARE, "of images is much"),
        ),
        counts=Section.WAL,
        primary_only=True,
        since=14,
    ),
)

"""What is not found in shared buffers."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Severity, Sign
from dbtune.health.section import Section


def misses(case: Case, limits: Limits) -> Iterator[Sign]:
    span = case.span(Section.TABLES)
    for table in case.tables.values():
        reads = table.heap_blks_read + table.idx_blks_read
        total = reads + table.heap_blks_hit + table.idx_blks_hit
        rate = span.per_second(reads)
        if rate < limits["reads_per_second"] or reads < (1 - limits["share"]) * total:
            continue
        is_bad = rate >= limits["warning"] and reads > 0.1 * total
        yield Sign(
            object=table.full_name,
            severity=Severity.WARNING if is_bad else Severity.INFO,
            message=f"{words.rate(span, reads, 'block')} are not in shared_buffers: "
            f"{words.percent(1 - reads / total)} are found there",
            action="see which queries read them (dbtune explain); fewer reads help more than a larger cache",
            confidence=case.confidence(Section.TABLES),
            doubts=("the system's own cache may have them: pg_stat_io's times tell, with track_io_timing",),
            evidence={"blocks_read": reads, "blocks_hit": total - reads, "reads_per_second": round(rate, 1)},
            size_bytes=table.size_bytes,
            weight=rate,
            comment=table.comment,
        )


def pressure(case: Case, limits: Limits) -> Iterator[Sign]:
    io, span = case.counted.io, case.span(Section.IO)
    if io is None:
        return
    evictions, writes = span.per_second(io.evictions), span.per_second(io.writes)
    is_evicting = evictions >= limits["evictions"] and io.evictions >= limits["share"] * io.reads
    if not is_evicting and writes < limits["writes"]:
        return
    yield Sign(
        object="shared_buffers",
        severity=Severity.INFO,
        message=f"sessions throw out {words.rate(span, io.evictions, 'block')} to read "
        f"{words.rate(span, io.reads, 'block')}, and write {words.rate(span, io.writes, 'block')} themselves",
        action="a larger shared_buffers, where queries cannot be made to read less; bgwriter_lru_maxpages for the "
        "writes",
        confidence=case.confidence(Section.IO),
        evidence={"evictions": io.evictions, "reads": io.reads, "writes": io.writes},
        weight=evictions,
    )


CHECKS = (
    Check(
        id="cache-misses",
        title="Table that is read from outside of shared buffers",
        group=Group.BUFFERS,
        reads=("pg_statio_user_tables: heap_blks_read, heap_blks_hit, idx_blks_read, idx_blks_hit",),
        trigger="less than `share` of its blocks are found, and `reads_per_second` blocks or more are not",
        severity="warning from `warning` blocks per second on, if more than a tenth are not found; else info",
        why="A block from the disk takes a hundred times as long as one from the cache.",
        next_step="`dbtune explain` tells which queries read most blocks.",
        resolved="more of its blocks are found, or fewer are asked for",
        needs=frozenset({Section.TABLES}),
        judge=misses,
        limits=(
            Limit("share", 0.99, Unit.SHARE, "of blocks found is enough"),
            Limit("reads_per_second", 100, Unit.RATE, "blocks are worth telling"),
            Limit("warning", 5_000, Unit.RATE, "blocks are worth a warning"),
        ),
        counts=Section.TABLES,
    ),
    Check(
        id="buffer-pressure",
        title="Sessions make room in shared buffers themselves",
        group=Group.BUFFERS,
        reads=("pg_stat_io of client backends in context normal: evictions, reads, writes",),
        trigger="`evictions` blocks per second or more, and `share` of the reads, throw another block out; or `writes` "
        "blocks per second are written by sessions",
        severity="info",
        why="What is thrown out is read again later, and a session that writes lets its user wait for the disk.",
        next_step="Make queries read less; then a larger shared_buffers.",
        resolved="fewer evictions and writes by sessions",
        needs=frozenset({Section.IO}),
        judge=pressure,
        limits=(
            Limit("evictions", 100, Unit.RATE, "blocks are worth telling"),
            Limit("share", 0.1, Unit.SHARE, "of reads that throw out another block is much"),
            Limit("writes", 10, Unit.RATE, "blocks by sessions are worth telling"),
        ),
        counts=Section.IO,
        since=16,
    ),
)

"""Tables that are read as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Severity, Sign
from dbtune.health.section import Section
from dbtune.health.values.table import Table


def hot(case: Case, limits: Limits) -> Iterator[Sign]:
    span = case.span(Section.TABLES)
    for table in case.tables.values():
        rate = span.per_second(table.seq_tup_read)
        if not _is_read_whole(table, limits) or rate < limits["rows_per_second"]:
            continue
        yield _sign(
            case,
            table,
            Severity.WARNING if rate >= limits["warning"] else Severity.INFO,
            f"sequential scans read {words.rate(span, table.seq_tup_read, 'row')}, {_each(table)}{_index_share(table)}",
        )


def suspect(case: Case, limits: Limits) -> Iterator[Sign]:
    span = case.span(Section.TABLES)
    for table in case.tables.values():
        scans = table.seq_scan + table.idx_scan
        if not _is_read_whole(table, limits) or table.n_live_tup < limits["rows"]:
            continue
        if table.idx_scan >= limits["share"] * scans or span.per_second(table.seq_scan) < limits["scans_per_second"]:
            continue
        yield _sign(
            case,
            table,
            Severity.INFO,
            f"read as a whole {words.rate(span, table.seq_scan, 'time')}, {_each(table)}{_index_share(table)}",
        )


def _is_read_whole(table: Table, limits: Limits) -> bool:
    if not table.seq_scan or table.relpages < limits["pages"]:
        return False
    return table.seq_tup_read / table.seq_scan >= limits["rows_per_scan"]


def _each(table: Table) -> str:
    return f"{words.number(round(table.seq_tup_read / table.seq_scan))} rows each time"


def _index_share(table: Table) -> str:
    share = table.idx_scan / (table.seq_scan + table.idx_scan)
    return f"; an index served {words.percent(share)} of its scans"


def _sign(case: Case, table: Table, severity: Severity, message: str) -> Sign:
    span = case.span(Section.TABLES)
    return Sign(
        object=table.full_name,
        severity=severity,
        message=f"{message}; {words.size(table.size_bytes)}",
        action="see which queries do it (dbtune scans), and which indexes would help them (dbtune advise)",
        confidence=case.confidence(Section.TABLES),
        evidence={
            "seq_scan": table.seq_scan,
            "seq_tup_read": table.seq_tup_read,
            "idx_scan": table.idx_scan,
            "rows_per_second": round(span.per_second(table.seq_tup_read), 1),
            "n_live_tup": table.n_live_tup,
        },
        size_bytes=table.size_bytes,
        weight=span.per_second(table.seq_tup_read),
        comment=table.comment,
    )


_READS = ("pg_stat_user_tables: seq_scan, seq_tup_read, idx_scan, n_live_tup", "pg_class.relpages")
_WHOLE = (
    Limit("rows_per_scan", 1_000, Unit.COUNT, "on average are a scan worth telling"),
    Limit("pages", 64, Unit.COUNT, "of 8 kB are the least that a table must have"),
)
CHECKS = (
    Check(
        id="hot-seq-scan",
        title="Table that is read as a whole, over and over",
        group=Group.TABLES,
        reads=_READS,
        trigger="sequential scans read `rows_per_second` or more, `rows_per_scan` or more each time, of a table of "
        "`pages` or more; never on the count of scans alone",
        severity="warning from `warning` rows per second on, else info",
        why="Each of these rows costs processor time, and pages that others would like to have in the cache.",
        next_step="`dbtune scans` names the captured queries that do it, `dbtune advise` the indexes that would help.",
        resolved="its sequential scans read less",
        needs=frozenset({Section.TABLES}),
        judge=hot,
        limits=(
            Limit("rows_per_second", 10_000, Unit.RATE, "are worth telling"),
            Limit("warning", 1_000_000, Unit.RATE, "are worth a warning: a good part of a processor"),
            *_WHOLE,
        ),
        counts=Section.TABLES,
    ),
    Check(
        id="missing-index",
        title="Large table that indexes seldom serve",
        group=Group.TABLES,
        reads=_READS,
        trigger="a table of `rows` rows or more is read as a whole `scans_per_second` or more, `rows_per_scan` or "
        "more each time, and indexes serve less than `share` of all its scans",
        severity="info",
        why="Some query finds no index for its condition.",
        next_step="`dbtune scans` and `dbtune advise`, as above.",
        resolved="indexes serve nearly all of its scans, or it is seldom read as a whole",
        needs=frozenset({Section.TABLES}),
        judge=suspect,
        limits=(
            Limit("rows", 10_000, Unit.COUNT, "make a table large"),
            Limit("share", 0.95, Unit.SHARE, "of scans by an index is enough"),
            Limit("scans_per_second", 1 / 60, Unit.RATE, "are often enough: once a minute"),
            *_WHOLE,
        ),
        counts=Section.TABLES,
        yields_to=("hot-seq-scan",),
    ),
)

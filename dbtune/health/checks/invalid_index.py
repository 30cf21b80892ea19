"""Indexes that no query can use."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limits
from dbtune.health.finding import Severity, Sign, Sql
from dbtune.health.section import Section


def judge(case: Case, limits: Limits) -> Iterator[Sign]:
    indexes = case.now.indexes
    for each in case.now.broken:
        index = indexes.get(each.index)
        what = "was set aside to be dropped" if each.sound else "is INVALID: no query can use it"
        costs = f"; {' and '.join(each.costs)}" if each.costs else ""
        size = f"; {words.size(index.size_bytes)}" if index is not None else ""
        is_command = each.mend.endswith(";")
        yield Sign(
            object=each.index,
            severity=Severity.WARNING,
            message=f"{what}{costs}{size}",
            action="send the command, outside of a transaction" if is_command else each.mend,
            remedy=Sql(statement=each.mend) if is_command else None,
            evidence={"table": each.table, "made_by_dbtune": each.ours, "costs": list(each.costs)},
            size_bytes=index.size_bytes if index is not None else None,
            weight=float(index.size_bytes) if index is not None else 0.0,
            comment=index.comment if index is not None else None,
        )
    for part in case.now.partitioned:
        missing = ", ".join(part.missing) or "none, but the index of one is not valid"
        index = indexes.get(part.index)
        yield Sign(
            object=part.index,
            severity=Severity.WARNING,
            message=f"the partitioned index is INVALID; partitions without it: {missing}",
            action="make the index on each of these partitions, then ALTER INDEX … ATTACH PARTITION",
            evidence={"table": part.table, "missing": list(part.missing)},
            comment=index.comment if index is not None else None,
        )


CHECKS = (
    Check(
        id="invalid-index",
        title="Index that no query can use",
        group=Group.INDEXES,
        reads=("pg_index: indisvalid, indisready, indislive", "pg_stat_progress_create_index, pg_locks"),
        trigger="an index is not valid, and nobody builds or drops it now; or dbtune set it aside to be dropped",
        severity="warning",
        why="CREATE INDEX CONCURRENTLY that failed leaves it behind. Writes may still have to maintain it, and a "
        "unique one may reject rows.",
        next_step="The command that mends it; `dbtune migrate status` tells more.",
        resolved="the index is valid or gone",
        needs=frozenset({Section.BROKEN, Section.INDEXES}),
        judge=judge,
    ),
)

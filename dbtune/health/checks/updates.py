"""Updates that cannot stay on their page."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Severity, Sign
from dbtune.health.section import Section


def judge(case: Case, limits: Limits) -> Iterator[Sign]:
    span = case.span(Section.TABLES)
    for table in case.tables.values():
        updates, hot, moved = table.n_tup_upd, table.n_tup_hot_upd, table.n_tup_newpage_upd
        if updates < limits["updates"]:
            continue
        if moved is not None and moved >= limits["moved"] * updates:
            message = f"{words.percent(moved / updates)} of its updates found no room on the row's page"
            action = (
                f"leave room: ALTER TABLE {table.full_name} SET (fillfactor = 90), which new pages follow; "
                f"or see why VACUUM does not make room"
            )
        elif hot < limits["hot"] * updates:
            message = f"{words.percent(hot / updates)} of its updates were HOT"
            action = (
                "an index on a column that is updated makes every index of the table take an entry: drop it if "
                "it can go"
            )
            if moved is None:
                action += "; or pages have no room: a lower fillfactor"
        else:
            continue
        yield Sign(
            object=table.full_name,
            severity=Severity.INFO,
            message=f"{message}, of {words.number(updates)} {words.over(span)}",
            action=action,
            confidence=case.confidence(Section.TABLES),
            evidence={"n_tup_upd": updates, "n_tup_hot_upd": hot, "n_tup_newpage_upd": moved},
            size_bytes=table.size_bytes,
            weight=float(updates - hot),
            comment=table.comment,
        )


CHECKS = (
    Check(
        id="cold-updates",
        title="Updates that write every index",
        group=Group.TABLES,
        reads=("pg_stat_user_tables: n_tup_upd, n_tup_hot_upd, n_tup_newpage_upd (16+)",),
        trigger="of `updates` or more, the part `moved` went to another page (16+), or less than `hot` were HOT",
        severity="info",
        why="An update that changes no indexed column and finds room on its page (HOT) leaves the indexes alone.",
        next_step="A lower fillfactor where pages are full; else the index on the column that is updated.",
        resolved="more updates are HOT",
        needs=frozenset({Section.TABLES}),
        judge=judge,
        limits=(
            Limit("updates", 10_000, Unit.COUNT, "within the time are enough to judge"),
            Limit("moved", 0.2, Unit.SHARE, "to another page is much"),
            Limit("hot", 0.5, Unit.SHARE, "of HOT updates is enough"),
        ),
        counts=Section.TABLES,
        rates=False,
        primary_only=True,
    ),
)

"""Transaction ids that run out."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Severity, Sign
from dbtune.health.section import Section

_ROOM = 2**31
_DAY = 86_400.0
_SHOWN = 3


def judge(case: Case, limits: Limits) -> Iterator[Sign]:
    for database in case.now.databases:
        for age, what in ((database.xid_age, "transaction"), (database.mxid_age, "multixact")):
            share = age / _ROOM
            if share < limits["warning"]:
                continue
            is_own = database.name == case.now.server.database
            oldest = _oldest(case, what) if is_own else []
            action = "VACUUM FREEZE the oldest tables, and see who keeps old rows (held-horizon)"
            if not is_own:
                action += f"; dbtune health on {database.name} names them"
            yield Sign(
                object=f"database {database.name}",
                severity=Severity.CRITICAL if share >= limits["critical"] else Severity.WARNING,
                message=f"its oldest {what} is {words.number(age)} old, {words.percent(share)} of what there can be"
                f"{_when(case, age) if what == 'transaction' else ''}"
                + (f"; oldest: {', '.join(oldest)}" if oldest else ""),
                action=action,
                evidence={"age": age, "of": _ROOM, "kind": what, "oldest": oldest},
                weight=share,
            )


def _when(case: Case, age: int) -> str:
    """Return when the server will stop to take writes, at the rate of transactions of the span."""
    span = case.span(Section.SERVER)
    rate = span.per_second(case.counted.server.xids)
    return f": {words.age((_ROOM - age) / rate)} at today's {words.number(round(rate))}/s" if rate > 0 else ""


def _oldest(case: Case, what: str) -> list[str]:
    ages = {t.full_name: (t.xid_age if what == "transaction" else t.mxid_age) or 0 for t in case.now.tables.values()}
    return [f"{name} ({words.number(ages[name])})" for name in sorted(ages, key=lambda n: -ages[n])[:_SHOWN]]


CHECKS = (
    Check(
        id="wraparound",
        title="Transaction ids that run out",
        group=Group.VACUUM,
        reads=("pg_database: age(datfrozenxid), mxid_age(datminmxid)", "pg_class: relfrozenxid, relminmxid"),
        trigger="a database's oldest transaction or multixact is `warning` or more of 2^31 old",
        severity="critical from `critical` on, else warning",
        why="Three million before the end the server takes no more writes, in any of its databases.",
        next_step="VACUUM FREEZE the tables that are named, after whoever keeps old rows is gone.",
        resolved="its age is below the limit",
        needs=frozenset({Section.DATABASES}),
        judge=judge,
        limits=(
            Limit("warning", 0.5, Unit.SHARE, "of 2^31 is worth a warning"),
            Limit("critical", 0.8, Unit.SHARE, "is critical"),
        ),
    ),
)

"""Rows that VACUUM has not removed, and statistics that ANALYZE has not renewed."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Severity, Sign, Sql
from dbtune.health.section import Section
from dbtune.health.values.table import Table


def dead(case: Case, limits: Limits) -> Iterator[Sign]:
    for table in case.now.tables.values():
        trigger = _trigger(case, table, "vacuum")
        if table.n_dead_tup < limits["rows"] or table.n_dead_tup < limits["factor"] * trigger:
            continue
        is_most = table.n_dead_tup >= max(limits["critical"], table.n_live_tup)
        last = table.last_vacuum
        since = "never vacuumed" if last is None else f"last vacuumed {_ago(case, table)} ago"
        yield Sign(
            object=table.full_name,
            severity=Severity.CRITICAL if is_most else Severity.WARNING,
            message=f"{words.number(table.n_dead_tup)} dead rows beside {words.number(table.n_live_tup)} live ones; "
            f"autovacuum should come at {words.number(round(trigger))}; {since}",
            action=_why_not(case, table),
            remedy=Sql(statement=f"VACUUM (ANALYZE) {table.full_name};"),
            evidence={
                "n_dead_tup": table.n_dead_tup,
                "n_live_tup": table.n_live_tup,
                "autovacuum_at": round(trigger),
                "last_vacuum": last.isoformat() if last is not None else None,
            },
            size_bytes=table.size_bytes,
            weight=float(table.n_dead_tup),
            comment=table.comment,
        )


def stale(case: Case, limits: Limits) -> Iterator[Sign]:
    for table in case.now.tables.values():
        trigger = _trigger(case, table, "analyze")
        changed = table.n_mod_since_analyze
        if _is_uncounted(case, table):
            rows = sum(leaf.n_live_tup for leaf in case.leaves(table))
            if rows < limits["rows"]:
                continue
            message = f"never analysed, {words.number(rows)} rows"
            if table.kind == "p":
                message += "; autovacuum analyses partitions, not the partitioned table"
            severity = Severity.INFO if table.kind == "p" else Severity.WARNING
        elif changed >= limits["rows"] and changed >= limits["factor"] * trigger:
            message = (
                f"{words.number(changed)} changes since it was analysed; "
                f"autovacuum should come at {words.number(round(trigger))}"
            )
            severity = Severity.WARNING
        else:
            continue
        yield Sign(
            object=table.full_name,
            severity=severity,
            message=message,
            action="analyse it: plans rest on what it held before" if changed else "analyse it: plans rest on guesses",
            remedy=Sql(statement=f"ANALYZE {table.full_name};"),
            evidence={"n_mod_since_analyze": changed, "autoanalyze_at": round(trigger), "reltuples": table.reltuples},
            size_bytes=table.size_bytes,
            weight=float(changed),
            comment=table.comment,
        )


def _is_uncounted(case: Case, table: Table) -> bool:
    """Return whether neither VACUUM nor ANALYZE ever counted the rows; before 14 such a table has 0 of them.

    Before 14 nothing tells of a partitioned table.
    """
    if table.last_analyze is not None:
        return False
    if table.kind == "p":
        return case.major >= 14 and table.reltuples < 0
    return table.reltuples < 0 or (case.major < 14 and not table.reltuples and not table.relpages)


def _trigger(case: Case, table: Table, what: str) -> float:
    """Return from how many rows on autovacuum comes (manual, 24.1.6), by the table's own parameters or the server's."""

    def number(name: str, otherwise: float) -> float:
        if (own := table.storage.get(name)) is not None:
            return float(own)
        setting = case.now.settings.get(name)
        return float(setting.setting) if setting is not None else otherwise

    rows = max(table.reltuples, 0)
    factor = number(f"autovacuum_{what}_scale_factor", 0.2 if what == "vacuum" else 0.1)
    at = number(f"autovacuum_{what}_threshold", 50) + factor * rows
    most = number("autovacuum_vacuum_max_threshold", -1)
    return min(at, most) if what == "vacuum" and most >= 0 else at


def _ago(case: Case, table: Table) -> str:
    assert table.last_vacuum is not None
    return words.age((case.now.server.at - table.last_vacuum).total_seconds())


def _why_not(case: Case, table: Table) -> str:
    if table.storage.get("autovacuum_enabled") in ("false", "off", "no", "0"):
        return f"autovacuum is off for it: ALTER TABLE {table.full_name} RESET (autovacuum_enabled); and vacuum it"
    server = case.now.settings.get("autovacuum")
    if server is not None and server.setting == "off":
        return "autovacuum is off for the whole server: switch it on, and vacuum the table"
    return "see who keeps old rows (held-horizon) and whether workers are enough (autovacuum-saturated); then vacuum it"


_COUNTS = "pg_stat_user_tables: n_dead_tup, n_live_tup, n_mod_since_analyze, last_*vacuum, last_*analyze"
CHECKS = (
    Check(
        id="dead-rows",
        title="Dead rows that VACUUM has not removed",
        group=Group.VACUUM,
        reads=(_COUNTS, "pg_class.reloptions, pg_settings: autovacuum_vacuum_*"),
        trigger="`rows` or more, and `factor` times as many as bring autovacuum, by the table's own parameters",
        severity="critical from `critical` on if they are more than the live ones, else warning",
        why="They are read by every scan and kept in every index, and the table grows.",
        next_step="VACUUM, and find out why autovacuum did not.",
        resolved="autovacuum keeps up",
        needs=frozenset({Section.TABLES, Section.SETTINGS}),
        judge=dead,
        limits=(
            Limit("rows", 1_000, Unit.COUNT, "are the least worth telling"),
            Limit("factor", 2, Unit.COUNT, "times the threshold is too late"),
            Limit("critical", 1_000_000, Unit.COUNT, "are critical"),
        ),
        counts=Section.TABLES,
        rates=False,
        primary_only=True,
    ),
    Check(
        id="stale-statistics",
        title="Planner's statistics that are missing or old",
        group=Group.VACUUM,
        reads=(_COUNTS, "pg_class.reltuples, reloptions, pg_settings: autovacuum_analyze_*"),
        trigger="a table of `rows` or more was never analysed, or has `factor` times the changes that bring autovacuum",
        severity="warning; info for a partitioned table (14+), which autovacuum never analyses",
        why="The planner then guesses how many rows a condition finds.",
        next_step="ANALYZE; for a partitioned table by a job of your own.",
        resolved="it was analysed",
        needs=frozenset({Section.TABLES, Section.SETTINGS}),
        judge=stale,
        limits=(
            Limit("rows", 1_000, Unit.COUNT, "are the least worth telling"),
            Limit("factor", 2, Unit.COUNT, "times the threshold is too late"),
        ),
        counts=Section.TABLES,
        rates=False,
        primary_only=True,
    ),
)

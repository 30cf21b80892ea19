"""The planner expected far too many or too few rows, and the statistics it goes by are old or were never made.

Fires when ten times as many rows came as expected, or a tenth, of at least 1,000 rows expected or real, and a table
that they come from has no ANALYZE on record, or 1,000 rows or more, and a tenth of its rows, were inserted, updated or
deleted since. Where the planner would know no better after an ANALYZE, B4 or B7 tells that instead.

What to do: ANALYZE the table before anything else. If it happens again, let autovacuum do it sooner
(autovacuum_analyze_scale_factor as a storage parameter of the table), or run ANALYZE at the end of what loads the data;
temporary tables are never analyzed by themselves.

The counters begin anew with a reset of the server's statistics. A session that loads a table and analyzes it at once
hands over the rows it changed after the ANALYZE, so that the table seems changed since: another ANALYZE settles it.

Source: manual, 14.2, 25.1.3 and 27.2 (pg_stat_all_tables: n_mod_since_analyze, last_analyze, last_autoanalyze).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.estimate import misestimates
from dbtune.plan.finding import Sign
from dbtune.plan.rules import MIN_MS, Rule
from dbtune.plan.rules.b04_default_selectivity import guess
from dbtune.plan.rules.b07_function_or_cte_guess import is_guess
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node
from dbtune.server.facts import TableFacts

MIN_CHANGES = 1_000
MIN_CHANGED = 0.1


def check(subject: Subject) -> Iterator[Sign]:
    for found in misestimates(subject, MIN_MS):
        stale = stale_tables(subject, found.node)
        if not stale:
            continue
        names = [table.name for table in stale]
        yield Sign(
            message=f"{' and '.join(map(_age, stale))}: {words.unexpected(found.rows, found.expected)}",
            advice=f"ANALYZE {', '.join(names)}, and autovacuum_analyze_scale_factor lower if it gets old again",
            share=found.share,
            node=found.node.number,
            relation=names[0],
            evidence={
                "tables": names,
                "n_mod_since_analyze": max(table.n_mod_since_analyze for table in stale),
                "rows": round(found.rows.value),
                "rows_expected": round(found.expected),
            },
            severity=found.severity,
        )


def stale_tables(subject: Subject, node: Node) -> list[TableFacts]:
    """Return the tables below ``node`` with old statistics, where those are what the estimate went by."""
    if is_guess(node) or guess(subject, node) is not None:
        return []
    names = dict.fromkeys(n.relation for n in subject.plan.subtree(node) if not n.never_executed)
    tables = [subject.facts.table(name) for name in names]
    return [table for table in tables if table is not None and _is_stale(table)]


def _is_stale(table: TableFacts) -> bool:
    if table.last_analyze is None:
        return True
    return table.n_mod_since_analyze >= max(MIN_CHANGES, MIN_CHANGED * table.n_live_tup)


def _age(table: TableFacts) -> str:
    if table.last_analyze is None:
        return f"{table.name} has no ANALYZE on record"
    changes = words.plural(table.n_mod_since_analyze, "row")
    return f"{changes} of {table.name} were changed since it was analyzed"


RULE = Rule("B6", "stale-statistics", "Statistics are out of date", check)

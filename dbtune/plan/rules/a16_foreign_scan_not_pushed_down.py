"""Rows are fetched from another server or a file, and most are thrown away here.

Fires when a foreign scan's own filter drops 1,000 rows or more, at least nine of ten that came.

What to do: let the condition run where the rows are. postgres_fdw sends only what means the same on both sides:
built-in operators and functions that are immutable (``now()`` is not: send the time as a value), and those of
extensions named in the server's option ``extensions``. A file cannot be asked for less: load it into a table.

Source: manual, postgres_fdw (Remote Query Optimization) and file_fdw; ``Remote SQL`` is shown by VERBOSE.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.rules.a04_weak_index import drops_most
from dbtune.plan.subject import Subject


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Foreign Scan"):
        rows = subject.measure(node).rows
        if node.filter is None or rows is None or not drops_most(subject, node):
            continue
        dropped = subject.dropped(node, "Filter").value
        came = rows.value + dropped
        is_file = "Foreign File" in node.raw or "Foreign Program" in node.raw
        if is_file:
            advice = "the file's rows in a table with an index, for a file is read from its first line to its last"
        else:
            advice = f"a condition that the other server can test in place of {words.excerpt(node.filter)}"
        yield Sign(
            message=f"fetches {words.plural(came, 'row')} of {words.relation(node)} to keep {words.number(rows.value)}",
            advice=advice,
            share=subject.share(node),
            avoidable=dropped / came,
            node=node.number,
            relation=node.relation,
            evidence={
                "rows_fetched": round(came),
                "rows_kept": round(rows.value),
                "filter": node.filter,
                "is_file": is_file,
            },
        )


RULE = Rule("A16", "foreign-scan-not-pushed-down", "Foreign rows fetched only to be dropped", check)

"""An index-only scan had to visit the table after all, to see whether its rows are visible.

Fires when an index-only scan fetches 1,000 rows or more from the table, and that is one in twenty of those it reads.
Such a visit is needed wherever the visibility map does not say that all rows of a block are visible to everybody.

What to do: VACUUM the table, which sets the map. If it soon comes back: make autovacuum come more often
(``autovacuum_vacuum_scale_factor``, or ``autovacuum_vacuum_insert_scale_factor`` for a table that only grows, as
storage parameters of the table), and look for transactions that stay open for long.

Source: manual, 11.9 (index-only scans), Updating the Visibility Map and Automatic Vacuuming. ``Heap Fetches`` is a
total over loops and workers, unlike the rows beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject

MIN_FETCHES = 1_000
MIN_RATIO = 0.05


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Index Only Scan"):
        fetches = node.number_of("Heap Fetches")
        read = subject.measure(node).read
        if read is None or fetches < MIN_FETCHES or fetches < MIN_RATIO * (read.value + read.error):
            continue
        table = words.relation(node)
        yield Sign(
            message=f"fetches {words.plural(fetches, 'row')} from {table}, although {node.index_name} has all columns",
            advice=f"VACUUM {table}, and autovacuum often enough to keep its visibility map up to date",
            share=subject.share(node),
            node=node.number,
            relation=node.relation,
            evidence={
                "heap_fetches": round(fetches),
                "rows_read": round(read.value),
                "index": node.index_name or "",
            },
        )


RULE = Rule("A10", "heap-fetches", "Index-only scan that visits the table", check)

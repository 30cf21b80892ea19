"""A table is read from its first block to its last, and nearly every row read is thrown away.

Fires when a sequential scan's filter drops 1,000 rows or more, at least nine of ten rows read, and the scan touches 64
blocks (512 kB) or more: below that a scan is as good as an index. Sequential scans of most of a table are right, and
are not told.

What to do: an index whose first columns are those that the filter fixes to a value, then one that it limits to a
range. The message names them. Where the filter tests no plain column but a function, a cast or a pattern, A14 speaks
instead; where no index of any kind could serve it, the finding says so.

Source: manual, 11.1 and 14.1; ``Rows Removed by Filter`` is an average over loops and is multiplied here.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Severity, Sign
from dbtune.plan.predicate import index_elements, indexable_columns
from dbtune.plan.rules import Rule
from dbtune.plan.rules.a02_repeated_seq_scan import MIN_LOOPS
from dbtune.plan.rules.a14_non_sargable import obstructed
from dbtune.plan.subject import Subject

MIN_REMOVED = 1_000
MIN_RATIO = 0.9
MIN_BLOCKS = 64


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Seq Scan"):
        scanned = subject.scanned(node)
        blocks = subject.blocks(node)
        if node.filter is None or scanned is None or blocks is None:
            continue
        if subject.repeats(node) >= MIN_LOOPS:
            continue  # A2 tells that
        read, kept = scanned
        if read - kept < MIN_REMOVED or (read - kept) / read < MIN_RATIO:
            continue
        if blocks < MIN_BLOCKS:
            continue
        columns = indexable_columns(node.filter)
        if not columns and obstructed(node.filter) is not None:
            continue  # A14 tells that, with its cure
        table = words.relation(node)
        if columns and (index := subject.has_index(node, columns)) is not None:
            advice = f"better statistics or a lower random_page_cost: {index} is there, the planner thought it dearer"
        elif columns:
            advice = f"an index on {table} ({', '.join(index_elements(node.filter))})"
        else:
            advice = "another condition: no index can look up what this filter tests"
        yield Sign(
            message=f"reads all of {table} to keep {words.number(kept)} of {words.plural(read, 'row')}",
            advice=advice,
            share=subject.share(node),
            avoidable=1 - kept / read if columns else None,
            node=node.number,
            relation=node.relation,
            evidence={
                "rows_read": round(read),
                "rows_kept": round(kept),
                "blocks": blocks,
                "filter": node.filter,
                "columns": columns,
            },
            severity=None if columns else Severity.INFO,
        )


RULE = Rule("A1", "selective-seq-scan", "Sequential scan that keeps few rows", check)

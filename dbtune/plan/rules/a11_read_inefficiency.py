"""Far more blocks are read than the rows in them need: the table or index is full of dead rows or of free space.

Fires when a scan asks for 1,000 blocks or more, and three times what its rows can need. A sequential scan needs 2 kB a
row (larger values are stored out of line), or the width of the columns read if that is more; how wide the other columns
are the plan does not tell, so only what is unmistakable counts. Rows found by a bitmap or a B-tree index need one block
each, and each descent of the index four. An index scan is judged only where nothing else explains its blocks: every
entry read matches the index condition, and no filter or expression may have read values stored out of line.

What to do: VACUUM, which removes dead rows once no transaction can see them (look for transactions and replication
slots that stay open), and autovacuum more often. It seldom gives space back: where a table once was much larger, VACUUM
FULL rewrites it under an exclusive lock, and pg_repack without. For a queue, partitions that are dropped as a whole.

Source: manual, Recovering Disk Space, TOAST and Database Page Layout; block counts are totals over loops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.predicate import Term, terms
from dbtune.plan.rules import Rule
from dbtune.plan.rules.a07_lossy_bitmap import heap_blocks
from dbtune.plan.subject import BLOCK_SIZE, Subject
from dbtune.plan.tree import Node
from dbtune.server.facts import IndexFacts

MIN_BLOCKS = 1_000
MIN_FACTOR = 3
ROW_BYTES = 2_048  # TOAST_TUPLE_TARGET
ROW_OVERHEAD = 28
DESCENT_BLOCKS = 4


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Seq Scan", "Bitmap Heap Scan", "Index Scan", "Index Only Scan"):
        measure = subject.measure(node)
        if measure.read is None or measure.self_blocks is None:
            continue
        rows = measure.read.value
        most = rows + measure.read.error
        blocks = measure.self_blocks.accessed
        if node.node_type == "Seq Scan":
            facts = subject.facts.table(node.relation)
            if facts is not None and facts.relpages:  # what goes beyond the table are values stored out of line
                blocks = min(blocks, round(facts.relpages * subject.repeats(node)))
            elif not _hands_on_plain_columns(node):
                continue
            needed = most * max(ROW_BYTES, node.plan_width + ROW_OVERHEAD) / BLOCK_SIZE
        elif node.node_type == "Bitmap Heap Scan":
            blocks = min(blocks, sum(heap_blocks(node)))
            needed = most
        elif _reads_only_matches(subject, node):
            needed = most + DESCENT_BLOCKS * (node.number_of("Index Searches") or node.loops or 1)
        else:
            continue
        if blocks < MIN_BLOCKS or blocks < MIN_FACTOR * needed:
            continue
        table = words.relation(node)
        yield Sign(
            message=f"reads {words.size(blocks)} of {table} for {words.plural(rows, 'row')}",
            advice=f"VACUUM {table}, and VACUUM FULL where its space stays empty; a look for long transactions",
            share=measure.share,
            avoidable=1 - needed / blocks,
            node=node.number,
            relation=node.relation,
            evidence={"blocks": blocks, "rows_read": round(rows), "blocks_needed": round(needed)},
        )


def _reads_only_matches(subject: Subject, node: Node) -> bool:
    """Whether an index scan reads B-tree entries that match alone, and nothing besides.

    A list takes a descent for each value, which 18 counts.
    """
    index = subject.index(node)
    if index is None or index.method != "btree" or not _hands_on_plain_columns(node):
        return False
    tested = terms(str(node.raw["Index Cond"])) if "Index Cond" in node.raw else []
    if "Index Searches" not in node.raw and any("ANY" in (term.operator or "") for term in tested):
        return False
    return tests_first_columns(index, tested) is True


def _hands_on_plain_columns(node: Node) -> bool:
    """Whether the node computes nothing, for which it might have to read values stored out of line."""
    output = node.raw.get("Output")
    return node.filter is None and output is not None and not any("(" in str(expression) for expression in output)


def tests_first_columns(index: IndexFacts, tested: Sequence[Term]) -> bool | None:
    """Whether the columns tested are the index's first ones, so that the entries wanted lie side by side.

    After one that is tested for a range, no other can narrow down what is read. None where something else than the
    index's plain columns is tested.
    """
    columns = [column.strip('"') for column in index.columns]
    fixed: dict[str, bool] = {}
    for term in tested:
        if term.column is None or term.column not in columns:
            return None
        fixed[term.column] = fixed.get(term.column, False) or term.is_equality
    prefix = [fixed[column] for column in columns[: len(fixed)] if column in fixed]
    return len(prefix) == len(fixed) and all(prefix[:-1])


RULE = Rule("A11", "read-inefficiency", "More blocks read than the rows need", check)

"""An index is used without its first columns: no condition fixes it, so that the rows wanted lie all over the index.

Fires when an index scan descends a B-tree ten times or more each time it runs, without a list of values (``= ANY``)
that would ask for it: from 18 on, such a skip scan seeks each value of the open column in turn. Before 18, and where
skipping does not pay, the index is read from end to end, or all of the range of its first column; that fires where the
catalog says that the columns tested are not the index's first ones, and the scan asks for 64 blocks or more beyond one
for each row it finds.

What to do: an index whose first columns are those fixed to a value, then one tested for a range. A skip scan over few
values is cheap, and takes less than is worth telling.

Source: manual, 11.3 (multicolumn indexes, skip scan) and 14.1 (``Index Searches``, a total over loops).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.predicate import Term, index_elements, terms
from dbtune.plan.rules import Rule
from dbtune.plan.rules.a11_read_inefficiency import DESCENT_BLOCKS, tests_first_columns
from dbtune.plan.subject import Subject
from dbtune.plan.tree import SCANS_OF_INDEXES, Node

MIN_DESCENTS = 10
MIN_BLOCKS = 64


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running(*SCANS_OF_INDEXES):
        condition = str(node.raw.get("Index Cond", ""))
        tested = terms(condition) if condition else []
        elements = index_elements(condition) if condition else []
        if not elements or not node.loops or any("ANY" in (term.operator or "") for term in tested):
            continue
        descents = node.number_of("Index Searches") / node.loops
        if descents >= MIN_DESCENTS:
            what = f"descends {node.index_name} {words.number(descents)} times"
            what += " each time it runs" if node.loops > 1 else ""
        elif _reads_on(subject, node, tested):
            what = f"reads on through {node.index_name}"
        else:
            continue
        heap = next((n for n in (node, *subject.plan.ancestors(node)) if n.relation is not None), node)
        yield Sign(
            message=f"{what}, for {words.excerpt(condition)} does not fix its first columns",
            advice=f"an index on {words.relation(heap)} ({', '.join(elements)})",
            share=subject.share(node),
            avoidable=_avoidable(subject, node),
            node=node.number,
            relation=heap.relation,
            evidence={
                "index": node.index_name or "",
                "condition": condition,
                "searches": round(node.number_of("Index Searches")),
                "columns": elements,
            },
        )


def _avoidable(subject: Subject, node: Node) -> float | None:
    """Return the part of the blocks beyond one for each row found and a few for each run."""
    measure = subject.measure(node)
    if measure.rows is None or measure.self_blocks is None or not measure.self_blocks.accessed:
        return None
    needed = measure.rows.value + DESCENT_BLOCKS * (node.loops or 1)
    return max(0.0, 1 - needed / measure.self_blocks.accessed)


def _reads_on(subject: Subject, node: Node, tested: Sequence[Term]) -> bool:
    """Whether much of a B-tree is read because an earlier column than those tested is open."""
    index = subject.index(node)
    measure = subject.measure(node)
    if index is None or index.method != "btree" or measure.self_blocks is None or measure.rows is None:
        return False
    if tests_first_columns(index, tested) is not False:
        return False
    beyond = measure.self_blocks.accessed - measure.rows.value
    return beyond >= MIN_BLOCKS * subject.repeats(node)


RULE = Rule("A12", "skip-scan-many-descents", "Index used without its first columns", check)

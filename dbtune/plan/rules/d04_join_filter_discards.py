"""A nested loop compares pairs of rows one by one and drops nearly all of them.

Fires when the Join Filter of a Nested Loop drops 10,000 pairs or more, ten times as many as the join keeps. Not told
here: an inner side that is scanned anew each time (A2), and an OR across tables (D3).

What to do depends on the condition. An equality should have become a hash or merge join: see whether those are switched
off, whether both sides have the same type, and whether the planner expected a handful of rows where many came.
``IS NOT DISTINCT FROM`` can be neither hashed nor looked up in an index: use ``=`` where NULL need not match NULL.
For a range (a moment between the start and the end of another table's row), an index on the moment, so that each range
is looked up once; or one range column with a GiST index in place of start and end.

Source: manual, Using EXPLAIN (``Rows Removed by Join Filter`` is an average over loops), Comparison Functions and
Operators (IS DISTINCT FROM), Range Types (indexing).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.predicate import terms
from dbtune.plan.rules import Rule
from dbtune.plan.rules.a02_repeated_seq_scan import MIN_LOOPS
from dbtune.plan.rules.d03_or_across_relations import crossing_or
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

MIN_REMOVED = 10_000
MIN_TIMES = 10


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Nested Loop"):
        inner = subject.plan.child(node, "Inner")
        kept = subject.measure(node).rows
        removed = subject.dropped(node, "Join Filter")
        if inner is None or kept is None or removed.value - removed.error < MIN_REMOVED:
            continue
        if removed.value < MIN_TIMES * (kept.value + kept.error):
            continue
        if crossing_or(subject, node) is not None or _is_scanned_anew(subject, inner):
            continue
        condition = str(node.raw.get("Join Filter"))
        pairs = removed.value + kept.value
        yield Sign(
            message=f"compares {words.number(pairs)} pairs of rows one by one to keep {words.count(kept)}",
            advice=_advice(subject, node, condition),
            share=subject.share(node) + subject.subtree_share(inner),
            avoidable=removed.value / pairs,
            node=node.number,
            evidence={"pairs": round(pairs), "rows_kept": round(kept.value), "condition": condition},
        )


def _is_scanned_anew(subject: Subject, inner: Node) -> bool:
    return inner.node_type == "Seq Scan" and subject.repeats(inner) >= MIN_LOOPS


def _advice(subject: Subject, join: Node, condition: str) -> str:
    if "IS DISTINCT FROM" in condition:
        return "= in place of IS NOT DISTINCT FROM where NULL need not match NULL, so that the join can be hashed"
    if any(term.operator == "=" for term in terms(condition)):
        return "a hash or merge join on the equality: same type on both sides, enable_hashjoin on, better estimates"
    scans = [n for n in subject.plan.subtree(join) if n.relation is not None]
    found = [(n.relation, columns) for n in scans if (columns := subject.own_columns(n, condition))]
    # Few columns first: a moment that is looked up in a range rather than the range around it.
    found.sort(key=lambda one: len(one[1]))
    if not found:
        return "a join condition that can be hashed or looked up in an index"
    return "an index on " + " or on ".join(f"{table} ({', '.join(columns)})" for table, columns in found)


RULE = Rule("D4", "join-filter-discards", "Nested loop that drops nearly all pairs", check)

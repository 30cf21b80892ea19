"""An index is read from one end because it has the order of ORDER BY, until LIMIT is met by rows that pass the filter.

Fires when an index scan without any index condition (``IS NOT NULL``, which min() and max() add, counts as none) hands
its rows to a LIMIT in their order, and its filter drops 1,000 rows or more, at least nine of ten read. The planner
takes the rows that match to be spread evenly over the index; where all lie at its far end, nearly all of it is read.

What to do: an index that has the filter's columns, fixed to a value, before those of the order: it finds the first
rows that match at once. Where an index on the filter's column exists already, ``ORDER BY column + 0`` keeps the planner
from the wrong one.

Source: manual, 11.4 (indexes and ORDER BY), 14.1 and Row Estimation Examples; planagg.c for min() and max().
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.predicate import index_elements, terms
from dbtune.plan.rules import Rule
from dbtune.plan.rules.a04_weak_index import drops_most, own_filter
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

# What hands on rows in the order in which they come, and stops asking for more when nobody asks it.
_IN_ORDER = frozenset(
    {"Append", "Merge Append", "Gather Merge", "Nested Loop", "Subquery Scan", "Result", "LockRows", "Incremental Sort"}
    | {"Unique", "Group", "WindowAgg", "ProjectSet"}
)


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Index Scan", "Index Only Scan"):
        if node.filter is None or not subject.is_unbounded(node) or not is_limited(subject, node):
            continue
        if not drops_most(subject, node):
            continue
        advice = _advice(subject, node)
        if advice is None:
            continue
        rows = subject.measure(node).rows
        kept = rows.value if rows is not None else 0.0
        read = kept + subject.dropped(node, "Filter").value
        table = words.relation(node)
        some = f"{words.number(kept)} of them" if kept else "none"
        yield Sign(
            message=f"reads {words.plural(read, 'row')} of {table} in the order of {node.index_name} to keep {some}",
            advice=advice,
            share=subject.share(node),
            avoidable=1 - kept / read,
            node=node.number,
            relation=node.relation,
            evidence={"rows_read": round(read), "rows_kept": round(kept), "filter": node.filter},
        )


def is_limited(subject: Subject, node: Node) -> bool:
    """Whether the rows reach a Limit in the order of the index."""
    below = node
    for above in subject.plan.ancestors(node):
        if above.node_type == "Limit":
            return below.parent_relationship == "Outer"
        in_order = above.node_type in _IN_ORDER or above.raw.get("Strategy") == "Sorted"
        if not in_order or below.parent_relationship not in ("Outer", "Member", "Subquery"):
            return False
        below = above
    return False


def _advice(subject: Subject, node: Node) -> str | None:
    """Return what would find the rows at once, None where no plain column is tested (A14 tells that)."""
    table = words.relation(node)
    condition = own_filter(node)
    index = subject.index(node)
    order = list(index.columns) if index is not None else []
    using = f" USING {index.method}" if index is not None and index.method != "btree" else ""
    tested = [term for term in terms(condition) if term.indexable and term.column is not None]
    fixed = list(dict.fromkeys(str(t.column) for t in tested if t.operator in ("=", "IS NULL", None)))
    if fixed:
        key = ", ".join(fixed + [c for c in order if c not in fixed])
        if not order:
            key += f", and then what {node.index_name} has"
        advice = f"an index on {table}{using} ({key})"
        facts = subject.facts.table(node.relation)
        there = facts.leads(fixed[0]) if facts is not None else None
        if there is not None and order:
            advice += f"; until then ORDER BY {order[0]} + 0, of a number, makes it sort what {there.name} finds"
        return advice
    if tested:
        return f"an index on {table} ({', '.join(index_elements(condition))}), and a sort of the few rows it finds"
    if all("excludes" in (term.obstacle or "") for term in terms(condition)):
        key = ", ".join(order) or f"as {node.index_name}"
        return f"a partial index on {table}{using} ({key}) WHERE {condition}"
    return None


RULE = Rule("A5", "index-for-order-only", "Index read for its order, not for its rows", check)

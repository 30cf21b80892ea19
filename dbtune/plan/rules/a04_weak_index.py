"""An index is used, but most rows that it finds are thrown away by a further condition.

Fires when an index or bitmap scan that has an index condition drops 1,000 rows or more by its filter, at least nine of
ten that the index found. Each of them cost a visit to the table. Row counts that were printed as rounded averages
count for the least that they can mean.

What to do: an index with the filter's columns beside those of the index condition: first the columns fixed to a value,
then one limited to a range. Where the filter only excludes something (``<>``, ``IS NOT NULL``), a partial index with
that condition. Where it tests no plain column, A14 tells what is in the way.

Source: manual, 11.3 (multicolumn indexes), 11.8 (partial indexes) and 14.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.predicate import index_elements, indexable_columns, terms
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

MIN_DROPPED = 1_000
MIN_RATIO = 0.9


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Index Scan", "Index Only Scan", "Bitmap Heap Scan"):
        if node.filter is None or not drops_most(subject, node):
            continue
        index = _index_scan(subject, node)
        if index is not None and subject.is_unbounded(index):
            continue  # A5 and A6 tell that
        # A bitmap of several indexes: its Recheck Cond joins theirs.
        condition = str((index or node).raw.get("Index Cond" if index else "Recheck Cond", ""))
        table = words.relation(node)
        advice = _advice(table, index, condition, own_filter(node))
        if advice is None:
            continue
        rows = subject.measure(node).rows
        kept = rows.value if rows is not None else 0.0
        dropped = subject.dropped(node, "Filter").value
        finder = f"{index.index_name} finds" if index is not None else "its indexes find"
        yield Sign(
            message=f"keeps {words.number(kept)} of {words.plural(kept + dropped, 'row')} that {finder} in {table}",
            advice=advice,
            share=subject.share(node),
            avoidable=dropped / (kept + dropped),
            node=node.number,
            relation=node.relation,
            evidence={
                "rows_found": round(kept + dropped),
                "rows_kept": round(kept),
                "index_condition": condition,
                "filter": node.filter,
                "columns": indexable_columns(node.filter),
            },
        )


def _index_scan(subject: Subject, node: Node) -> Node | None:
    """Return the node that reads the index, None for a bitmap made of several."""
    if node.node_type != "Bitmap Heap Scan":
        return node
    found = [n for n in subject.plan.subtree(node) if n.node_type == "Bitmap Index Scan"]
    return found[0] if len(found) == 1 else None


def drops_most(subject: Subject, node: Node) -> bool:
    """Whether the node's filter drops :data:`MIN_DROPPED` rows and :data:`MIN_RATIO` of all, whatever was rounded."""
    rows = subject.measure(node).rows
    if rows is None:
        return False
    dropped = subject.dropped(node, "Filter")
    least = dropped.value - dropped.error
    return least >= MIN_DROPPED and least >= MIN_RATIO * (least + rows.value + rows.error)


def own_filter(node: Node) -> str:
    """Return the filter as the table's own statements would say it, without the alias that VERBOSE puts before."""
    return (node.filter or "").replace(f"{node.alias}.", "")


def _advice(table: str, index: Node | None, condition: str, filter_: str) -> str | None:
    columns = index_elements(filter_)
    found_by = terms(condition) if condition else []
    if not columns:
        if not all("excludes" in (term.obstacle or "") for term in terms(filter_)):
            return None
        key = f" ({', '.join(index_elements(condition))})" if any(term.indexable for term in found_by) else ""
        return f"a partial index on {table}{key} WHERE {filter_}"
    if found_by and all(term.indexable for term in found_by):
        return f"an index on {table} ({', '.join(index_elements(f'({condition}) AND ({filter_})'))})"
    like = f" like {index.index_name}" if index is not None else f" on {table}"
    return f"an index{like} that holds {', '.join(columns)} as well"


RULE = Rule("A4", "weak-index", "Index that finds far more rows than are kept", check)

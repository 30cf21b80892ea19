"""An OR whose sides look at different tables can only be tested after the join, on every joined pair of rows.

Fires when a Join Filter holds an OR that mentions two tables or more, and it drops 1,000 pairs or more, at least nine
of ten. Such a filter narrows neither table while it is read; where it is the join condition itself, the join can be
neither hashed nor merged.

What to do: one query for each side of the OR, put together with UNION: each side then has its own index and its own
join. UNION also removes equal rows, which the OR would have returned each; where that matters, select a key as well, or
use UNION ALL and exclude in the second query what the first returns. Where both sides of the OR test columns of the
same inner table, an index on each of them serves as well: PostgreSQL combines them (BitmapOr).

Source: manual, Combining Queries (UNION) and Using EXPLAIN (``Join Filter``).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.predicate import Term, terms
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import JOINS, Node

MIN_REMOVED = 1_000
MIN_RATIO = 0.9


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running(*JOINS):
        term = crossing_or(subject, node)
        kept = subject.measure(node).rows
        removed = subject.dropped(node, "Join Filter")
        if term is None or kept is None or removed.value - removed.error < MIN_REMOVED:
            continue
        pairs = removed.value + kept.value
        if removed.value / pairs < MIN_RATIO:
            continue
        is_loop = node.node_type == "Nested Loop"
        inner = subject.plan.child(node, "Inner")
        yield Sign(
            message=f"an OR across tables is tested on {words.number(pairs)} pairs of rows to keep {words.count(kept)}",
            advice=f"a UNION of one query for each side of the OR ({_short(term.text)})",
            share=subject.share(node) + (subject.subtree_share(inner) if is_loop and inner is not None else 0.0),
            avoidable=removed.value / pairs if is_loop else None,
            node=node.number,
            evidence={
                "pairs": round(pairs),
                "rows_kept": round(kept.value),
                "condition": term.text,
                "aliases": sorted(subject.aliases(term.text)),
            },
        )


def crossing_or(subject: Subject, node: Node) -> Term | None:
    """Return the OR across two tables or more that a join tests on each pair, None where it has none."""
    condition = node.raw.get("Join Filter")
    found = terms(condition) if isinstance(condition, str) else []
    return next((t for t in found if t.alternatives and len(subject.aliases(t.text)) > 1), None)


def _short(text: str, limit: int = 90) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


RULE = Rule("D3", "or-across-relations", "OR across tables, tested after the join", check)

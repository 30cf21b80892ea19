"""The filter tests something made of the column, not the column itself, so that an index on the column cannot serve.

Fires when a scan drops 1,000 rows or more, at least nine of ten, and its filter holds a condition that a plain B-tree
index cannot look up: a function or expression over the column, a cast of the column, a pattern without a constant
beginning, an OR of such.

What to do depends on the obstacle. A function or expression: an index on that very expression. A cast: send the
parameter in the column's own type (``::numeric`` on an integer column means that the driver sent a decimal or float).
A pattern such as ``ILIKE '%word%'``: a GIN index with ``gin_trgm_ops`` of pg_trgm, for words of three letters or more.

Source: manual, 11.7 (indexes on expressions), 11.10 (operator classes) and F.35 (pg_trgm).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan.finding import Sign
from dbtune.plan.predicate import Term, terms
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject

MIN_REMOVED = 1_000
MIN_RATIO = 0.9


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan"):
        scanned = subject.scanned(node)
        if node.filter is None or scanned is None or node.relation is None:
            continue
        read, kept = scanned
        if read - kept < MIN_REMOVED or (read - kept) / read < MIN_RATIO:
            continue
        term = obstructed(node.filter)
        if term is None:
            continue
        yield Sign(
            message=f"no plain index can serve {_short(term.text)}: {term.obstacle}",
            advice=_advice(term, node.relation),
            share=subject.share(node),
            avoidable=None if term.is_pattern else 1 - kept / read,
            node=node.number,
            relation=node.relation,
            evidence={
                "condition": term.text,
                "obstacle": term.obstacle or "",
                "rows_read": round(read),
                "rows_kept": round(kept),
            },
        )


def obstructed(condition: str) -> Term | None:
    """Return the condition that only a special index could serve, None where a plain one could serve another."""
    found = terms(condition)
    if any(term.indexable for term in found):
        return None  # A1 and A4 speak of the column that can be indexed
    return next((term for term in found if term.obstacle is not None and _has_cure(term)), None)


def _has_cure(term: Term) -> bool:
    """Whether the condition could be looked up in some index; <> and NOT could not."""
    if term.alternatives:
        return all(_has_cure(one) or one.indexable for one in term.alternatives)
    return term.operand is not None and (term.is_pattern or "excludes" not in (term.obstacle or ""))


def _advice(term: Term, relation: str) -> str:
    if term.is_pattern:
        operands = [one.operand for one in term.alternatives or (term,) if one.operand is not None]
        columns = ", ".join(f"({o}) gin_trgm_ops" for o in dict.fromkeys(operands))
        if len(columns) > 200:
            columns = "each tested expression with gin_trgm_ops"
        return f"with extension pg_trgm: an index on {relation} USING gin ({columns})"
    if term.alternatives:
        return "one index for each side of the OR, which PostgreSQL then combines, or a UNION of the sides"
    if term.obstacle is not None and term.obstacle.startswith("column cast"):
        return f"send the value in the type of {term.column}; else an index on {relation} (({term.operand}))"
    return f"an index on {relation} (({term.operand}))"


def _short(text: str, limit: int = 90) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


RULE = Rule("A14", "non-sargable", "A condition that no plain index can serve", check)

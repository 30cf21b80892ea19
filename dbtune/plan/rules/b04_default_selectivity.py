"""A condition of which the planner knows nothing was taken for a fixed part of the table, and that was far off.

Statistics are of columns. Of a function or expression over a column the planner knows nothing, unless an index or
CREATE STATISTICS is on that expression; of a comparison with a value that is only known later (a subquery's, a
parameter's of a generic plan) it does not know how far the value reaches. Then an equality or a range from both sides
passes 0.5 % of the rows, an inequality a third.

Fires when the filter of a sequential scan holds such a condition, the rows expected are 0.5 % or 33.3 % of the table's,
and ten times as many came, or a tenth; of at least 1,000 rows, expected or real.

What to do: for an expression, an index on it or, from PostgreSQL 14 on, CREATE STATISTICS on it, and ANALYZE. For a
value that is only known later, ask for it first and send it as a parameter.

Source: manual, 14.2 and CREATE STATISTICS; selfuncs.h (DEFAULT_EQ_SEL, DEFAULT_INEQ_SEL, DEFAULT_RANGE_INEQ_SEL,
DEFAULT_MATCH_SEL).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.estimate import misestimates
from dbtune.plan.finding import Sign
from dbtune.plan.predicate import Term, terms
from dbtune.plan.rules import MIN_MS, Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

DEFAULTS = (0.005, 1 / 3)
TOLERANCE = 0.02
"""Of the rows expected: the table may have grown a little since its rows were counted."""

_LATER = re.compile(r"\$\d+|\bInitPlan \d+")  # before 17 an InitPlan's value is printed as $0


def check(subject: Subject) -> Iterator[Sign]:
    for found in misestimates(subject, MIN_MS):
        guessed = guess(subject, found.node)
        if guessed is None:
            continue
        part, term = guessed
        yield Sign(
            message=f"{_shown(term, found.node)} was taken for {100 * part:.2g} % of {words.relation(found.node)} "
            f"for want of statistics: {words.unexpected(found.rows, found.expected)}",
            advice=_advice(term, found.node),
            share=found.share,
            node=found.node.number,
            relation=found.node.relation,
            evidence={
                "condition": term.text,
                "rows": round(found.rows.value),
                "rows_expected": round(found.expected),
                "selectivity": round(part, 4),
            },
            severity=found.severity,
        )


def guess(subject: Subject, node: Node) -> tuple[float, Term] | None:
    """Return the fixed part of the table that a scan's rows were taken for, and the condition to blame; None if not."""
    if node.node_type != "Seq Scan" or node.filter is None:
        return None
    table, measure = subject.facts.table(node.relation), subject.measure(node)
    total = measure.read.value if measure.read is not None else 0.0
    if table is not None and table.reltuples > 0:
        total = table.reltuples * max(1.0, subject.repeats(node))
    unknown = next((term for term in terms(node.filter) if _is_unknown(term)), None)
    for part in DEFAULTS:
        if unknown is not None and abs(measure.estimated_rows - part * total) <= 1 + TOLERANCE * part * total:
            return part, unknown
    return None


def _is_unknown(term: Term) -> bool:
    if term.alternatives or "SubPlan" in term.text:
        return False
    return _is_of_expression(term) or (not term.is_equality and _LATER.search(term.text) is not None)


def _is_of_expression(term: Term) -> bool:
    return term.operand is not None and (term.column is None or "cast" in (term.obstacle or ""))


def _shown(term: Term, node: Node, limit: int = 90) -> str:
    text = term.text.replace(f"{node.alias}.", "")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _advice(term: Term, node: Node) -> str:
    if not _is_of_expression(term):
        return "the value asked for first and sent as a parameter, so that the planner knows it"
    expression = (term.operand or "").replace(f"{node.alias}.", "")
    return (
        f"an index on {node.relation} (({expression})), or from PostgreSQL 14 on CREATE STATISTICS … ON ({expression}) "
        f"FROM {node.relation}; then ANALYZE {node.relation}"
    )


RULE = Rule("B4", "default-selectivity", "A condition without statistics", check)

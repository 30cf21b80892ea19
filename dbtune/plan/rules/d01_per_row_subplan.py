"""A correlated subquery is run anew for every row of the query around it.

Fires when a SubPlan ran 1,000 times or more and it takes a tenth of the time or more. With estimates only, it fires
when the planner expects 1,000 runs that make up a tenth of the cost. A hashed SubPlan runs once, and a NOT IN that is
not hashed is D2's.

What to do: compute the subquery for all rows at once: aggregate its table by the correlated columns in a subquery of
FROM and join the result, or write a join, EXISTS or LATERAL instead. Where only few rows are wanted, apply LIMIT before
the subquery. An index on the correlated columns makes each run cheap, but there will be as many.

Source: manual, LATERAL Subqueries and Subquery Expressions; ``Subplan Name`` and ``Actual Loops`` of EXPLAIN.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.predicate import terms
from dbtune.plan.rules import Rule
from dbtune.plan.rules.d02_unhashed_not_in import is_unhashed_not_in
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

MIN_RUNS = 1_000
MIN_SHARE = 0.1


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.plan.walk():
        above = subject.plan.parent(node)
        if node.parent_relationship != "SubPlan" or node.never_executed or above is None:
            continue
        runs = above.plan_rows if node.loops is None else node.loops
        share = _share(subject, node, runs)
        if runs < MIN_RUNS or share < MIN_SHARE or is_unhashed_not_in(subject, node):
            continue
        columns = _correlated(subject, node)
        by = f" by {', '.join(columns)}" if columns else ""
        verb = "would run" if node.loops is None else "ran"
        yield Sign(
            message=f"the subquery on {_reads(subject, node)} {verb} {words.number(runs)} times, once for each row",
            advice=f"computing it for all rows at once: a join with a subquery in FROM that is grouped{by}, or LATERAL",
            share=share,
            node=node.number,
            evidence={"runs": round(runs), "subplan": node.subplan_name or "", "columns": columns},
        )


def _share(subject: Subject, node: Node, runs: float) -> float:
    """Return the part of the statement that the subquery takes; EXPLAIN's cost of it is that of one run."""
    if node.loops is not None:
        return subject.subtree_share(node)
    whole = subject.plan.root.total_cost
    return min(1.0, runs * node.total_cost / whole) if whole else 0.0


def _reads(subject: Subject, node: Node) -> str:
    tables = [n.relation for n in subject.plan.subtree(node) if n.relation is not None]
    return tables[0] if tables else words.relation(node)


def _correlated(subject: Subject, node: Node) -> list[str]:
    """Return the subquery's columns that are compared with a column of a table outside of it."""
    inside = subject.plan.subtree(node)
    outside = {n.alias for n in subject.plan.nodes} - {n.alias for n in inside}
    columns: list[str] = []
    for scan in inside:
        for key in ("Index Cond", "Recheck Cond", "Filter"):
            for term in terms(str(scan.raw.get(key, ""))):
                if subject.aliases(term.text) & outside:
                    columns += subject.own_columns(scan, term.text)
    return list(dict.fromkeys(columns))


RULE = Rule("D1", "per-row-subplan", "Subquery run once for each row", check)

"""The planner has no statistics of what a function or a CTE returns, and its guess was far off.

Without better knowledge a function is taken to return the ROWS that it was declared with (1,000, or 100 for many of the
built-in ones), unnest 10 elements of an array, and a recursive CTE ten rounds of what it starts with. Conditions on a
materialised CTE are guesses as well.

Fires when a join was planned with the rows of a function in FROM or in the select list, of a recursive CTE, or of a CTE
with a condition, and ten times as many came as expected, or a tenth; of at least 1,000 rows, expected or real.

What to do: for a function of one's own, ALTER FUNCTION … ROWS (or a planner support function); for others and for CTEs,
put the rows into a temporary table and ANALYZE it, where the plan above suffers. A CTE that is read once and changes no
data can be planned as a part of the query: NOT MATERIALIZED.

Source: manual, CREATE FUNCTION (ROWS), 7.8 and 36.18 (support functions); costsize.c, set_function_size_estimates and
set_cte_size_estimates; prepunion.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.estimate import misestimates
from dbtune.plan.finding import Sign
from dbtune.plan.rules import MIN_MS, Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

_FUNCTIONS = frozenset({"Function Scan", "Table Function Scan", "ProjectSet"})
_CTES = frozenset({"Recursive Union", "CTE Scan"})


def check(subject: Subject) -> Iterator[Sign]:
    for found in misestimates(subject, MIN_MS):
        node = found.node
        if not is_guess(node):
            continue
        yield Sign(
            message=f"{_name(node)} returned {words.unexpected(found.rows, found.expected)}",
            advice=_advice(node, found.rows.value / max(1.0, node.loops or 1.0)),
            share=found.share,
            node=node.number,
            evidence={
                "rows": round(found.rows.value),
                "rows_expected": round(found.expected),
                "node_type": node.node_type,
            },
            severity=found.severity,
        )


def is_guess(node: Node) -> bool:
    """Whether nothing but a guess stands behind the rows expected of the node."""
    return node.node_type in _FUNCTIONS | _CTES


def _name(node: Node) -> str:
    if node.node_type == "Recursive Union":
        return f"the recursive CTE {node.cte}" if node.cte else "a recursive CTE"
    return "a function in the select list" if node.node_type == "ProjectSet" else node.label


def _advice(node: Node, rows: float) -> str:
    table = "a temporary table of these rows, analyzed, for the rest of the query"
    name = node.raw.get("Function Name")
    if name is not None and node.raw.get("Schema") != "pg_catalog" and node.filter is None:
        return f"ALTER FUNCTION {name} … ROWS {max(1, round(rows))} if that is typical, or {table}"
    return f"NOT MATERIALIZED, or {table}" if node.node_type == "CTE Scan" else table


RULE = Rule("B7", "function-or-cte-guess", "Rows of a function or CTE guessed wrong", check)

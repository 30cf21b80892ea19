"""A nested loop was chosen for a few outer rows, and many came: its inner side ran for each of them.

Fires when the outer side of a Nested Loop returned ten times the rows expected or more, the inner side ran 1,000 times
or more, and it takes 30 % of the statement or more.

What to do: mend the estimate of the outer side (B1, B4, B5, B6 or B7 names the place where it goes wrong): with the
right number the planner weighs a hash or merge join against it. To see what that would take, run the statement with
enable_nestloop = off, for this statement only. Where statistics cannot know better, the outer rows in a temporary
table, analyzed, or in a MATERIALIZED CTE keep the planner from multiplying the error.

Source: manual, 14.1.2 and 20.7.1 (enable_nestloop); costsize.c, final_cost_nestloop.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.estimate import MISESTIMATE_FACTOR, row_ratio
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject

MIN_LOOPS = 1_000
MIN_SHARE = 0.3


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Nested Loop"):
        outer, inner = subject.plan.child(node, "Outer"), subject.plan.child(node, "Inner")
        if outer is None or inner is None or inner.loops is None:
            continue
        ratio, rows = row_ratio(subject, outer), subject.measure(outer).rows
        share = subject.subtree_share(inner)
        if ratio is None or rows is None or ratio < MISESTIMATE_FACTOR:
            continue
        if inner.loops < MIN_LOOPS or share < MIN_SHARE:
            continue
        expected = subject.measure(outer).estimated_rows
        yield Sign(
            message=f"the nested loop ran {inner.label} {words.number(inner.loops)} times: its outer side returned "
            f"{words.unexpected(rows, expected)}",
            advice=f"a better estimate of {outer.label}, so that another join is weighed; enable_nestloop = off shows "
            "what that takes",
            share=share,
            node=node.number,
            evidence={
                "loops": round(inner.loops),
                "outer_rows": round(rows.value),
                "outer_rows_expected": round(expected),
            },
        )


RULE = Rule("B2", "bad-nested-loop", "Nested loop over more rows than expected", check)

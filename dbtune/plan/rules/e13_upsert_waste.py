"""INSERT ... ON CONFLICT whose rows are nearly all there already.

Fires when 1,000 rows or more ran into a conflict, nine of ten proposed or more.

Each such row is made, its defaults evaluated (sequence numbers are used up) and looked up in the index, to be thrown
away (DO NOTHING) or to become an UPDATE, which writes a new row version even if nothing changes.

What to do: DO NOTHING: leave out what is there before, by ``WHERE NOT EXISTS (SELECT FROM ...)`` in the SELECT that is
inserted. DO UPDATE: add ``WHERE (t.a, t.b) IS DISTINCT FROM (excluded.a, excluded.b)``, so that rows that stay the same
are not written; or UPDATE ... FROM first, then INSERT what is left.

Source: manual, INSERT (ON CONFLICT clause); ``Conflicting Tuples`` of EXPLAIN.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject

MIN_CONFLICTS = 1_000
MIN_RATIO = 0.9


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("ModifyTable"):
        conflicts, inserted = node.number_of("Conflicting Tuples"), node.number_of("Tuples Inserted")
        if conflicts < MIN_CONFLICTS or conflicts / (conflicts + inserted) < MIN_RATIO:
            continue
        does_nothing = node.raw.get("Conflict Resolution") == "NOTHING"
        advice = "leaving out the rows that are there by NOT EXISTS in what is inserted"
        if not does_nothing:
            advice = "WHERE ... IS DISTINCT FROM in DO UPDATE, so that rows that stay the same are not written"
        yield Sign(
            message=f"{words.number(conflicts)} of {words.number(conflicts + inserted)} rows to be inserted into "
            f"{words.relation(node)} were there already",
            advice=advice,
            share=subject.share(node),
            node=node.number,
            relation=node.relation,
            evidence={"conflicts": round(conflicts), "inserted": round(inserted), "does_nothing": does_nothing},
        )


RULE = Rule("E13", "upsert-waste", "Upsert of rows that are there", check)

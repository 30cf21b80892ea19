"""Triggers, those of foreign keys among them, take much of the time of a statement that changes data.

EXPLAIN lists them beside the plan, so that the plan's nodes alone do not show where the time went.

Fires when a trigger takes a fifth of the execution or more; a constraint's trigger only if a call takes 0.1 ms or more,
for with an index a call takes hundredths of that.

What to do for a foreign key: when a referenced row is deleted or its key updated, the referencing table is searched;
without an index that begins with the referencing columns, all of it is read for each row. For other triggers: look at
the function; a trigger FOR EACH STATEMENT with transition tables runs once, and a WHEN condition saves calls.

Source: manual, Foreign Keys, CREATE TRIGGER and EXPLAIN (``Triggers``); tablecmds.c: the name of a foreign key's
trigger ends in ``_a_`` and a number on the referenced table, in ``_c_`` and a number on the referencing one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject

MIN_SHARE = 0.2
MIN_MS_PER_CONSTRAINT_CALL = 0.1
_INDEXED_CALL_MS = 0.02


def check(subject: Subject) -> Iterator[Sign]:
    for trigger in subject.plan.triggers:
        time, calls = float(trigger.get("Time", 0)), float(trigger.get("Calls", 0))
        constraint = trigger.get("Constraint Name")
        share = subject.part(time)
        if share is None or share < MIN_SHARE or calls < 1:
            continue
        if constraint is not None and time / calls < MIN_MS_PER_CONSTRAINT_CALL:
            continue
        advice, lacking = _advice(subject, trigger)
        kind = f"the trigger of constraint {constraint}" if constraint else f"trigger {trigger.get('Trigger Name')}"
        yield Sign(
            message=f"{kind} takes {words.milliseconds(time)} for {words.plural(calls, 'call')}",
            advice=advice,
            share=share,
            avoidable=max(0.0, 1 - _INDEXED_CALL_MS * calls / time) if lacking else None,
            relation=_target(subject, trigger),
            evidence={"trigger_ms": time, "calls": round(calls), "constraint": str(constraint or "")},
        )


def _target(subject: Subject, trigger: Mapping[str, Any]) -> str | None:
    """Return the changed table that has the trigger, with its schema."""
    changed = [n for n in subject.plan.nodes if n.node_type == "ModifyTable"]
    named = [n.relation for n in changed if n.raw.get("Relation Name") == trigger.get("Relation")]
    return (named or [n.relation for n in changed] or [None])[0]


def _advice(subject: Subject, trigger: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the advice, and whether an index is known to be missing."""
    constraint, name = str(trigger.get("Constraint Name", "")), str(trigger.get("Trigger Name", ""))
    if not constraint:
        return "a cheaper trigger function, FOR EACH STATEMENT in place of each row, or a WHEN condition", False
    if "_ConstraintTrigger_a_" not in name:
        return "an index on the columns that the constraint looks up", False
    table = subject.facts.table(_target(subject, trigger))
    keys = table.referenced_by if table is not None else ()
    # A constraint that was not named by hand is called after its table and columns (manual, CREATE TABLE).
    likely = [(t, c) for t, c in keys if constraint.startswith(f"{t.rpartition('.')[2]}_{c[0]}")] or list(keys)
    if len(likely) != 1:
        return f"an index that begins with the referencing columns of {constraint}, unless there is one", False
    referencing, columns = likely[0]
    # The catalog leaves the schema out where the search path finds the table without.
    known = next((t for t in subject.facts.tables.values() if f".{t.name}".endswith(f".{referencing}")), None)
    index = f"an index on {referencing} ({', '.join(columns)})"
    if known is None:
        return f"{index}, unless there is one", False
    if known.leads(columns[0]) is not None:
        return f"a look at what {constraint} sets off: {referencing} has an index that begins with {columns[0]}", False
    return index, True


RULE = Rule("E3", "trigger-cost", "Triggers take much of the time", check)

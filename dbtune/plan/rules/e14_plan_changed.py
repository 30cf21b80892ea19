"""The statement has another plan than in the baseline.

Fires when a baseline is given and the plan's shape differs from the one there: types of nodes, tables, indexes and
joins, not costs, rows or values.

What to do: read what changed below the query in the comparison. A change for the better needs nothing but a new
baseline; an index lost, a sort added or a table scanned anew is worth a look before the change goes out.

Source: manual, 14.1; the plan changes with statistics, settings, indexes and versions.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan.access import shape
from dbtune.plan.arithmetic import analyse
from dbtune.plan.comparison import Direction, compare
from dbtune.plan.finding import Severity, Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject


def check(subject: Subject) -> Iterator[Sign]:
    if subject.before is None or shape(subject.before) == shape(subject.plan):
        return
    changes = compare(analyse(subject.before), subject.analysis)
    worse = [change for change in changes if change.direction is Direction.WORSE]
    told = "; ".join(change.text for change in (worse or changes)[:2]) or "another shape"
    yield Sign(
        message=f"the plan changed: {told}",
        advice="a look at what changed; save a new baseline if it is for the better",
        share=1.0,
        severity=Severity.WARN if worse else Severity.INFO,
        evidence={"changes": [change.text for change in changes]},
    )


RULE = Rule("E14", "plan-changed", "The plan is not that of the baseline", check)

"""Sequences that near their end."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Severity, Sign
from dbtune.health.section import Section
from dbtune.health.span import Kind
from dbtune.health.values.sequence import Sequence


def judge(case: Case, limits: Limits) -> Iterator[Sign]:
    for sequence in case.now.sequences.values():
        used, left = sequence.used, sequence.left
        if used is None or left is None or sequence.cycles or used < limits["warning"]:
            continue
        column = (
            f", {sequence.type_name} column {sequence.of_table}.{sequence.column_name}" if sequence.column_name else ""
        )
        yield Sign(
            object=sequence.full_name,
            severity=Severity.CRITICAL if used >= limits["critical"] else Severity.WARNING,
            message=f"{words.percent(used)} used: at {words.number(sequence.last_value or 0)}, "
            f"{words.plural(left, 'value')} left{_when(case, sequence, left)}{column}",
            action=_action(sequence),
            evidence={
                "last_value": sequence.last_value,
                "largest": sequence.largest if sequence.increment > 0 else sequence.smallest,
                "left": left,
                "used": round(used, 4),
                "column": sequence.column_name,
                "type": sequence.type_name,
            },
            weight=used,
            comment=sequence.comment,
        )


def _when(case: Case, sequence: Sequence, left: int) -> str:
    """Return when it ends at the rate of the span; a single reading has no rate."""
    span = case.span(Section.SEQUENCES)
    counted = case.counted.sequences.get(sequence.full_name)
    if span.kind is Kind.RESET or counted is None or not counted.last_value or not span.seconds:
        return ""
    per_second = counted.last_value / abs(sequence.increment) / span.seconds
    return f", {words.age(left / per_second)} at today's rate"


def _action(sequence: Sequence) -> str:
    if sequence.column_name is None:
        return "ALTER SEQUENCE … AS bigint, and see what stores its values"
    if sequence.column_is_narrower or sequence.type_name in ("integer", "smallint"):
        return (
            "make the column bigint, and those that refer to it: a new column filled in the background and swapped in; "
            "ALTER COLUMN … TYPE rewrites the table under a lock. Negative values give time: MINVALUE and RESTART"
        )
    return "raise its MAXVALUE"


CHECKS = (
    Check(
        id="sequence-exhaustion",
        title="Sequence that nears its end",
        group=Group.TABLES,
        reads=("pg_sequences.last_value, pg_sequence", "pg_attribute.atttypid, pg_depend, pg_attrdef"),
        trigger="`warning` of the values that it and its column's type can hold are used; identity and serial "
        "columns, and defaults with nextval() into a narrower column; sequences that CYCLE are left out",
        severity="critical from `critical` on, else warning",
        why="At the end every insert fails.",
        next_step="A wider column takes long to arrive: begin early.",
        resolved="less of it is used",
        needs=frozenset({Section.SEQUENCES}),
        judge=judge,
        limits=(
            Limit("warning", 0.75, Unit.SHARE, "used is worth a warning"),
            Limit("critical", 0.9, Unit.SHARE, "used is critical"),
        ),
    ),
)

"""What else is worth telling: what could not be seen, what was guessed, what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbtune.index.advice import Unhelped
from dbtune.index.advisor.case import Case, Found
from dbtune.index.advisor.measuring import Measurement

_SHOWN = 5


def warnings(case: Case, found: Found) -> tuple[str, ...]:
    """Return what makes the whole advice less sure."""
    return tuple(_warnings(case, found))


def _warnings(case: Case, found: Found) -> Iterator[str]:
    yield from case.whatif.warnings
    if found.note is not None:
        yield found.note
    read = {
        (str(node.raw.get("Schema", "")), str(node.raw["Relation Name"]))
        for plan in found.plans.values()
        for node in plan.nodes
        if "Relation Name" in node.raw
    }
    for table in case.snapshot.tables:
        if (table.schema, table.name) in read and table.row_security:
            yield f"{table.name} has row-level security: what its policies add is another's for each role"
    unseen = case.snapshot.unseen
    for each in unseen[:_SHOWN]:
        yield f"not seen, and so planned without: {each.what}: {each.why}"
    if len(unseen) > _SHOWN:
        yield f"and {len(unseen) - _SHOWN} more that could not be seen"
    if found.questions and all(question.query.calls is None for question in found.questions):
        yield "no query tells how often it is called: each counts once"


def notes(case: Case, found: Found, told: Sequence[Unhelped], measured: Measurement) -> tuple[str, ...]:
    """Return what is worth knowing beside: of queries that are helped, of foreign keys, of what was cut."""
    said = list(measured.notes)
    without_help = {each.query for each in told}
    for query in sorted(found.candidates.notes):
        if query not in without_help:
            said += [f"{query}: {note}" for note in found.candidates.notes[query]]
    for candidate in found.candidates.candidates:
        if not candidate.queries:
            said += [f"no query asks for {candidate.index.target}; {reason}" for reason in candidate.reasons[:1]]
    if found.candidates.cut:
        said.append(f"{found.candidates.cut:,} further candidates were left out as less promising")
    return tuple(said)

"""From queries to questions: which statement the planner is asked about, with which values, standing for how many.

Each parameter set is a question of its own, and a query's executions are shared evenly among its sets: a capture keeps
frequent, rare and absent values, not how often each was sent. Without values the generic plan is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.index.whatif.protocol import Question
from dbtune.workload.lexer import Unterminated, parameter_count
from dbtune.workload.query import Query

_REDACTED = "redacted"


def questions(queries: Sequence[Query]) -> list[Question]:
    """Return the questions of queries in their order, those of a query in the order of its sets.

    A query that was never called asks nothing.
    """
    return [question for query in queries for question in _of(query)]


def _of(query: Query) -> list[Question]:
    weight = float(query.weight)
    if weight <= 0:
        return []
    if _parameters(query) == 0:
        return [Question(name=query.name, query=query, weight=weight)]
    # hashes in place of values stand at no place of a histogram
    known = [chosen for chosen in query.sets if chosen.provenance != _REDACTED]
    if not known:
        return [Question(name=query.name, query=query, values=None, weight=weight)]
    return [
        Question(
            name=f"{query.name} ({chosen.name})",
            query=query,
            values=chosen.values,
            parameter_set=chosen.name,
            weight=weight / len(known),
        )
        for chosen in known
    ]


def _parameters(query: Query) -> int:
    try:
        return parameter_count(query.statement)
    except Unterminated:
        return 0

"""Does the what-if server plan as the real one does? Both are asked for the workload's plans, with nothing changed.

The real server is asked by plain EXPLAIN in read-only transactions: it plans, and runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtune.errors import ServerError
from dbtune.index.whatif import planning
from dbtune.index.whatif.protocol import Question, WhatIf
from dbtune.plan.parse import parse
from dbtune.plan.tree import Node, Plan
from dbtune.server.connection import is_lost, reason

AGREEMENT = 0.01
"""Costs that differ by less are called the same."""


def mismatches(connection: Connection, whatif: WhatIf, questions: Sequence[Question]) -> Mapping[str, str]:
    """Return, by question, how the plans differ; nothing for a question that the real server refuses.

    :raises ServerError: the connection is lost.
    """
    live = [known.id for known in whatif.known if known.exists]
    found: dict[str, str] = {}
    try:
        for setting in planning.SESSION:
            planning.send(connection, setting)
        connection.commit()
        for question in questions:
            if planning.obstacle(question.query) is not None:
                continue
            real = _plan(connection, question)
            if real is None:
                continue
            answer = whatif.plan(question, live)
            if answer.reason is not None:
                found[question.name] = f"the server plans it, the {whatif.method} does not: {answer.reason}"
                continue
            (other,) = parse(answer.document)
            if (said := _difference(real, other, whatif.method)) is not None:
                found[question.name] = said
    finally:
        if not connection.invalidated:
            connection.rollback()
            planning.send(connection, "RESET ALL")
            connection.commit()
    return found


def _plan(connection: Connection, question: Question) -> Plan | None:
    try:
        planning.send(connection, "SET TRANSACTION READ ONLY")
        document = planning.explain(connection, question)
    except DBAPIError as error:
        if is_lost(error):
            raise ServerError(f"the connection was lost during {question.name}: {reason(error)}") from None
        connection.rollback()
        planning.forget(connection)
        return None
    finally:
        connection.rollback()
    return parse(document)[0]


def _difference(real: Plan, other: Plan, method: str) -> str | None:
    if [_step(n) for n in real.nodes] != [_step(n) for n in other.nodes]:
        return f"the {method} chooses another plan than the server does"
    one, two = real.root.total_cost, other.root.total_cost
    if one > 0 and abs(two - one) > AGREEMENT * one:
        return f"the {method} reckons with a cost of {two:,.2f} where the server does with {one:,.2f}"
    return None


def _step(node: Node) -> tuple[object, ...]:
    raw = node.raw
    return tuple(raw.get(key) for key in ("Node Type", "Join Type", "Relation Name", "Index Name", "Strategy"))

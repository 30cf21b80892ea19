"""Does the what-if server plan as the real one does? Both are asked for the workload's plans, with nothing changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtune.errors import ServerError
from dbtune.index.whatif.comparison import Compared, compare
from dbtune.index.whatif.protocol import Question, WhatIf
from dbtune.server.connection import reason


@dataclass(frozen=True, slots=True)
class SelfTest:
    """How many questions both servers plan, and by question how those plans differ that do."""

    compared: int = 0
    mismatches: Mapping[str, str] = field(default_factory=dict)


def self_test(connection: Connection, whatif: WhatIf, questions: Sequence[Question]) -> SelfTest:
    """Compare the plans of questions that neither server refuses.

    :raises ServerError: the connection is lost.
    """
    try:
        compared = compare(whatif, questions, connection).pairs
    except DBAPIError as error:
        raise ServerError(f"the connection was lost during the self-test: {reason(error)}") from None
    differing = {each.question: said for each in compared if (said := _difference(each, whatif.method)) is not None}
    return SelfTest(len(compared), differing)


def _difference(each: Compared, method: str) -> str | None:
    if not each.same:
        return f"the {method} chooses another plan than the server does"
    if not each.close:
        return f"the {method} reckons with a cost of {each.cost:,.2f} where the server does with {each.real_cost:,.2f}"
    return None

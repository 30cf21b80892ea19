"""Carrying out steps in one transaction, many at once; what the server refuses is noted and stops nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtune.index.whatif.planning import send
from dbtune.index.whatif.twin.schema import Step
from dbtune.server.connection import is_lost, reason

_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Missing:
    """What the twin lacks, and why."""

    kind: str
    schema: str | None
    name: str
    why: str

    def __str__(self) -> str:
        where = f"{self.schema}." if self.schema and self.kind not in ("extension", "schema") else ""
        return f"{self.kind} {where}{self.name}: {self.why}"


class Workshop:
    """Carries out steps on a connection; ``missing`` has what was refused."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.missing: list[Missing] = []

    def run(self, steps: Iterable[Step]) -> None:
        """Carry them out in order."""
        waiting = list(steps)
        for start in range(0, len(waiting), _AT_ONCE):
            self._together(waiting[start : start + _AT_ONCE])

    def attempt(self, statements: Sequence[str]) -> str | None:
        """Carry out statements together or not at all; return what the server says against it."""
        try:
            send(self.connection, ";\n".join(("SAVEPOINT step", *map(_bare, statements), "RELEASE step")))
        except DBAPIError as error:
            if is_lost(error):
                raise
            send(self.connection, "ROLLBACK TO SAVEPOINT step; RELEASE step")
            return reason(error)
        return None

    def _together(self, steps: Sequence[Step]) -> None:
        """Carry out steps with one message to the server; look for the one that is at fault by halves."""
        why = self.attempt([statement for step in steps for statement in step.statements])
        if why is None:
            return
        if len(steps) > 1:
            middle = len(steps) // 2
            self._together(steps[:middle])
            self._together(steps[middle:])
        else:
            self._alone(steps[0], why)

    def _alone(self, step: Step, why: str) -> None:
        if step.plainer and self.attempt(step.plainer) is None:
            return
        if step.quiet:
            for statement in step.statements if len(step.statements) > 1 else ():
                self.attempt((statement,))
            return
        self.missing.append(Missing(step.kind, step.schema, step.name, why))


def _bare(statement: str) -> str:
    return statement.strip().rstrip(";")

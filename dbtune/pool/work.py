"""What one does with a connection between checkout and return, to be done again and again while it is timed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from dbtune.errors import UsageError
from dbtune.plan import explain as plans
from dbtune.server.connection import MARKER
from dbtune.sql import quote_literal
from dbtune.workload.query import Query

STATEMENT_TIMEOUT_MS = 30_000
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """``prepare`` is run once on each connection, ``run`` at each use, with dice that choose what."""

    prepare: Callable[[Connection], None]
    run: Callable[[Connection, random.Random], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """Captured queries as work, as often as they were called; ``skipped`` are those that are not run, with why."""

    work: Work
    names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


def captured(connection: Connection, queries: Sequence[Query]) -> Captured:
    """Return those queries as work that only read, each tried once; one use of a connection runs one of them.

    :raises UsageError: none of them can be run.
    """
    options = plans.Options(warm_up=False)
    chosen: list[Query] = []
    skipped: list[tuple[str, str]] = []
    for query in queries:
        tried = plans.explain(connection, query, plans.choose_set(query), options)
        if tried.status is plans.Status.MEASURED:
            chosen.append(query)
        else:
            skipped.append((query.name, tried.reason or "not run"))
    if not chosen:
        raise UsageError("none of the captured queries can be run: they write, have no values, or the server refuses")
    executes: list[str] = []
    until: list[float] = []
    for number, query in enumerate(chosen):
        every = [_arguments(values.values) for values in query.sets] or [""]
        executes += [f"EXECUTE dbtune_{number}{each}" for each in every]
        until += [max(1, query.weight) / len(every)] * len(every)
    until = list(itertools.accumulate(until))

    def prepare(opened: Connection) -> None:
        for number, query in enumerate(chosen):
            types = f" ({', '.join(query.types)})" if query.types else ""
            _send(opened, f"PREPARE dbtune_{number}{types} AS {query.statement}")
        opened.commit()

    def run(opened: Connection, dice: random.Random) -> None:
        (execute,) = dice.choices(executes, cum_weights=until)  # one draw, which evenly drawn numbers need
        opened.exec_driver_sql(f"{MARKER} {execute}", execution_options={"no_parameters": True}).fetchall()

    return Captured(
        work=Work(prepare=prepare, run=run), names=tuple(query.name for query in chosen), skipped=tuple(skipped)
    )


class Evenly(random.Random):
    """Dice that fill the interval evenly: of n draws any share of it gets its part, give or take a few.

    Fractional parts of multiples of the golden ratio (a Kronecker sequence). What takes long comes as often as it
    should, also within a few seconds, in which chance would have it some 10 % too often or too rarely. Threads may
    share them.
    """

    def __init__(self) -> None:
        super().__init__(0)
        self._turns = itertools.count()

    def random(self) -> float:
        """Return the next number from 0 to below 1."""
        return next(self._turns) * _GOLDEN % 1.0


def statement(text: str) -> Work:
    """Return one statement without parameters as work."""

    def run(opened: Connection, dice: random.Random) -> None:
        opened.exec_driver_sql(f"{MARKER} {text}", execution_options={"no_parameters": True}).fetchall()

    return Work(prepare=lambda opened: None, run=run)


def read_only(opened: Connection) -> None:
    """Make a session fit for timing: it cannot write, and no statement of it runs without an end."""
    _send(opened, "SET default_transaction_read_only = on")
    _send(opened, f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
    opened.commit()


def _arguments(values: Sequence[str | None]) -> str:
    return f" ({', '.join(map(quote_literal, values))})" if values else ""


def _send(opened: Connection, text: str) -> None:
    opened.exec_driver_sql(f"{MARKER} {text}", execution_options={"no_parameters": True})

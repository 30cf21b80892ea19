"""Really running the workload on a copy, before and after the advised indexes are built there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtune.errors import Unsafe
from dbtune.index.advice import Measured
from dbtune.index.definition import Index
from dbtune.index.whatif.planning import send
from dbtune.index.whatif.protocol import Question
from dbtune.index.whatif.real import MARKER, remove_leftovers
from dbtune.plan.explain import Options, Status, explain
from dbtune.server import production
from dbtune.server.connection import Target, connect, is_lost, reason, translated
from dbtune.sql import quote_identifier, quote_literal

TIMES = 3
"""Each query is run so often, after once to warm up; the shortest time counts."""

_PREFIX = "dbtune_measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured, by question. ``notes`` say what could not be, and why."""

    before: Mapping[str, Measured] = field(default_factory=dict)
    after: Mapping[str, Measured] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def measure(
    target: Target,
    questions: Sequence[Question],
    indexes: Sequence[Index],
    *,
    throw_away: bool,
    statement_timeout_ms: int = 300_000,
    progress: Callable[[str], None] = lambda text: None,
) -> Measurement:
    """Run each question on the copy at ``target``, build the indexes, run again, and remove them.

    Statements that change rows are run too, and rolled back. Questions without values are not run.

    :raises Unsafe: nobody said that it is a throw-away copy, or it is marked as production.
    :raises ServerError: it cannot be reached, or the connection is lost.
    """
    if not throw_away:
        raise Unsafe(f"--measure builds indexes and runs the workload on {target}: say --throw-away if that is a copy")
    options = Options(write_ok=True, statement_timeout_ms=statement_timeout_ms)
    notes: dict[str, None] = {}
    with connect(target) as connection, translated(target):
        production.check_not_marked(connection, "--measure")
        remove_leftovers(connection)
        asked = [question for question in questions if question.values is not None]
        before = dict(_run(connection, asked, options, notes, progress, "before"))
        with _built(connection, indexes, notes, progress):
            asked = [question for question in asked if question.name in before]
            after = dict(_run(connection, asked, options, notes, progress, "after"))
    return Measurement(before=before, after=after, notes=tuple(notes))


def _run(
    connection: Connection,
    questions: Sequence[Question],
    options: Options,
    notes: dict[str, None],
    progress: Callable[[str], None],
    when: str,
) -> Iterator[tuple[str, Measured]]:
    for question in questions:
        progress(f"measuring {when}: {question.name}")
        chosen = question.query.parameter_set(question.parameter_set) if question.parameter_set is not None else None
        best: Measured | None = None
        for number in range(TIMES):
            warm = Options(
                write_ok=options.write_ok,
                warm_up=number == 0,
                statement_timeout_ms=options.statement_timeout_ms,
            )
            found = explain(connection, question.query, chosen, warm)
            if found.status is not Status.MEASURED or found.plan is None or found.plan.execution_ms is None:
                notes.setdefault(f"{question.name} was not measured: {found.reason}")
                best = None
                break
            buffers = found.plan.root.buffers
            one = Measured(ms=found.plan.execution_ms, blocks=buffers.accessed if buffers is not None else 0)
            best = one if best is None or one.ms < best.ms else best
        if best is not None:
            yield question.name, best


@contextmanager
def _built(
    connection: Connection, indexes: Sequence[Index], notes: dict[str, None], progress: Callable[[str], None]
) -> Iterator[None]:
    """Build the indexes for the block, and remove them after it."""
    try:
        for number, index in enumerate(indexes):
            progress(f"building {index.target}")
            name = f"{_PREFIX}_{number}"
            where = f"{quote_identifier(index.schema)}.{quote_identifier(name)}"
            try:
                send(connection, "SET LOCAL statement_timeout = 0")
                if any((key.opclass or "").rpartition(".")[2].endswith("_trgm_ops") for key in index.keys):
                    send(connection, "CREATE EXTENSION IF NOT EXISTS pg_trgm")
                send(connection, index.ddl(name=name))
                send(connection, f"COMMENT ON INDEX {where} IS {quote_literal(MARKER)}")
                connection.commit()
                if any(not key.is_column for key in index.keys):
                    send(connection, f"ANALYZE {quote_identifier(index.schema)}.{quote_identifier(index.table)}")
                    connection.commit()
            except DBAPIError as error:
                if is_lost(error):
                    raise
                connection.rollback()
                notes.setdefault(f"{index.chosen_name} could not be built on the copy: {reason(error)}")
        yield
    finally:
        connection.rollback()
        remove_leftovers(connection)

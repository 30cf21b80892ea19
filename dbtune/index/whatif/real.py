"""Asking a throw-away copy: candidates are really built, and switched where the planner looks whether they are valid.

A candidate is not valid (pg_index.indisvalid) except in a transaction that makes it so, plans, and is rolled back.
Building takes the time and the disk that it takes; sizes and plans are the true ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from dbtune import sql
from dbtune.errors import ServerError, Unsafe
from dbtune.index.definition import Index
from dbtune.index.whatif import planning
from dbtune.index.whatif.existing import switchable
from dbtune.index.whatif.protocol import Answer, Known, Question
from dbtune.server import production
from dbtune.server.connection import Target, connect, is_lost, reason, translated
from dbtune.snapshot.value import Snapshot
from dbtune.sql import quote_identifier, quote_literal

METHOD = "real"
MARKER = "made by dbtune to ask what if; it may be dropped at any time"
_PREFIX = "dbtune_whatif"
_TRIGRAMS = ("gin_trgm_ops", "gist_trgm_ops")
_SWITCH = "UPDATE pg_catalog.pg_index SET indisvalid = {valid}, indcheckxmin = false WHERE indexrelid IN ({oids})"


def raise_real(
    target: Target,
    snapshot: Snapshot,
    *,
    throw_away: bool,
    progress: Callable[[str], None] = lambda text: None,
) -> Real:
    """Return the what-if of the copy at ``target``, whose ``snapshot`` tells the indexes that it has.

    What an earlier one left there, because it was killed, is removed.

    :raises Unsafe: nobody said that it is a throw-away copy, it is marked as production, or it is a standby.
    :raises ServerError: it cannot be reached, or the role is no superuser.
    """
    if not throw_away:
        raise Unsafe(
            f"--what-if real builds indexes on {target}: say --throw-away if that is a copy that may be changed"
        )
    opened = ExitStack()
    try:
        connection = opened.enter_context(connect(target))
        with translated(target):
            production.check_not_marked(connection, "--what-if real")
            rights = connection.execute(text(sql.load("whatif_rights"))).mappings().one()
            connection.rollback()
            if rights["standby"]:
                raise Unsafe(f"{target} is a standby: no index can be built there")
            if not rights["superuser"]:
                raise ServerError(f"{target}: --what-if real switches indexes in pg_index, which takes a superuser")
            remove_leftovers(connection)
            return Real(target, connection, opened, snapshot, progress)
    except BaseException:
        opened.close()
        raise


def remove_leftovers(connection: Connection) -> None:
    """Drop the indexes that carry the what-if's mark."""
    rows = connection.execute(text(sql.load("whatif_leftovers")), {"marker": MARKER}).all()
    for schema, name in rows:
        planning.send(connection, f"DROP INDEX IF EXISTS {quote_identifier(schema)}.{quote_identifier(name)}")
    connection.commit()


class Real:
    """See :func:`raise_real`."""

    method = METHOD

    def __init__(
        self,
        target: Target,
        connection: Connection,
        opened: ExitStack,
        snapshot: Snapshot,
        progress: Callable[[str], None],
    ) -> None:
        self.warnings: Sequence[str] = ()
        self.calls = 0
        self._target = target
        self._connection = connection
        self._opened = opened
        self._progress = progress
        self._known: list[Known] = []
        self._ids: dict[Index, int] = {}
        self._oids: dict[int, tuple[int, ...]] = {}
        self._names: dict[tuple[str, str], int] = {}
        self._built: list[tuple[str, str]] = []
        self._extensions: list[str] = []
        for setting in planning.SESSION:
            planning.send(connection, setting)
        connection.commit()
        for each, index in switchable(snapshot):
            self._remember(index, each.schema, each.name, exists=True)

    @property
    def known(self) -> Sequence[Known]:
        """As :class:`dbtune.index.whatif.protocol.WhatIf` has it; pages are counted, not estimated."""
        return tuple(self._known)

    def add(self, indexes: Sequence[Index]) -> Sequence[Known]:
        """Build candidates, each until it is known; one that the server refuses comes back with the reason."""
        found = []
        for number, index in enumerate(indexes, start=1):
            if index not in self._ids:
                self._progress(f"building {number} of {len(indexes)}: {index.target}")
                with translated(self._target):
                    self._build(index)
            found.append(self._known[self._ids[index]])
        return found

    def plan(self, question: Question, live: Collection[int]) -> Answer:
        """Plan with exactly these; see the protocol.

        :raises ServerError: the connection is lost.
        """
        self.calls += 1
        if (why := planning.obstacle(question.query)) is not None:
            return Answer(cost=0.0, used=frozenset(), reason=why)
        try:
            self._switch(set(live))
            document = planning.explain(self._connection, question)
        except DBAPIError as error:
            if is_lost(error):
                raise ServerError(f"{self._target}: the connection was lost: {reason(error)}") from None
            self._connection.rollback()
            planning.forget(self._connection)
            return Answer(cost=0.0, used=frozenset(), reason=reason(error))
        finally:
            self._connection.rollback()
        return Answer(
            cost=float(document["Plan"]["Total Cost"]), used=planning.used(document, self._names), document=document
        )

    def close(self) -> None:
        """Drop what was built, and the extensions that were created for it."""
        with self._opened, translated(self._target):
            self._connection.rollback()
            while self._built:
                schema, name = self._built[-1]
                planning.send(
                    self._connection, f"DROP INDEX IF EXISTS {quote_identifier(schema)}.{quote_identifier(name)}"
                )
                self._connection.commit()
                self._built.pop()
            while self._extensions:
                planning.send(self._connection, f"DROP EXTENSION IF EXISTS {quote_identifier(self._extensions.pop())}")
                self._connection.commit()

    def _switch(self, live: set[int]) -> None:
        """Make valid what is to be, and invalid what is not, in the transaction that this begins."""
        on = [oid for each in self._known if not each.exists and each.id in live for oid in self._oids[each.id]]
        off = [oid for each in self._known if each.exists and each.id not in live for oid in self._oids[each.id]]
        for valid, oids in (("true", on), ("false", off)):
            if oids:
                planning.send(self._connection, _SWITCH.format(valid=valid, oids=", ".join(map(str, oids))))

    def _build(self, index: Index) -> None:
        """Build one, and leave it invalid."""
        name = f"{_PREFIX}_{len(self._known)}"
        where = f"{quote_identifier(index.schema)}.{quote_identifier(name)}"
        try:
            self._provide(index)
            planning.send(self._connection, "SET LOCAL statement_timeout = 0")
            planning.send(self._connection, index.ddl(name=name))
            planning.send(self._connection, f"COMMENT ON INDEX {where} IS {quote_literal(MARKER)}")
            known = self._remember(index, index.schema, name)
            oids = ", ".join(map(str, self._oids[known.id]))
            planning.send(self._connection, _SWITCH.format(valid="false", oids=oids))
            self._built.append((index.schema, name))
            self._connection.commit()
        except DBAPIError as error:
            self._connection.rollback()
            if is_lost(error):
                raise
            self._ids[index] = len(self._known)
            self._known.append(Known(id=len(self._known), index=index, pages=0, reason=reason(error)))
        except BaseException:
            self._connection.rollback()
            raise

    def _provide(self, index: Index) -> None:
        """Create the extension of trigrams on the copy where the index needs it and it is not there."""
        if not any((key.opclass or "").rpartition(".")[2] in _TRIGRAMS for key in index.keys):
            return
        there = self._connection.exec_driver_sql("SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'pg_trgm'")
        if there.first() is None:
            planning.send(self._connection, "CREATE EXTENSION pg_trgm")
            self._connection.commit()
            self._extensions.append("pg_trgm")

    def _remember(self, index: Index, schema: str, name: str, *, exists: bool = False) -> Known:
        rows = self._connection.execute(text(sql.load("whatif_index")), {"schema": schema, "name": name}).all()
        number = len(self._known)
        why = None if rows else "it is in the snapshot, but not on this server"
        known = Known(id=number, index=index, pages=sum(row.pages for row in rows), exists=exists, reason=why)
        self._ids[index] = number
        self._oids[number] = tuple(row.oid for row in rows)
        self._names |= {(row.nspname, row.relname): number for row in rows}
        self._known.append(known)
        return known

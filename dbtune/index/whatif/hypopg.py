"""Asking a server on which HypoPG is created: hypothetical indexes, in this session alone, planned by plain EXPLAIN.

HypoPG knows btree, hash, BRIN and bloom. It does not know how duplicates are packed, nor how high a tree is, so its
indexes are larger than real ones and small look-ups cheaper. From 1.4 on it can hide indexes that are there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from dbtune import sql
from dbtune.errors import ServerError
from dbtune.index.definition import Index
from dbtune.index.size import estimate
from dbtune.index.whatif import planning
from dbtune.index.whatif.existing import switchable
from dbtune.index.whatif.protocol import Answer, Known, Question
from dbtune.server.connection import Target, connect, is_lost, reason, translated
from dbtune.snapshot.value import ExistingIndex, Snapshot
from dbtune.sql import quote_identifier, quote_literal

METHOD = "hypopg"
_HIDES = (1, 4)


def raise_hypopg(target: Target, snapshot: Snapshot) -> HypoPG:
    """Return the what-if of the server at ``target``; ``snapshot`` tells the indexes that it has, and sizes.

    :raises ServerError: it cannot be reached, or HypoPG is not created in that database.
    """
    opened = ExitStack()
    try:
        connection = opened.enter_context(connect(target))
        with translated(target):
            found = connection.execute(text(sql.load("hypopg_extension"))).one_or_none()
            connection.rollback()
            if found is None:
                raise ServerError(
                    f"{target}: HypoPG is not there; install it, run CREATE EXTENSION hypopg, or leave out --what-if"
                )
            return HypoPG(target, connection, opened, snapshot, str(found.extversion), str(found.nspname))
    except BaseException:
        opened.close()
        raise


class HypoPG:
    """See :func:`raise_hypopg`."""

    method = METHOD

    def __init__(
        self,
        target: Target,
        connection: Connection,
        opened: ExitStack,
        snapshot: Snapshot,
        version: str,
        schema: str,
    ) -> None:
        self.calls = 0
        self._target = target
        self._connection = connection
        self._opened = opened
        self._snapshot = snapshot
        self._schema = quote_identifier(schema)
        self._known: list[Known] = []
        self._ids: dict[Index, int] = {}
        self._made: dict[int, tuple[int, str]] = {}  # by id, of those that are there now: the OID and the name
        self._hidden: set[int] = set()
        self._oids: dict[int, tuple[int, ...]] = {}
        self._names: dict[tuple[str, str], int] = {}
        self.warnings: Sequence[str] = _warnings(version)
        for setting in planning.SESSION:
            planning.send(connection, setting)
        planning.send(connection, f"SELECT {self._schema}.hypopg_reset()")
        connection.commit()
        if _number(version) >= _HIDES:
            for each, index in switchable(snapshot):
                self._remember_existing(each, index)
            connection.rollback()

    @property
    def known(self) -> Sequence[Known]:
        """As the protocol has it; pages of candidates are dbtune's own estimate."""
        return tuple(self._known)

    def add(self, indexes: Sequence[Index]) -> Sequence[Known]:
        """Try each candidate once; one that HypoPG refuses comes back with the reason."""
        found = []
        with translated(self._target):
            for index in indexes:
                if index not in self._ids:
                    self._try(index)
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
            planning.send(self._connection, "SET TRANSACTION READ ONLY")
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
        hypothetical = {name: each for each, (_, name) in self._made.items()}
        used = planning.used(document, self._names) | planning.used_by_name(document, hypothetical)
        return Answer(cost=float(document["Plan"]["Total Cost"]), used=used, document=document)

    def close(self) -> None:
        """End the session, and with it all that it made."""
        self._opened.close()

    def _switch(self, live: set[int]) -> None:
        for each in [each for each in self._made if each not in live]:
            planning.send(self._connection, f"SELECT {self._schema}.hypopg_drop_index({self._made[each][0]})")
            del self._made[each]
        for known in self._known:
            if known.exists:
                self._hide(known.id, hidden=known.id not in live)
            elif known.id in live and known.id not in self._made and known.reason is None:
                self._made[known.id] = self._create(known.index)

    def _hide(self, each: int, *, hidden: bool) -> None:
        if (each in self._hidden) == hidden:
            return
        function = "hypopg_hide_index" if hidden else "hypopg_unhide_index"
        for oid in self._oids[each]:
            planning.send(self._connection, f"SELECT {self._schema}.{function}({oid})")
        (self._hidden.add if hidden else self._hidden.discard)(each)

    def _create(self, index: Index) -> tuple[int, str]:
        made = planning.send(
            self._connection,
            f"SELECT indexrelid, indexname FROM {self._schema}.hypopg_create_index({quote_literal(index.ddl())})",
        )
        return int(made[0]), str(made[1])

    def _try(self, index: Index) -> None:
        number = len(self._known)
        why: str | None = None
        pages = 0
        table = self._snapshot.table(*index.relation)
        try:
            oid, _ = self._create(index)
            planning.send(self._connection, f"SELECT {self._schema}.hypopg_drop_index({oid})")
        except DBAPIError as error:
            if is_lost(error):
                raise
            why = reason(error).removeprefix("hypopg: ")
        self._connection.rollback()
        if table is None:
            why = why or "its table is not in the snapshot"
        elif why is None:
            pages = max(1, estimate(index, table, self._snapshot).pages)
        self._ids[index] = number
        self._known.append(Known(id=number, index=index, pages=pages, reason=why))

    def _remember_existing(self, existing: ExistingIndex, index: Index) -> None:
        rows = self._connection.execute(
            text(sql.load("whatif_index")), {"schema": existing.schema, "name": existing.name}
        ).all()
        number = len(self._known)
        why = None if rows else "it is in the snapshot, but not on this server"
        pages = sum(row.pages for row in rows)
        self._known.append(Known(id=number, index=index, pages=pages, exists=True, reason=why))
        self._ids[index] = number
        self._oids[number] = tuple(row.oid for row in rows)
        self._names |= {(row.nspname, row.relname): number for row in rows}


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _warnings(version: str) -> tuple[str, ...]:
    said = [
        f"planned with HypoPG {version}: it takes indexes for larger than they are (1.4 to 12 times in the benchmark)"
        " and small look-ups for cheaper; sizes here are dbtune's own estimate"
    ]
    if _number(version) < _HIDES:
        said.append(
            f"HypoPG {version} cannot hide the indexes that are there (1.4 can): none of them is thought away,"
            " and none can be said to be superfluous"
        )
    return tuple(said)

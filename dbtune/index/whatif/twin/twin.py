"""Asking the twin: a server of our own that has production's schema, statistics and sizes, and none of its rows.

Nothing but plain EXPLAIN is ever sent to it, in transactions that are read-only by then and rolled back.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtune.errors import EmbeddedError, ServerError
from dbtune.index.definition import Index
from dbtune.index.whatif import planning
from dbtune.index.whatif.existing import switchable
from dbtune.index.whatif.protocol import Answer, Known, Question
from dbtune.index.whatif.twin import cluster, locale, model, programs
from dbtune.index.whatif.twin.candidates import Candidates
from dbtune.index.whatif.twin.cluster import Cluster
from dbtune.index.whatif.twin.files import Files
from dbtune.index.whatif.twin.pages import NotAsExpected
from dbtune.index.whatif.twin.storage import Relation, Storage
from dbtune.index.whatif.twin.switches import Switches
from dbtune.server import binaries
from dbtune.server.binaries import Binaries
from dbtune.server.connection import connect, is_lost, reason, translated
from dbtune.snapshot.value import Snapshot

METHOD = "twin"
_LIMITS = ("SET statement_timeout = 10000", "SET lock_timeout = 2000")
_NO_NAMES = ("setting", "statistics of", "extended statistics", "index", "constraint", "foreign key", "check")
"""What no query names."""

_log = logging.getLogger(__name__)


def raise_twin(
    snapshot: Snapshot,
    *,
    bindir: Path | None = None,
    folder: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Twin:
    """Return a server that plans as the ``snapshot``'s does; the caller closes it.

    It runs the programs in ``bindir``, else those of the same major version if they are found, else those of the
    embedded PostgreSQL, which a warning tells. Its folder is made in ``folder``, the system's temporary one by default,
    can be entered by its owner only, for there are real values in it, and is gone when the twin is closed or this
    process ends in whatever way. ``settings`` are added to the server's own.

    :raises EmbeddedError: the server cannot be made or started.
    """
    found = binaries.at(bindir.absolute()) if bindir is not None else programs.find(snapshot.major)
    return Twin(snapshot, found, folder, settings or {})


class Twin:
    """See :func:`raise_twin`."""

    method = METHOD

    def __init__(self, snapshot: Snapshot, found: Binaries, folder: Path | None, settings: Mapping[str, str]) -> None:
        self.calls = 0
        self._snapshot = snapshot
        self._programs = found
        self._folder = folder
        self._settings = settings
        self._known: list[Known] = []
        self._ids: dict[Index, int] = {}
        self._existing = switchable(snapshot)
        self._opened = ExitStack()
        self._raise()

    @property
    def known(self) -> Sequence[Known]:
        """As the protocol has it; pages of candidates are estimated, of others those of the snapshot."""
        return tuple(self._known)

    @property
    def warnings(self) -> Sequence[str]:
        """What makes its answers less sure, a line each: another version or locale, what it lacks."""
        return tuple(self._warnings)

    @property
    def cluster(self) -> Cluster:
        """The server."""
        return self._cluster

    @property
    def connection(self) -> Connection:
        """The connection on which it is asked; nothing else may be sent on it that reads a table."""
        return self._connection

    def add(self, indexes: Sequence[Index]) -> Sequence[Known]:
        """Make candidates, all at once; one that cannot be made comes back with the reason.

        :raises ServerError: the server is lost, twice.
        """
        fresh = [index for index in dict.fromkeys(indexes) if index not in self._ids]
        if fresh:
            with translated(self._cluster.target):
                try:
                    self._make(fresh)
                except DBAPIError as error:
                    if not is_lost(error):
                        raise
                    self._rebuild(error)
                    self._make(fresh)
        return [self._known[self._ids[index]] for index in indexes]

    def plan(self, question: Question, live: Collection[int]) -> Answer:
        """Plan with exactly these; see the protocol. A server that is lost is made again, once.

        :raises ServerError: the server is lost, twice.
        """
        self.calls += 1
        if (why := planning.obstacle(question.query)) is not None:
            return Answer(cost=0.0, used=frozenset(), reason=why)
        try:
            return self._plan(question, live)
        except DBAPIError as error:
            self._rebuild(error)
        with translated(self._cluster.target):
            return self._plan(question, live)

    def resize(self, ids: Collection[int], factor: float) -> None:
        """Make candidates so many times as large as estimated; 1 makes them as they were. Heights stay.

        :raises ServerError: the server is lost.
        """
        trees = (self._switches.candidates.get(each, ()) for each in ids)
        with translated(self._cluster.target):
            self._storage.resize([each.oid for tree in trees for each in tree if each.kind == "i"], factor)

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self._opened.close()

    def __enter__(self) -> Twin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _raise(self) -> None:
        """Start a server, make the model in it, and the switches of the indexes that exist."""
        try:
            self._cluster, warning = self._start()
            self._opened.callback(self._cluster.stop)
            target = self._cluster.target
            with translated(target):
                self._connection = self._opened.enter_context(connect(target))
                self._opened.callback(_discard, self._connection)
                self._storage = Storage(self._connection, self._files())
                self._model = model.make(self._connection, self._snapshot, self._storage)
                for setting in (*planning.SESSION, *_LIMITS):
                    planning.send(self._connection, setting)
                self._connection.commit()
        except BaseException:
            self._opened.close()
            raise
        self._warnings = [*self._version_warning(), *([warning] if warning else []), *self._model.warnings]
        self._switches = Switches(self._connection)
        self._names: dict[tuple[str, str], int] = {}
        relations = self._storage.relations()
        self._connection.rollback()
        self._take_in_existing(relations)
        self._candidates = Candidates(
            self._connection,
            self._storage,
            self._model.snapshot,
            self._model.relations,
            taken={each.oid for each in relations.values() if each.heap is not None},
        )

    def _take_in_existing(self, relations: Mapping[int, Relation]) -> None:
        """Make the indexes that exist known, those of partitions with their parents', and switchable."""
        indexes = {(i.schema, i.name): i for table in self._snapshot.tables for i in table.indexes}
        children: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for name, index in indexes.items():
            if index.parent is not None:
                children.setdefault(index.parent, []).append(name)
        for number, (existing, definition) in enumerate(self._existing):
            names, waiting = [], [(existing.schema, existing.name)]
            while waiting:
                names.append(waiting.pop())
                waiting += children.get(names[-1], [])
            tree = tuple(relations[self._model.relations[name]] for name in names if name in self._model.relations)
            self._switches.existing[number] = tree
            self._names |= {(each.schema, each.name): number for each in tree}
            if number == len(self._known):
                pages = sum(indexes[name].pages for name in names)
                why = None if tree else self._why_missing(existing.name)
                self._known.append(Known(id=number, index=definition, pages=pages, exists=True, reason=why))
                self._ids[definition] = number

    def _start(self) -> tuple[Cluster, str | None]:
        """Start a server in the best locale that can be had."""
        tried: EmbeddedError | None = None
        for choice in locale.choices(self._snapshot, self._programs.major):
            try:
                started = cluster.start(
                    self._programs, choice.options, folder=self._folder, settings=self._all_settings()
                )
                return started, choice.warning
            except EmbeddedError as error:
                tried = error
        assert tried is not None
        raise tried

    def _all_settings(self) -> dict[str, str]:
        relations = sum(1 + len(table.indexes) for table in self._snapshot.tables)
        # one transaction makes all of them: a lock for each with its TOAST table, row type aside
        return {"max_locks_per_transaction": str(max(256, 4 * relations // 8)), **self._settings}

    def _files(self) -> Files:
        path = planning.send(
            self._connection,
            "SELECT 'base/' || oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()",
        )
        self._connection.rollback()
        return Files(self._cluster.data / str(path[0]), self._cluster.owner)

    def _version_warning(self) -> list[str]:
        if self._programs.major == self._snapshot.major:
            return []
        return [
            f"approximate: planned by PostgreSQL {self._programs.major}, for the programs of production's"
            f" {self._snapshot.major} were not found here (--pg-bindir names their folder)"
        ]

    def _why_missing(self, name: str) -> str:
        for each in self._model.missing:
            if each.name == name:
                return f"the twin lacks it: {each.why}"
        return "the twin lacks it"

    def _make(self, indexes: Sequence[Index]) -> None:
        first = len(self._known)
        numbered = list(enumerate(indexes, start=first))
        made = list(self._candidates.make(numbered))
        for (number, index), each in zip(numbered, made, strict=True):
            self._known.append(Known(id=number, index=index, pages=each.pages, reason=each.reason))
            self._ids[index] = number
            self._remember(number, each.relations)

    def _remember(self, number: int, relations: tuple[Relation, ...]) -> None:
        if relations:
            self._switches.candidates[number] = relations
            self._names |= {(each.schema, each.name): number for each in relations}

    def _plan(self, question: Question, live: Collection[int]) -> Answer:
        """Plan once.

        :raises sqlalchemy.exc.DBAPIError: the connection is lost.
        """
        wanted = set(live)
        try:
            self._switches.prepare(wanted)
            self._switches.switch(wanted)
            document = planning.explain(self._connection, question)
        except DBAPIError as error:
            if is_lost(error):
                raise
            self._connection.rollback()
            planning.forget(self._connection)
            return Answer(cost=0.0, used=frozenset(), reason=self._told(reason(error), question))
        finally:
            with suppress(DBAPIError):
                self._connection.rollback()
        return Answer(
            cost=float(document["Plan"]["Total Cost"]), used=planning.used(document, self._names), document=document
        )

    def _told(self, said: str, question: Question) -> str:
        """Return the server's refusal with what the twin lacks, where that is the reason."""
        words = set(re.findall(r"\w+", question.query.statement.lower()))
        missing = [each for each in self._model.missing if each.kind not in _NO_NAMES]
        named = [each for each in missing if each.name.partition("(")[0].lower() in words]
        if not named and "does not exist" in said:
            named = [each for each in missing if each.kind == "extension"]
        return f"{said} (the twin lacks {named[0]})" if named else said

    def _rebuild(self, error: DBAPIError) -> None:
        """Make all anew after the server was lost: what a crash leaves is never used again."""
        _log.warning("the twin was lost (%s) and is made again", reason(error))
        self._opened.close()
        self._opened = ExitStack()
        self._raise()
        candidates = [(known.id, known.index) for known in self._known if not known.exists]
        with translated(self._cluster.target):
            for (number, _), each in zip(candidates, self._candidates.make(candidates), strict=True):
                self._remember(number, each.relations)
            self.check()

    def check(self) -> None:
        """Make sure that the files are still as they were made.

        :raises ServerError: a btree has lost its height, which would change costs.
        """
        try:
            self._storage.check()
        except NotAsExpected as error:
            raise ServerError(f"the twin is damaged: {error}") from None


def _discard(connection: Connection) -> None:
    with suppress(DBAPIError):
        connection.rollback()

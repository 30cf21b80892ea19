"""Somebody has to be waited for; and time limits that would end the wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress

import psycopg2

from dbtune.migration.name import qualified
from dbtune.migration.verify.cluster import Cluster
from dbtune.migration.verify.injections.fault import Act, Fault
from dbtune.migration.verify.process import Ended
from dbtune.migration.verify.scene import Hold, NotMet, Scene
from dbtune.server.connection import MARKER

_PATIENCE_S = 3.0
_PAUSE_S = 0.005
BESIDE = "dbtune_beside"
"""A table of somebody else's in the same schema."""


def open_writer(scene: Scene) -> Iterator[list[Ended]]:
    """Keep a transaction open that wrote to the table, and see whether other writes get through meanwhile."""
    with scene.writer(scene.table) as writer:
        client = scene.start()
        waits = scene.waiting(client) is not None
        first = write(scene.cluster, scene.table)
        with Writes(scene.cluster, scene.table) as writes:
            writer.release()
            ended = client.end()
        if first is None:
            scene.problems.append("holds up every write behind it for as long as it waits for an open transaction")
        else:
            scene.notes.append(f"a write took {max(first, writes.longest) * 1000:.0f} ms at most")
        if not waits:
            scene.notes.append("it did not wait")
        yield [ended]


def over_budget(scene: Scene) -> Iterator[list[Ended]]:
    """Keep that transaction open for longer than ``--lock-budget``."""
    if not scene.is_apply:
        raise NotMet("plain Alembic has no budget: it waits for as long as it takes")
    with scene.writer():
        yield [scene.start(lock_budget="1s").end()]


def waits_for(hold: Callable[[Scene], AbstractContextManager[Hold]]) -> Act:
    """Return what keeps something open until the upgrade has come to wait for it, and then lets it go on."""

    def act(scene: Scene) -> Iterator[list[Ended]]:
        with hold(scene) as held:
            client = scene.start()
            if scene.waiting(client) is None:
                scene.notes.append("it did not wait")
            held.release()
            yield [client.end()]

    return act


def reader_elsewhere(scene: Scene) -> AbstractContextManager[Hold]:
    """A transaction with a snapshot that reads another table."""
    beside = qualified(scene.subject.table.schema, BESIDE)
    return scene.hold("BEGIN ISOLATION LEVEL REPEATABLE READ", f"SELECT count(*) FROM {beside}")


def vacuum(scene: Scene) -> AbstractContextManager[Hold]:
    """The lock that VACUUM and ANALYZE hold on a table."""
    return scene.hold(f"LOCK TABLE {scene.table} IN SHARE UPDATE EXCLUSIVE MODE")


def prepared(scene: Scene) -> Iterator[list[Ended]]:
    """Leave a prepared transaction behind that wrote to the table, until the upgrade waits for it."""
    name = "dbtune forgotten"
    with scene.writer() as writer:
        writer.run(f"{MARKER} PREPARE TRANSACTION '{name}'")
    try:
        client = scene.start()
        if scene.waiting(client) is None:
            scene.notes.append("it did not wait")
    finally:
        with scene.cluster.session() as run:
            run(f"{MARKER} ROLLBACK PREPARED '{name}'")
    yield [client.end()]


def time_limits(scene: Scene) -> Iterator[list[Ended]]:
    """Give the role short limits, and let the upgrade wait for longer; they stay when it is run again."""
    scene.limit(lock_timeout="300ms", statement_timeout="500ms")
    with scene.writer() as writer:
        client = scene.start()
        scene.waiting(client, longer_than=1.0)
        writer.release()
        yield [client.end()]


def write(cluster: Cluster, table: str) -> float | None:
    """Take a writer's lock on the table and give it back: return the seconds it took, None if it was not had."""
    began = time.monotonic()
    with cluster.session() as run:
        try:
            run(
                f"{MARKER} BEGIN; SET LOCAL lock_timeout = '{_PATIENCE_S:.0f}s';"
                f" LOCK TABLE {table} IN ROW EXCLUSIVE MODE; COMMIT"
            )
        except psycopg2.errors.LockNotAvailable:
            return None
    return time.monotonic() - began


class Writes:
    """Short writes, one after the other, while the block runs; ``longest`` is what one took, in seconds."""

    def __init__(self, cluster: Cluster, table: str) -> None:
        self.longest = 0.0
        self._cluster = cluster
        self._table = table
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Writes:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        with suppress(psycopg2.Error), self._cluster.session() as run:
            while not self._over.wait(_PAUSE_S):
                began = time.monotonic()
                run(f"{MARKER} BEGIN; LOCK TABLE {self._table} IN ROW EXCLUSIVE MODE; COMMIT")
                self.longest = max(self.longest, time.monotonic() - began)


FAULTS = (
    Fault(name="open-writer", says="open writer; do others get through", act=open_writer),
    Fault(name="writer-over-budget", says="open writer outlasts the budget", act=over_budget),
    Fault(name="open-reader", says="open reader of another table", act=waits_for(reader_elsewhere)),
    Fault(name="vacuum", says="VACUUM of the table", act=waits_for(vacuum)),
    Fault(name="prepared-transaction", says="prepared transaction left behind", act=prepared),
    Fault(name="time-limits", says="role's lock_ and statement_timeout", act=time_limits),
)

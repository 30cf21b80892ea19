"""Something bears the index's name already: what a build left, or a thing of somebody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg2

from dbtune.migration.name import qualified, quoted
from dbtune.migration.verify.injections.fault import Act, Fault
from dbtune.migration.verify.injections.waits import BESIDE, reader_elsewhere
from dbtune.migration.verify.inventory import Thing
from dbtune.migration.verify.process import Ended
from dbtune.migration.verify.scene import NotMet, Scene
from dbtune.server.connection import MARKER
from dbtune.sql import quote_literal

_AWAY = "dbtune_moved_away"


def not_ready(scene: Scene) -> Iterator[list[Ended]]:
    """Leave the very index INVALID, as a build does that was cut short before its scan."""
    with scene.writer():
        fail_to_build(scene, _wanted(scene).definition or "")
    yield [upgrade(scene)]


def ready(scene: Scene) -> Iterator[list[Ended]]:
    """Leave the very index INVALID and written to, as a build does that was cut short at its end."""
    with reader_elsewhere(scene):
        fail_to_build(scene, _wanted(scene).definition or "")
    yield [upgrade(scene)]


def upgrade(scene: Scene) -> Ended:
    """Run the revision, and return how that ended."""
    return scene.start().end()


def taken_by(make: Callable[[Scene, Thing], None], move: str, run_it: Callable[[Scene], Ended] = upgrade) -> Act:
    """Return what lets another thing have the name, and moves it away by ALTER before the second run."""

    def act(scene: Scene) -> Iterator[list[Ended]]:
        wanted = _wanted(scene)
        make(scene, wanted)
        scene.is_foreign(wanted.schema, wanted.name)
        yield [run_it(scene)]
        with scene.cluster.session() as run:
            ((oid,),) = run(f"{MARKER} SELECT pg_catalog.to_regclass({quote_literal(wanted.full_name)})::oid")
            if oid in scene.foreign:  # still there
                run(f"{MARKER} ALTER {move} {wanted.full_name} RENAME TO {_AWAY}")

    return act


def other_definition_invalid(scene: Scene, wanted: Thing) -> None:
    """An INVALID index on the same table that is defined in another way."""
    with scene.writer():
        fail_to_build(scene, _other(wanted, scene.built_on))


def other_definition(scene: Scene, wanted: Thing) -> None:
    """A valid index on the same table that is defined in another way."""
    _send(scene, _other(wanted, scene.built_on))


def other_table_invalid(scene: Scene, wanted: Thing) -> None:
    """An INVALID index on another table."""
    beside = qualified(wanted.schema, BESIDE)
    with scene.hold(f"LOCK TABLE {beside} IN ROW EXCLUSIVE MODE"):
        fail_to_build(scene, _other(wanted, beside))


def table(scene: Scene, wanted: Thing) -> None:
    """A table of the name."""
    _send(scene, f"CREATE TABLE {wanted.full_name} (id integer)")


def view(scene: Scene, wanted: Thing) -> None:
    """A view of the name."""
    _send(scene, f"CREATE VIEW {wanted.full_name} AS SELECT 1 AS one")


def fail_to_build(scene: Scene, definition: str) -> None:
    """Begin a build CONCURRENTLY that gives up where it has to wait, and leaves its index.

    :raises NotMet: it got done.
    """
    with scene.cluster.session() as run:
        run(f"{MARKER} SET lock_timeout = '50ms'")
        try:
            run(f"{MARKER} {definition.replace(' INDEX ', ' INDEX CONCURRENTLY ', 1)}")
        except psycopg2.errors.LockNotAvailable:
            return
    raise NotMet("the build that was to leave an index INVALID got done")


def _other(wanted: Thing, table: str) -> str:
    return f"CREATE INDEX {quoted(wanted.name)} ON {table} USING btree ((1))"


def _send(scene: Scene, statement: str) -> None:
    with scene.cluster.session() as run:
        run(f"{MARKER} {statement}")


def _wanted(scene: Scene) -> Thing:
    found = scene.subject.index
    if found is None:
        raise NotMet("the revision makes no index by CREATE INDEX on an ordinary table")
    return found


FAULTS = (
    Fault(name="leftover", says="INVALID leftover, the same index", act=not_ready),
    Fault(name="leftover-ready", says="the same, and writes maintain it", act=ready),
    Fault(
        name="leftover-other",
        says="INVALID leftover, other definition",
        act=taken_by(other_definition_invalid, "INDEX"),
    ),
    Fault(name="leftover-elsewhere", says="INVALID leftover, other table", act=taken_by(other_table_invalid, "INDEX")),
    Fault(name="other-index", says="valid index, other definition", act=taken_by(other_definition, "INDEX")),
    Fault(name="name-of-table", says="name taken by a table", act=taken_by(table, "TABLE")),
    Fault(name="name-of-view", says="name taken by a view", act=taken_by(view, "VIEW")),
)

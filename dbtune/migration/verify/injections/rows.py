"""Rows that are not unique, and no room to sort them."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.migration.verify import fill
from dbtune.migration.verify.injections.fault import Fault
from dbtune.migration.verify.process import Ended
from dbtune.migration.verify.scene import NotMet, Scene
from dbtune.server.connection import MARKER

_NO_ROOM = "temp_file_limit"


def duplicates(scene: Scene) -> Iterator[list[Ended]]:
    """Put a row into the table that the unique index does not allow; it is taken out before the second run."""
    unique = next((each for each in scene.subject.made if each.is_unique), None)
    if unique is None:
        raise NotMet("the revision makes no unique index")
    with scene.cluster.session() as run:
        try:
            table, row = fill.duplicate(run, scene.subject.before.things[unique.of_table or 0], unique)
        except fill.NotFilled as error:
            raise NotMet(f"no row could be made that is there already: {error}") from None
    yield [scene.start().end()]
    with scene.cluster.session() as run:
        run(f"{MARKER} DELETE FROM {table} WHERE ctid = '{row}'")


def no_room(scene: Scene) -> Iterator[list[Ended]]:
    """Allow no temporary files and next to no memory, as on a disk that is full."""
    least = "64kB" if scene.cluster.programs.major >= 17 else "1MB"
    reset = scene.limit(temp_file_limit="0", maintenance_work_mem=least)
    ended = scene.start().end()
    if _NO_ROOM not in ended.output:
        raise NotMet("the sort needs no temporary file: give more --rows")
    yield [ended]
    reset()


FAULTS = (
    Fault(name="duplicates", says="duplicate rows for a unique index", act=duplicates),
    Fault(name="no-room", says="no room to sort (temp_file_limit)", act=no_room),
)

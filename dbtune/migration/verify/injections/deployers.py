"""Several who start at once."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.migration.verify.injections.fault import Act, Fault
from dbtune.migration.verify.process import Ended
from dbtune.migration.verify.scene import Scene, ends


def deployers(number: int) -> Act:
    """Return what starts so many at once."""

    def act(scene: Scene) -> Iterator[list[Ended]]:
        ended = ends([scene.start() for _ in range(number)])
        if not any(each.code == 0 for each in ended):
            scene.problems.append("not one of them got it done")
        yield ended

    return act


FAULTS = (
    Fault(name="two-deployers", says="two deployers at once", act=deployers(2)),
    Fault(name="ten-deployers", says="ten deployers at once", act=deployers(10)),
)

"""The upgrade when nothing is in its way, and there and back again."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.migration.verify.injections.fault import Fault
from dbtune.migration.verify.process import Ended
from dbtune.migration.verify.scene import NotMet, Scene

_ROUNDS = 3


def nothing(scene: Scene) -> Iterator[list[Ended]]:
    """Put nothing in."""
    yield [scene.start().end()]


def down_and_up(scene: Scene) -> Iterator[list[Ended]]:
    """Go down and up again, three times, and compare what is there with what was there before."""
    ended = [scene.start().end()]
    for number in range(1, _ROUNDS + 1):
        down = scene.keep(scene.launcher.alembic("downgrade", scene.down or "base")).end()
        if down.code and number == 1 and "NotImplementedError" in down.output:
            raise NotMet("the revision has no downgrade")
        if scene.inventory().meanings() != scene.subject.before.meanings():
            why = f" ({down.said})" if down.code else ""
            scene.problems.append(f"downgrade {number} does not bring back what was there before{why}")
            break
        ended += [down, scene.start().end()]
        if scene.inventory().meanings() != scene.subject.after.meanings():
            scene.problems.append(f"upgrade {number + 1} does not make what the first one made")
            break
    else:
        scene.notes.append("the same each time")
    yield ended


FIRST = (Fault(name="nothing", says="nothing in the way", act=nothing),)
FAULTS = (Fault(name="down-up", says="down and up again, three times", act=down_and_up),)

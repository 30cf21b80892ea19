"""One fault after the other: what is left, what it exits with, and whether the same, run again, is done with it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2

from dbtune.migration.verify.injections import Fault
from dbtune.migration.verify.inventory import Inventory
from dbtune.migration.verify.process import Ended
from dbtune.migration.verify.scene import NotMet, Scene
from dbtune.migration.verify.subject import Subject, describe


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A fault and what came of it, by one way to run the revision.

    ``skipped`` says why it could not be put in; all that follows is empty then. ``exits`` are the first run's clients',
    ``left`` is the state after it, ``again`` the exit code of the second run. ``problems`` are what must not be;
    ``said`` is the telling line of the run that is to blame. ``seconds`` are those of all of it.
    """

    fault: str
    says: str
    way: str
    skipped: str | None = None
    exits: tuple[int, ...] = ()
    left: str = ""
    again: int | None = None
    converges: bool = False
    untouched: bool = False
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    said: str = ""
    seconds: float = 0.0

    @property
    def is_fine(self) -> bool:
        """Whether nothing is held against it."""
        return not self.problems


def judge(scene: Scene, fault: Fault) -> Result:
    """Put a fault in, look, run again, look again."""
    began = time.monotonic()
    scene.cluster.restore()
    scene.reset()
    try:
        return _judge(scene, fault, began)
    except NotMet as error:
        why = str(error)
    except psycopg2.Error as error:
        why = f"it could not be put in: {(error.diag.message_primary or str(error)).strip()}"
    finally:
        scene.end()
        scene.cluster.await_up()
    return Result(fault=fault.name, says=fault.says, way=scene.way, skipped=why, seconds=time.monotonic() - began)


def _judge(scene: Scene, fault: Fault, began: float) -> Result:
    subject = scene.subject
    with contextmanager(fault.act)(scene) as ended:
        scene.cluster.await_up()
        left = scene.inventory()
        words = describe(subject, left, scene.orphan())
    before = scene.before or left
    mended = scene.inventory()
    again = scene.start().end()
    final = scene.inventory()
    converges = again.code == 0 and subject.revision in final.noted and _is_done(subject, final, scene.foreign)
    touched = _touched(subject, before, left, scene.foreign) + _touched(subject, mended, final, scene.foreign)
    problems = list(scene.problems)
    if subject.revision in left.noted and not _is_done(subject, left, scene.foreign):
        problems.append("noted as done, and it is not")
    if any(each.hung for each in ended):
        problems.append("hangs")
    if not converges:
        problems.append(_why_not(subject, again, final, scene.foreign))
    if touched:
        problems.append(f"touches what is not its own: {', '.join(dict.fromkeys(touched))}")
    return Result(
        fault=fault.name,
        says=fault.says,
        way=scene.way,
        exits=tuple(each.code for each in ended),
        left=words,
        again=again.code,
        converges=converges,
        untouched=not touched,
        notes=tuple(scene.notes),
        problems=tuple(problems),
        said=again.said if again.code else next((each.said for each in ended if each.code), ""),
        seconds=time.monotonic() - began,
    )


def _is_done(subject: Subject, now: Inventory, foreign: set[int]) -> bool:
    """Return whether all is there that a run makes in which nothing is in the way, and nothing else."""
    return now.meanings(foreign) == subject.after.meanings()


def _touched(subject: Subject, before: Inventory, now: Inventory, foreign: set[int]) -> list[str]:
    """Return the names of things that are not the revision's and are not as they were."""
    watched = {
        oid for oid, each in before.things.items() if oid in subject.others and subject.before.things[oid] == each
    }
    return [
        f"{before.things[oid].kind} {before.things[oid].full_name}"
        for oid in sorted(watched | foreign)
        if oid in before.things and (oid not in now.things or now.things[oid].identity != before.things[oid].identity)
    ]


def _why_not(subject: Subject, again: Ended, final: Inventory, foreign: set[int]) -> str:
    if again.hung:
        return "does not converge: run again, it hangs"
    if again.code:
        return f"does not converge: run again, it ends with {again.code}"
    if subject.revision not in final.noted:
        return "does not converge: run again, it says it is done, and does not note it"
    made, wanted = final.meanings(foreign), subject.after.meanings()
    names = sorted({f"{each[0]} {each[1]}.{each[2]}" for each in made ^ wanted})
    return f"does not converge: run again, it is said to be done, and differs in {', '.join(names)}"

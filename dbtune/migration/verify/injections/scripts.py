"""The revision as a script: ``alembic upgrade A:B --sql`` through psql."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from dbtune.migration.verify.injections import leftovers
from dbtune.migration.verify.injections.fault import Act, Fault
from dbtune.migration.verify.process import Ended
from dbtune.migration.verify.scene import NotMet, Scene


def script(scene: Scene) -> Iterator[list[Ended]]:
    """Apply it, where nothing is in the way."""
    yield [_apply(scene, stop=True)]


def taken(*, stop: bool) -> Act:
    """Return what applies it where a table has the name; ``stop`` is ON_ERROR_STOP."""
    return leftovers.taken_by(leftovers.table, "TABLE", lambda scene: _apply(scene, stop=stop))


def _apply(scene: Scene, *, stop: bool) -> Ended:
    program = _psql(scene)
    scene.before = scene.inventory()
    printed = scene.keep(scene.launcher.alembic("upgrade", f"{scene.down or 'base'}:{scene.subject.revision}", "--sql"))
    ended = printed.end()
    if ended.code:
        raise NotMet(f"alembic upgrade --sql fails: {ended.said}")
    path = scene.file("script.sql")
    path.write_text(ended.printed, encoding="utf-8")
    return scene.keep(scene.launcher.psql(program, path, stop=stop)).end()


def _psql(scene: Scene) -> Path:
    if (beside := scene.cluster.programs.bindir / "psql").exists():
        return beside
    if found := shutil.which("psql"):
        return Path(found)
    raise NotMet("there is no psql")


FAULTS = (
    Fault(name="script", says="as a script, by psql", act=script),
    Fault(name="script-stopped", says="script, name taken, ON_ERROR_STOP", act=taken(stop=True)),
    Fault(name="script-goes-on", says="script, name taken, psql goes on", act=taken(stop=False)),
)

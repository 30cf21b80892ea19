"""Procfile: process types and their commands, one a line."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dbtune.pool.fleet import Fact
from dbtune.pool.sources import command
from dbtune.pool.sources.found import NO_SURGE, ONE_POD, Deployment, Unit, migrations
from dbtune.pool.sources.project import Project

_LINE = re.compile(r"([A-Za-z0-9_-]+)\s*:\s*(.+)$")


def read(project: Project, path: str, environment: Mapping[str, Fact[str]]) -> Deployment:
    """Return the process types, the connection of a release phase, and what could not be told."""
    found = Deployment(read=[path])
    for number, line in enumerate((project.tree.text(path) or "").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        source = f"{path}:{number}"
        match = _LINE.match(text)
        if match is None:
            found.note(source, "is not a line of a Procfile, which is name: command")
            continue
        name, started = match.groups()
        launches = command.launches(started, source, environment, project)
        if any(each.does == "migration" for each in launches):
            found.extras.append(migrations(source))
        serving = [each for each in launches if each.does not in ("migration", "once")]
        if not serving and name != "release":
            found.note(source, f"{name} is left out: it starts no program that is known to hold connections")
        found.units += [
            Unit(name=name, source=source, pods=ONE_POD, rollout=NO_SURGE, launch=each, environment=dict(environment))
            for each in serving
            if name != "release"
        ]
    return found

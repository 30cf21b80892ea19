"""What a Dockerfile's image starts: the ENTRYPOINT and CMD of its last stage, with its ENV."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from dbtune.pool.fleet import Fact
from dbtune.pool.sources.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The command of an image, as a line or as words, where it stands, and the variables it sets.

    ``entrypoint`` is the part of the command that stays where whoever runs the image gives another CMD.
    """

    path: str
    command: str | list[str]
    source: str
    environment: dict[str, Fact[str]]
    entrypoint: str | list[str] | None = None

    @property
    def folder(self) -> str:
        """Return the folder of the Dockerfile."""
        return str(PurePosixPath(self.path).parent)

    def started_with(self, given: str | list[str]) -> str | list[str]:
        """Return what is started where ``given`` takes the place of CMD."""
        return given if self.entrypoint is None else _joined([self.entrypoint, given])


@dataclass(slots=True)
class _Stage:
    """What the instructions of a stage have said so far, each with its line."""

    first: int = 0
    said: dict[str, tuple[str | list[str], int]] = field(default_factory=dict)
    environment: dict[str, Fact[str]] = field(default_factory=dict)


def read(tree: Tree, path: str, target: str | None = None) -> Image | None:
    """Return what the image of a Dockerfile starts, or its stage ``target``, None where it does not say."""
    text = tree.text(path)
    if text is None:
        return None
    stages: dict[str, _Stage] = {}
    here = _Stage()
    for number, line in _lines(text):
        match = re.match(r"\s*(CMD|ENTRYPOINT|ENV|FROM|HEALTHCHECK)\s+(.*)", line, re.IGNORECASE | re.DOTALL)
        if match is None:
            continue
        instruction, rest = match.group(1).upper(), match.group(2).strip()
        if instruction == "FROM":
            base, _, name = re.sub(r"^(?:--\S+\s+)*", "", rest).partition(" ")
            begun = stages.get(base.lower(), _Stage())
            here = _Stage(number, dict(begun.said), dict(begun.environment))
            stages[name.strip().lower().removeprefix("as ").strip() or str(number)] = here
        elif instruction == "ENV":
            here.environment |= {name: Fact(value, f"{path}:{number}") for name, value in _variables(rest)}
        elif instruction != "HEALTHCHECK":
            here.said[instruction] = (_words(rest), number)
            if instruction == "ENTRYPOINT" and "CMD" in here.said and here.said["CMD"][1] < here.first:
                del here.said["CMD"]  # an ENTRYPOINT forgets the CMD of the stage that it is made from
    stage = stages.get(target.lower(), here) if target else here
    parts = [stage.said[name] for name in ("ENTRYPOINT", "CMD") if name in stage.said]
    if not parts:
        return None
    command = _joined([words for words, _ in parts])
    return Image(
        path=path,
        command=command,
        source=f"{path}:{parts[-1][1]}",
        environment=stage.environment,
        entrypoint=stage.said["ENTRYPOINT"][0] if "ENTRYPOINT" in stage.said else None,
    )


def _lines(text: str) -> list[tuple[int, str]]:
    """Return the instructions with the numbers of their first lines, continued lines joined."""
    found: list[tuple[int, str]] = []
    begun: str | None = None
    at = 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        if begun is None:
            begun, at = line, number
        else:
            begun += " " + line.strip()
        if begun.rstrip().endswith("\\"):
            begun = begun.rstrip()[:-1]
            continue
        found.append((at, begun))
        begun = None
    return found if begun is None else [*found, (at, begun)]


def _words(rest: str) -> str | list[str]:
    if rest.startswith("["):
        try:
            given = json.loads(rest)
        except (ValueError, RecursionError):
            return rest
        if isinstance(given, list) and all(isinstance(each, str) for each in given):
            return given
    return rest


def _joined(parts: list[str | list[str]]) -> str | list[str]:
    if len(parts) == 1:
        return parts[0]
    entry, command = parts
    if isinstance(entry, str):
        return entry  # a shell runs it, and nothing hands it CMD
    if isinstance(command, list) and isinstance(command, list):
        return [*entry, *command]
    return f"{shlex.join(entry)} {command}"


def _variables(rest: str) -> list[tuple[str, str]]:
    if not rest:
        return []
    if "=" not in rest.split(maxsplit=1)[0]:
        name, _, value = rest.partition(" ")
        return [(name, value.strip())]
    try:
        words = shlex.split(rest)
    except ValueError:
        return []
    return [(name, value) for name, equals, value in (word.partition("=") for word in words) if equals]

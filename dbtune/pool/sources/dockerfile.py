"""What a Dockerfile's image starts: its last ENTRYPOINT and CMD, with its ENV."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from dbtune.pool.fleet import Fact
from dbtune.pool.sources.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The command of an image, as a line or as words, where it stands, and the variables it sets."""

    path: str
    command: str | list[str]
    source: str
    environment: dict[str, Fact[str]]

    @property
    def folder(self) -> str:
        """Return the folder of the Dockerfile."""
        return str(PurePosixPath(self.path).parent)


def read(tree: Tree, path: str) -> Image | None:
    """Return what the image of a Dockerfile starts, None where it does not say."""
    text = tree.text(path)
    if text is None:
        return None
    found: dict[str, tuple[str | list[str], int]] = {}
    environment: dict[str, Fact[str]] = {}
    for number, line in _lines(text):
        match = re.match(r"\s*(CMD|ENTRYPOINT|ENV|FROM|HEALTHCHECK)\s+(.*)", line, re.IGNORECASE | re.DOTALL)
        if match is None:
            continue
        instruction, rest = match.group(1).upper(), match.group(2).strip()
        if instruction == "FROM":
            found, environment = {}, {}
        elif instruction == "ENV":
            environment |= {name: Fact(value, f"{path}:{number}") for name, value in _variables(rest)}
        elif instruction != "HEALTHCHECK":
            found[instruction] = (_words(rest), number)
    parts = [found[name] for name in ("ENTRYPOINT", "CMD") if name in found]
    if not parts:
        return None
    command = _joined([words for words, _ in parts])
    return Image(path=path, command=command, source=f"{path}:{parts[-1][1]}", environment=environment)


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
    if isinstance(entry, list) and isinstance(command, list):
        return [*entry, *command]
    return " ".join(part if isinstance(part, str) else shlex.join(part) for part in (entry, command))


def _variables(rest: str) -> list[tuple[str, str]]:
    if "=" not in rest.split(maxsplit=1)[0]:
        name, _, value = rest.partition(" ")
        return [(name, value.strip())]
    try:
        words = shlex.split(rest)
    except ValueError:
        return []
    return [(name, value) for name, equals, value in (word.partition("=") for word in words) if equals]

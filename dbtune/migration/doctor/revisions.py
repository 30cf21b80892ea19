"""Revision files, read and not imported: what follows what, and which of them Alembic cannot load."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dbtune.errors import BadFile
from dbtune.migration.doctor.settings import Settings
from dbtune.migration.doctor.source import Source

_FILE = re.compile(r"(?!\.#|__init__).*\.py$")
_LEGACY = re.compile(r"([a-f0-9]+)\.py$")

NOT_LITERAL = object()
"""In place of what is not written down as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A revision file. ``down`` and ``needs`` are ids it follows and depends on, None where they are not literal.

    ``line`` sets its id, ``down_line`` says what it follows; the first is both where nothing does.
    """

    source: Source
    id: str
    line: int
    down_line: int
    down: tuple[str, ...] | None
    needs: tuple[str, ...] | None
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A file that Alembic cannot load as a revision. ``line`` counts from 1."""

    path: Path
    line: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All revisions, the files that are none, and those whose id or predecessor is not literal."""

    folders: tuple[Path, ...]
    revisions: Mapping[str, Revision]
    twice: tuple[Revision, ...]
    troubles: tuple[Trouble, ...]
    unread: tuple[Path, ...]

    @property
    def heads(self) -> tuple[str, ...]:
        """The revisions that no other one follows."""
        followed = {id for each in self.revisions.values() for id in each.down or ()}
        return tuple(sorted(set(self.revisions) - followed))

    def ancestors(self, id: str) -> set[str]:
        """Return a revision and all that it follows, as far as they are there."""
        found: set[str] = set()
        waiting = [id]
        while waiting:
            each = waiting.pop()
            if each in self.revisions and each not in found:
                found.add(each)
                waiting += self.revisions[each].down or ()
        return found


def read(settings: Settings, directory: Path) -> History:
    """Read all revision files of a script directory."""
    named = settings.texts("version_locations")
    places = [settings.located(text) for text in named] if named else [directory / "versions"]
    folders = tuple(dict.fromkeys(place for place in places if place is not None and place.is_dir()))
    revisions: dict[str, Revision] = {}
    twice: list[Revision] = []
    troubles: list[Trouble] = []
    unread: list[Path] = []
    for path in _files(folders, recursive=settings.is_set("recursive_version_locations")):
        try:
            found = _revision(Source(path))
        except BadFile as error:
            troubles.append(Trouble(path=path, line=error.line, reason=error.reason.partition(";")[0]))
            continue
        match found:
            case Trouble():
                troubles.append(found)
            case None:
                unread.append(path)
            case Revision() if found.id in revisions:
                twice.append(found)
            case Revision():
                revisions[found.id] = found
                if found.down is None:
                    unread.append(path)
    return History(
        folders=folders, revisions=revisions, twice=tuple(twice), troubles=tuple(troubles), unread=tuple(unread)
    )


def _files(folders: Sequence[Path], *, recursive: bool) -> Iterator[Path]:
    for folder in folders:
        found = folder.rglob("*.py") if recursive else folder.glob("*.py")
        yield from sorted(path for path in found if _FILE.match(path.name) and "__pycache__" not in path.parts)


def _revision(source: Source) -> Revision | Trouble | None:
    """Return what a file says; None where its id is not literal."""
    values = _values(source.tree)
    if "revision" not in values:
        legacy = _LEGACY.match(source.path.name)
        if any(isinstance(each, ast.ImportFrom) and each.names[0].name == "*" for each in source.tree.body):
            return None
        if legacy is None:
            return Trouble(path=source.path, line=None, reason="no revision: it does not set the name revision")
        values["revision"] = (legacy[1], 1)
    id, line = values["revision"]
    if not isinstance(id, str):
        return None
    return Revision(
        source=source,
        id=id,
        line=line,
        down_line=values.get("down_revision", (None, line))[1],
        down=_ids(values.get("down_revision", (None, 1))[0]),
        needs=_ids(values.get("depends_on", (None, 1))[0]),
        labels=_ids(values.get("branch_labels", (None, 1))[0]) or (),
    )


def _values(tree: ast.Module) -> dict[str, tuple[object, int]]:
    """Return the literals that a file's names stand for, with their lines."""
    values: dict[str, tuple[object, int]] = {}
    for node in tree.body:
        pairs: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs += zip(target.elts, node.value.elts, strict=False)
                else:
                    pairs.append((target, node.value))
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            pairs.append((node.target, node.value))
        for target, value in pairs:
            if isinstance(target, ast.Name):
                values[target.id] = (_literal(value, values), node.lineno)
    return values


def _literal(node: ast.expr, values: Mapping[str, tuple[object, int]]) -> object:
    if isinstance(node, ast.Name) and node.id in values:
        return values[node.id][0]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return NOT_LITERAL


def _ids(value: object) -> tuple[str, ...] | None:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple | set | frozenset) and all(isinstance(each, str) for each in value):
        return tuple(value)
    return None

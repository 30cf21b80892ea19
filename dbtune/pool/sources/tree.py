"""A project's folder: which files there are, and their text as far as it can and should be read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dbtune.errors import UsageError

MOST_BYTES = 1_000_000
"""Larger files are not read: nobody writes settings or code by hand in them."""

MOST_FILES = 50_000

_PASSED_OVER = {"node_modules", "site-packages", "__pycache__", "build", "dist", "vendor", "htmlcov"}
_WANTED = {
    ".py", ".yml", ".yaml", ".toml", ".ini", ".cfg", ".txt", ".lock", ".sh", ".env", ".conf"
}  # fmt: skip
_NAMED = ("procfile", "dockerfile", "pipfile", ".env")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A file or folder that was passed over, and why; ``line`` counts from 1."""

    path: str
    reason: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.path}{f':{self.line}' if self.line else ''}: {self.reason}"


@dataclass(slots=True)
class Tree:
    """The files below ``root`` by their path from there, as POSIX writes it, and what could not be read."""

    root: Path
    files: tuple[str, ...]
    problems: list[Problem] = field(default_factory=list)
    _texts: dict[str, str | None] = field(default_factory=dict)

    def text(self, path: str) -> str | None:
        """Return a file's text, None where it cannot be read, which is told once as a problem."""
        if path not in self._texts:
            try:
                self._texts[path] = read(self.root / path)
            except Unreadable as error:
                self._texts[path] = None
                self.tell(path, str(error))
        return self._texts[path]

    def tell(self, path: str, reason: str, line: int | None = None) -> None:
        """Note that a file was passed over."""
        problem = Problem(path=path, reason=reason, line=line)
        if problem not in self.problems:
            self.problems.append(problem)

    def named(self, *names: str) -> Iterator[str]:
        """Yield the files of these names, in whatever case, the nearest to the root first."""
        yield from (path for path in self.files if PurePosixPath(path).name.lower() in names)

    def ending(self, *endings: str) -> Iterator[str]:
        """Yield the files whose names end so."""
        yield from (path for path in self.files if path.endswith(endings))

    def below(self, folder: str, paths: Iterable[str]) -> list[str]:
        """Return those of the paths that lie in a folder; "" and "." are the root."""
        prefix = str(PurePosixPath(folder)).strip("/")
        return [path for path in paths if prefix in ("", ".") or path.startswith(f"{prefix}/")]


class Unreadable(Exception):
    """A file that cannot be used, in words."""


def read(path: Path) -> str:
    """Return the text of a file.

    :raises Unreadable: it is no regular file, too large, no text, or the system refuses.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable("is not a regular file")
        if found.st_size > MOST_BYTES:
            raise Unreadable(f"is larger than {MOST_BYTES // 1_000_000} MB")
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not UTF-8 (byte {error.start})") from None
    if "\0" in text:
        raise Unreadable("is not text")
    return text


def walk(path: Path) -> Tree:
    """Return the files below a folder that readers may want, or the one file.

    Virtual environments, packages, hidden folders and what was built are passed over. Links to folders are not
    followed.

    :raises UsageError: there is no such path.
    """
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; name a folder that you may read") from None
    if is_file:
        return Tree(path.parent, (path.name,))
    if not is_folder:
        raise UsageError(f"{path}: there is no such folder; name a project's folder, or a fleet file with --fleet")
    tree = Tree(path, ())
    found: list[str] = []

    def refused(error: OSError) -> None:
        tree.tell(os.path.relpath(error.filename or path, path), f"cannot be read: {error.strerror}")

    for folder, below, names in os.walk(path, onerror=refused):
        if "pyvenv.cfg" in names:
            below.clear()
            continue
        below[:] = sorted(name for name in below if name not in _PASSED_OVER and not name.startswith("."))
        here = PurePosixPath(Path(folder).relative_to(path).as_posix())
        wanted = [name for name in sorted(names) if _is_wanted(name)]
        found += [str(here / name) for name in wanted if str(here / name).isprintable()]
        for name in wanted:
            if not str(here / name).isprintable():
                tree.tell(ascii(str(here / name)), "has a name that cannot be shown")
        if len(found) > MOST_FILES:
            tree.tell(str(here), f"has more than {MOST_FILES} files: the rest is not read; name a folder below")
            break
    tree.files = tuple(sorted(found, key=lambda each: (each.count("/"), each)))
    return tree


def _is_wanted(name: str) -> bool:
    lower = name.lower()
    return PurePosixPath(lower).suffix in _WANTED or lower.startswith(_NAMED) or lower.endswith("dockerfile")

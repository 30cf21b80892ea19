"""Which database drivers and their helpers a project requires, from requirements, Pipfile, pyproject and lock files."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from dbtune.pool.fleet import Fact
from dbtune.pool.sources.project import is_aside
from dbtune.pool.sources.tree import Tree

_FILE = re.compile(
    r"(requirements[\w.-]*\.(txt|in)|constraints[\w.-]*\.txt|pipfile(\.lock)?|pyproject\.toml|setup\.(py|cfg)"
    r"|(poetry|uv|pdm)\.lock)$",
    re.IGNORECASE,
)
_NAMES = (
    "psycopg2-binary|psycopg2cffi|psycopg2|psycopg-binary|psycopg|asyncpg|psycogreen|gevent|eventlet|sqlalchemy"
    "|django|fastapi"
)
_PACKAGE = re.compile(rf"(?<![\w./-])({_NAMES})(?![\w./-])", re.IGNORECASE)
_LOCKED = re.compile(r"\s*name\s*=|\s*\"[\w.-]+\"\s*:\s*\{")
_VERSION = re.compile(r"==\s*[\"']?([\d.]+)|\"?version\"?\s*[=:]\s*[\"'](?:==)?([\d.]+)")


def read(tree: Tree) -> dict[str, Fact[str]]:
    """Return the packages that matter for connections, with a version where it is pinned; lock files count most."""
    found: dict[str, Fact[str]] = {}
    for path in tree.files:
        name = PurePosixPath(path).name
        if not _FILE.match(name) or "dev" in name or "test" in name or is_aside(path):
            continue
        is_lock = "lock" in name.lower()
        lines = (tree.text(path) or "").splitlines()
        for number, line in enumerate(lines, 1):
            if is_lock and not _LOCKED.match(line):
                continue  # other packages' lists of what they would like
            for match in _PACKAGE.finditer(line.split("#")[0]):
                rest = line[match.end() :].partition(";")[0]
                version = _VERSION.search("\n".join([rest, *lines[number : number + 6]] if is_lock else [rest]))
                package = _plain(match.group(1))
                fact = Fact((version.group(1) or version.group(2)) if version else "", f"{path}:{number}")
                if package not in found or (fact.value and not found[package].value):
                    found[package] = fact
    return found


def _plain(name: str) -> str:
    lower = name.lower()
    return {"psycopg2-binary": "psycopg2", "psycopg2cffi": "psycopg2", "psycopg-binary": "psycopg"}.get(lower, lower)

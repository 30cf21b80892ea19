"""Scopes, and the project's own modules that env.py imports from."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

from dbtune.errors import BadFile
from dbtune.migration.doctor.source import Source
from dbtune.migration.doctor.values import Value

INSTALLED = ("alembic", "sqlalchemy", "sqlmodel", "asyncio", "contextlib", "os")
"""Packages that are never looked for in the project, which may have a folder of that name."""


class Scope:
    """The names of a module or function. A module that is only imported from ``is_lazy``: it is read name by name."""

    def __init__(self, source: Source, above: Scope | None = None, *, is_lazy: bool = False) -> None:
        self.source = source
        self.above = above
        self.is_lazy = is_lazy
        self.values: dict[str, Value] = {}
        self.shared: set[str] = set()

    @property
    def module(self) -> Scope:
        """The outermost scope."""
        return self if self.above is None else self.above.module

    def set(self, name: str, value: Value) -> None:
        """Let a name stand for a value, in the module where ``global`` says so."""
        (self.module if name in self.shared else self).values[name] = value


class Modules:
    """The Python files of a project, found as an import would find them, each read once."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots
        self._sources: dict[Path, Source | None] = {}

    def find(self, name: str, level: int, importer: Path) -> Path | None:
        """Return the file or folder of a module; ``level`` counts the dots before its name."""
        parts = name.split(".") if name else []
        if level == 0 and (not parts or parts[0] in INSTALLED):
            return None
        above = [importer.absolute().parents[level - 1]] if 0 < level <= len(importer.absolute().parents) else []
        return next((path for root in above or self._roots if (path := below(root, *parts)) is not None), None)

    def source(self, path: Path) -> Source | None:
        """Return the file, or the package's own; None where there is none that can be read."""
        file = path / "__init__.py" if path.is_dir() else path
        if file not in self._sources:
            try:
                self._sources[file] = Source(file)
            except BadFile:
                self._sources[file] = None
        return self._sources[file]


def below(root: Path, *parts: str) -> Path | None:
    """Return the file or folder of a module below a folder."""
    place = root.joinpath(*parts)
    if parts and place.with_name(f"{place.name}.py").is_file():
        return place.with_name(f"{place.name}.py")
    return place if place.is_dir() else None


@functools.lru_cache(maxsize=4096)
def binding(tree: ast.Module, name: str) -> ast.stmt | None:
    """Return the last statement of a module, within its conditions too, that gives a name a value."""
    return next((each for each in reversed(list(_flat(tree.body))) if name in _bound(each)), None)


def _flat(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in statements:
        yield statement
        for field in ("body", "orelse", "finalbody"):
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _flat(getattr(statement, field, []))


def _bound(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [statement.name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
            return [name]
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return [alias.asname or alias.name.partition(".")[0] for alias in names]
    return []


@functools.lru_cache(maxsize=4096)
def has_yield(node: ast.AST) -> bool:
    """Return whether a function is a generator: not because of one within it."""
    inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
    for below_node in ast.iter_child_nodes(node):
        if isinstance(below_node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(below_node, inner) and has_yield(below_node):
            return True
    return False

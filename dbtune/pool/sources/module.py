"""One Python file as its syntax tree tells it: imports, assignments, functions, and calls with where they stand."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from dbtune.pool.sources.expression import dotted

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where code stands: inside which functions and class, and whether only when the file is run as a program.

    ``target`` is the name that the value is assigned to, ``return`` where it is returned.
    """

    functions: tuple[Function, ...] = ()
    klass: ast.ClassDef | None = None
    is_main: bool = False
    target: str | None = None

    @property
    def is_at_import(self) -> bool:
        """Return whether it runs when the file is imported."""
        return not self.functions and not self.is_main


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """``name = value``; ``key`` where it was ``name["key"] = value``."""

    name: str
    value: ast.expr
    place: Place
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A call and where it stands."""

    node: ast.Call
    place: Place


@dataclass(slots=True)
class Module:
    """A parsed file. ``imports`` maps local names to where they are from, such as ``sa`` to ``sqlalchemy``."""

    path: str
    text: str
    imports: dict[str, str] = field(default_factory=dict)
    assigned: list[Assigned] = field(default_factory=list)
    called: list[Called] = field(default_factory=list)
    functions: dict[str, list[tuple[Function, Place]]] = field(default_factory=dict)

    def origin(self, node: ast.expr) -> str:
        """Return what a name or attribute stands for, as ``sqlalchemy.create_engine``; "" where it is neither."""
        name = dotted(node)
        if name is None:
            return ""
        first, _, rest = name.partition(".")
        first = self.imports.get(first, first)
        return f"{first}.{rest}" if rest else first


class NotPython(Exception):
    """A file that is not Python 3, in words."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        self.line = line
        super().__init__(reason)


def parse(path: str, text: str) -> Module:
    """Parse a file.

    :raises NotPython: it is not Python 3, or nested too deeply.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the file's own invalid escapes
            tree = ast.parse(text)
    except SyntaxError as error:
        raise NotPython("is not Python 3", error.lineno) from None
    except (ValueError, RecursionError, MemoryError):
        raise NotPython("cannot be parsed") from None
    module = Module(path, text)
    for node, place in _walk(tree):
        _note(module, node, place)
    return module


def _walk(tree: ast.Module) -> Iterator[tuple[ast.AST, Place]]:
    """Yield every node with where it stands, in the order of the text."""
    waiting: list[tuple[ast.AST, Place]] = [(tree, Place())]
    while waiting:
        node, place = waiting.pop()
        yield node, place
        inner = place
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inner = Place(functions=(*place.functions, node), klass=place.klass, is_main=place.is_main)
        elif isinstance(node, ast.ClassDef):
            inner = Place(functions=place.functions, klass=node, is_main=place.is_main)
        elif isinstance(node, ast.If) and _is_main(node.test):
            inner = Place(functions=place.functions, klass=place.klass, is_main=True)
        elif (target := _target(node)) is not None:
            inner = Place(functions=place.functions, klass=place.klass, is_main=place.is_main, target=target)
        waiting += [(child, inner) for child in reversed(list(ast.iter_child_nodes(node)))]


def _is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _target(node: ast.AST) -> str | None:
    match node:
        case ast.Assign(targets=[first, *_]) | ast.AnnAssign(target=first):
            return dotted(first)
        case ast.Return() | ast.Yield():
            return "return"
    return None


def _note(module: Module, node: ast.AST, place: Place) -> None:
    match node:
        case ast.Import():
            for alias in node.names:
                module.imports[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        case ast.ImportFrom():
            for alias in node.names:
                module.imports[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}".lstrip(".")
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            module.functions.setdefault(node.name, []).append((node, place))
        case ast.Call():
            module.called.append(Called(node=node, place=place))
        case ast.Assign():
            for target in node.targets:
                _assign(module, target, node.value, place)
        case ast.AnnAssign(value=ast.expr() as value):
            _assign(module, node.target, value, place)


def _assign(module: Module, target: ast.expr, value: ast.expr, place: Place) -> None:
    if isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (ast.Tuple, ast.List)):
        if len(target.elts) == len(value.elts):
            for one, its in zip(target.elts, value.elts, strict=True):
                _assign(module, one, its, place)
        return
    key = None
    if isinstance(target, ast.Subscript):
        if not (isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str)):
            return
        key, target = target.slice.value, target.value
    name = dotted(target)
    if name is not None:
        module.assigned.append(Assigned(name=name, value=value, place=place, key=key))

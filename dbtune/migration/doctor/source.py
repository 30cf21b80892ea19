"""A Python file that is read and not run: its tree and its lines, and exact places in them."""

from __future__ import annotations

import ast
import tokenize
from dataclasses import dataclass
from pathlib import Path

from dbtune.errors import BadFile


class Source:
    """A file of Python.

    :raises BadFile: it cannot be read, or is no Python; with the line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with tokenize.open(path) as file:
                text = file.read()
        except OSError as error:
            raise BadFile(path, f"cannot be read: {error.strerror}") from None
        except (SyntaxError, UnicodeDecodeError) as error:
            raise BadFile(path, f"cannot be read as Python: {error}") from None
        try:
            self.tree = ast.parse(text)
        except SyntaxError as error:
            raise BadFile(path, f"a syntax error: {error.msg}; nothing can be run until it is mended",
                          line=error.lineno) from None  # fmt: skip
        except (ValueError, RecursionError, MemoryError) as error:
            raise BadFile(path, f"cannot be read as Python: {error}") from None
        self.lines = text.removesuffix("\n").split("\n")
        self._above: dict[ast.AST, ast.AST] = {
            below: node for node in ast.walk(self.tree) for below in ast.iter_child_nodes(node)
        }

    def above(self, node: ast.AST) -> ast.AST | None:
        """Return the node that ``node`` is part of."""
        return self._above.get(node)

    def statement(self, node: ast.AST) -> ast.stmt:
        """Return the statement that ``node`` stands in."""
        while not isinstance(node, ast.stmt):
            node = self._above[node]
        return node

    def named(self, full: str) -> str | None:
        """Return how something of an installed module is written in this file, by what it imports at its top."""
        for node in self.tree.body:
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                bound = prefix + alias.name
                if full == bound or full.startswith(f"{bound}."):
                    return (alias.asname or alias.name) + full.removeprefix(bound)
        return None

    def text(self, node: ast.AST) -> str:
        """Return what is written there."""
        first, last = getattr(node, "lineno", None), getattr(node, "end_lineno", None)
        if first is None or last is None:
            return ast.unparse(node)
        lines = self.lines[first - 1 : last]
        lines[-1] = lines[-1][: self.column(last, node.end_col_offset)]  # type: ignore[attr-defined]
        lines[0] = lines[0][self.column(first, node.col_offset) :]  # type: ignore[attr-defined]
        return "\n".join(lines)

    def indent(self, node: ast.AST) -> str:
        """Return the white space before the line that ``node`` begins in."""
        line = self.lines[node.lineno - 1]  # type: ignore[attr-defined]  # of statements and expressions only
        return line[: len(line) - len(line.lstrip())]

    def column(self, line: int, offset: int) -> int:
        """Return the column, in characters, of an offset in UTF-8 as the tree has them; ``line`` counts from 1."""
        return len(self.lines[line - 1].encode()[:offset].decode(errors="replace"))


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a file."""

    source: Source
    node: ast.AST

    @property
    def line(self) -> int:
        return int(self.node.lineno)  # type: ignore[attr-defined]  # of statements and expressions only

    @property
    def text(self) -> str:
        return self.source.text(self.node)

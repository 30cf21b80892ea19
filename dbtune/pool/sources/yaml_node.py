"""YAML as a tree of nodes with lines. Aliases stay references, so that reading blows no file up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbtune.pool.sources.tree import Tree

if TYPE_CHECKING:
    import yaml

_MOST_MERGED = 100
_MOST_ENTRIES = 10_000
_TEMPLATE = "is a template, which only its own tool can fill in; fill it in, or give a fleet file with --fleet"


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a document, or of nothing where a key is missing: looking further finds nothing either."""

    node: yaml.Node | None
    path: str
    first: int = 0

    @property
    def at(self) -> str:
        """Return where it is, as ``file:line``."""
        return self.path if self.node is None else f"{self.path}:{self.node.start_mark.line + 1 + self.first}"

    @property
    def exists(self) -> bool:
        """Return whether it is there and is not null."""
        return self.node is not None and not (self.text is not None and self.text.lower() in ("", "null", "~"))

    @property
    def text(self) -> str | None:
        """Return a scalar as it is written, None for anything else."""
        from yaml import ScalarNode

        return str(self.node.value) if isinstance(self.node, ScalarNode) else None

    def get(self, *keys: str) -> Node:
        """Return what a path of keys leads to."""
        here = self
        for key in keys:
            here = next((value for name, value in here.items() if name == key), Node(None, self.path, self.first))
        return here

    def first_of(self, *paths: str) -> Node:
        """Return the first that exists of several paths, written with dots."""
        found = (self.get(*path.split(".")) for path in paths)
        return next((each for each in found if each.exists), Node(None, self.path, self.first))

    def items(self) -> Iterator[tuple[str, Node]]:
        """Yield a mapping's keys and values, those of ``<<`` after its own."""
        for count, entry in enumerate(self._items(set())):
            if count >= _MOST_ENTRIES:
                return
            yield entry

    def _items(self, seen: set[int]) -> Iterator[tuple[str, Node]]:
        from yaml import MappingNode, SequenceNode

        if not isinstance(self.node, MappingNode) or id(self.node) in seen or len(seen) > _MOST_MERGED:
            return
        seen.add(id(self.node))  # what is merged again says nothing new
        merged: list[Node] = []
        for key, value in self.node.value:
            if key.value == "<<":
                values = value.value if isinstance(value, SequenceNode) else [value]
                merged += [Node(each, self.path, self.first) for each in values]
            elif isinstance(key.value, str):
                yield key.value, Node(value, self.path, self.first)
        for each in merged:
            yield from each._items(seen)

    def elements(self) -> list[Node]:
        """Return a list's elements."""
        from yaml import SequenceNode

        if not isinstance(self.node, SequenceNode):
            return []
        return [Node(each, self.path, self.first) for each in self.node.value[:_MOST_ENTRIES]]

    def words(self) -> list[str] | str | None:
        """Return a command: a list of words, or a line; None where there is none."""
        if self.text is not None:
            return self.text if self.exists else None
        return [each.text or "" for each in self.elements()] or None

    @property
    def is_mapping(self) -> bool:
        """Return whether it has keys."""
        from yaml import MappingNode

        return isinstance(self.node, MappingNode)


def documents(tree: Tree, path: str, wanted: re.Pattern[str] | None = None) -> list[Node]:
    """Return the documents of a file; ``wanted``: only those whose text it is found in. What is no YAML is told.

    Documents with {{ }} outside of quotes are templates and are not read: that is told too.
    """
    text = tree.text(path)
    if text is None:
        return []
    found = []
    first = 0
    for part in re.split(r"^(?=---(?:\s|$))", text, flags=re.MULTILINE):
        if wanted is None or wanted.search(part):
            node = _document(tree, path, part, first)
            if node is not None:
                found.append(node)
        first += part.count("\n")
    return found


def _document(tree: Tree, path: str, text: str, first: int) -> Node | None:
    import yaml

    is_template = "{{" in text or "{%" in text
    try:
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        if is_template:
            tree.tell(path, _TEMPLATE)
            return None
        mark = getattr(error, "problem_mark", None)
        tree.tell(path, "is not YAML", mark.line + 1 + first if mark else None)
        return None
    except (ValueError, RecursionError):
        tree.tell(path, "cannot be parsed as YAML")
        return None
    if node is not None and is_template and _is_template(node):
        tree.tell(path, _TEMPLATE)
        return None
    return None if node is None else Node(node, path, first)


def _is_template(top: yaml.Node) -> bool:
    """Return whether a document has {{ }} outside of quotes and text blocks, where they are for another tool."""
    from yaml import MappingNode, ScalarNode, SequenceNode

    waiting, seen = [top], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode):
            if any(isinstance(key, MappingNode) for key, _ in node.value):
                return True
            waiting += [each for pair in node.value for each in pair]
        elif isinstance(node, SequenceNode):
            waiting += node.value
        elif isinstance(node, ScalarNode) and not node.style and ("{{" in node.value or "{%" in node.value):
            return True
    return False

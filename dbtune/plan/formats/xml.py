"""EXPLAIN (FORMAT XML): elements named for the keys of JSON, where all values are text."""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

from dbtune.plan.formats import keys
from dbtune.plan.formats.problem import UnreadablePlan

# XML names hold neither spaces nor slashes: PostgreSQL writes a dash for each, as for the dashes that keys have.
_WITH_DASHES = {"One-Time Filter"} | {key for key in keys.NUMBERS if "/" in key}
_KEYS = {key.replace(" ", "-").replace("/", "-"): key for key in _WITH_DASHES}

# These two say in JSON which one they are.
_SORT_GROUPS = "Incremental Sort Groups"
_SORT_SPACE = "Sort Space"

_OBJECTS = frozenset({"Settings", "Planning"})
"""Keys whose value is an object even if it is empty."""


class _Element:
    """An element that has begun: its text so far and the values of the elements in it."""

    __slots__ = ("children", "key", "text")

    def __init__(self, key: str) -> None:
        self.key = key
        self.text: list[str] = []
        self.children: list[tuple[str, Any]] = []


class _Reader:
    """Builds values as the parser goes through the elements, so that no depth of nesting is too much."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.open: list[_Element] = []
        self.documents: list[Any] = []

    def _start(self, name: str, attributes: object) -> None:
        under_settings = bool(self.open) and self.open[-1].key == "Settings"
        self.open.append(_Element(name if under_settings else _KEYS.get(name, name.replace("-", " "))))

    def _end(self, name: str) -> None:
        element = self.open.pop()
        if self.open:
            self._close(element, self.open[-1])
        elif element.children:  # as auto_explain logs it, without <Query>
            self.documents.append(dict(element.children))

    def _close(self, element: _Element, parent: _Element) -> None:
        value = _value(element, parent.key)
        if parent.key == "explain" and element.key in ("Query", "Utility Statement"):
            self.documents.append(value or element.key)
            return
        if parent.key in keys.GROUPS and element.key != keys.GROUPS[parent.key]:
            # The server prints some values of a node before it closes a list, see json.py.
            parent = self.open[-2]
        parent.children.append((element.key, value))

    def _text(self, text: str) -> None:
        self.open[-1].text.append(text)


def parse(text: str, first: int = 1) -> list[Any]:
    """Return the values of the documents in ``text``, one after another; what is around them is passed over.

    :raises UnreadablePlan: it is no XML, or stops in the middle.
    """
    found: list[Any] = []
    end = "</explain>"
    start = text.find("<explain")
    while start >= 0:
        stop = text.find(end, start)
        stop = len(text) if stop < 0 else stop + len(end)
        found += _document(text[start:stop], first + text.count("\n", 0, start))
        start = text.find("<explain", stop)
    return found


def _document(text: str, first: int) -> list[Any]:
    reader = _Reader()
    try:
        reader.parser.Parse(text, True)
    except expat.ExpatError as error:
        line = first + error.lineno - 1
        if not text.endswith("</explain>"):
            line = first + text.rstrip().count("\n")
            raise UnreadablePlan("the XML stops in the middle; give it to </explain>", line) from None
        raise UnreadablePlan(f"not XML: {expat.errors.messages[error.code]}", line) from None
    return reader.documents


def _value(element: _Element, under: str) -> Any:
    """Return an element's value as JSON has it."""
    key, children = element.key, element.children
    if key in keys.GROUPS or key in keys.LISTS or (children and children[0][0] == "Item"):
        return [value for _, value in children]
    if children:
        return _named(children)
    text = "".join(element.text)
    if under == "Settings" or key == "Item":
        return text
    if key in _OBJECTS and not text.strip():
        return {}
    if under == "Options" and key in keys.OPTIONS:
        return text == "true"
    return keys.typed(key, text)


def _named(children: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; parts of an incremental sort get the names that XML does not give them."""
    value: dict[str, Any] = {}
    for key, child in children:
        if key == _SORT_GROUPS:  # a sort by the prefix comes only after a full one
            key = "Pre-sorted Groups" if "Full-sort Groups" in value else "Full-sort Groups"
        elif key == _SORT_SPACE:
            in_memory = any(not method.startswith("external") for method in value.get("Sort Methods Used", ()))
            key = "Sort Space Memory" if in_memory and "Sort Space Memory" not in value else "Sort Space Disk"
        value[key] = child
    return value

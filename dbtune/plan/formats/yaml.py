"""EXPLAIN (FORMAT YAML): the part of YAML that PostgreSQL writes, where every text is in double quotes.

A general YAML reader is slow here, and follows the nesting with Python's stack, which a plan may exceed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dbtune.plan.formats import keys
from dbtune.plan.formats.problem import UnreadablePlan

_Container = dict[str, Any] | list[Any]
_MARK = re.compile(r"-(?: +|\Z)")
_ENTRY = re.compile(r'("(?:[^"\\]|\\.)*"|[^\s"\[{][^"]*?):(?:\s+(.*))?')
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORDS = {"true": True, "false": False, "null": None, "~": None}


@dataclass(slots=True)
class _Open:
    """An object or list, and the column that its entries start at; ``key`` is the last one of an object."""

    column: int
    value: _Container
    key: str = ""


def parse(lines: Sequence[str], first: int = 1) -> list[Any]:
    """Return the values in ``lines``: the entries of EXPLAIN's list, or the one object that auto_explain logs.

    :raises UnreadablePlan: it is no YAML as PostgreSQL writes it.
    """
    found: list[Any] = []
    stack: list[_Open] = []
    for number, line in enumerate(lines, first):
        rest = line.strip()
        column = len(line) - len(line.lstrip())
        if not rest or rest in ("---", "..."):
            continue
        while mark := _MARK.match(rest):
            _holder(found, stack, column, list, number)
            column, rest = column + mark.end(), rest[mark.end() :]
        if entry := _ENTRY.fullmatch(rest):
            holder = _holder(found, stack, column, dict, number)
            holder.key = key = str(_scalar(entry[1], number)) if entry[1].startswith('"') else entry[1]
            # What an empty group would be; a line that is indented deeper puts its own in this place.
            empty: Any = [] if key in keys.GROUPS or key in keys.LISTS else {}
            assert isinstance(holder.value, dict)
            holder.value[key] = _scalar(entry[2].strip(), number) if entry[2] else empty
        elif rest:
            if not stack or not isinstance(stack[-1].value, list):
                raise UnreadablePlan(f"not YAML as EXPLAIN prints it: {rest[:40]}", number)
            stack[-1].value.append(_scalar(rest, number))
    return found


def _holder(found: list[Any], stack: list[_Open], column: int, kind: type[_Container], line: int) -> _Open:
    """Return the list or object whose entries start at ``column``, made in its place if this is its first."""
    while stack and stack[-1].column > column:
        stack.pop()
    while stack and stack[-1].column == column:
        if isinstance(stack[-1].value, kind):
            return stack[-1]
        if kind is list:  # YAML lets a list stand right under its key
            break
        if len(stack) > 1 and stack[-2].column < column and isinstance(stack[-2].value, dict):
            return stack[-2]  # the server prints some values of a node before it closes a list, see json.py
        stack.pop()
    value: _Container = kind()
    if not stack:
        if kind is list:
            value = found
        else:
            found.append(value)
    elif isinstance(holder := stack[-1].value, list):
        holder.append(value)
    elif not holder[stack[-1].key] and isinstance(holder[stack[-1].key], dict | list):
        holder[stack[-1].key] = value
    else:
        raise UnreadablePlan("not YAML as EXPLAIN prints it: this line's indentation fits to nothing above", line)
    stack.append(_Open(column, value))
    return stack[-1]


def _scalar(text: str, line: int) -> Any:
    """Return one value. PostgreSQL puts all text in quotes, so what is not is a number or a truth value."""
    if text.startswith(('"', "[", "{")):
        try:
            return json.loads(text)
        except ValueError:
            raise UnreadablePlan(f"this text has no end, or is no YAML: {text[:40]}; give it whole", line) from None
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        return keys.number(text)
    if text[0] in "|>&*!'":
        raise UnreadablePlan(f"not YAML as EXPLAIN prints it: {text[:40]}; give it as the server wrote it", line)
    return text

"""EXPLAIN (FORMAT JSON): objects and lists, one after another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from dbtune.plan.formats import keys
from dbtune.plan.formats.problem import UnreadablePlan

_START = re.compile(r"(?:^|(?<=[\]}]))[ \t,]*[\[{]", re.MULTILINE)
_SPACE = re.compile(r"\s*")
_COLON = re.compile(r"\s*:")
_WORDS = {"true": True, "false": False, "null": None}
_ATOM = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN|-?Infinity")


def values(text: str, first: int = 1) -> Iterator[tuple[int, Any]]:
    """Yield each object or list in ``text`` with the line on which it starts; text between them is passed over.

    :raises UnreadablePlan: one of them breaks off, or is no JSON.
    """
    decoder = json.JSONDecoder()
    at = 0
    while match := _START.search(text, at):
        at = match.end() - 1
        line = first + text.count("\n", 0, at)
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            value, at = _decode(text, at, first)
        yield line, value


def _decode(text: str, at: int, first: int) -> tuple[Any, int]:
    """Decode one object or list nested as deep as memory allows, and as carelessly written as PostgreSQL does.

    A named value in a list goes to the object around that list: the server prints some before it closes the list,
    such as the counters of a MERGE into partitions (15 to 18). Commas are not checked.
    """
    open_: list[dict[str, Any] | list[Any]] = []
    key: str | None = None
    while True:
        at = _skip(text, at)
        mark = text[at : at + 1]
        value: Any
        if mark == ",":
            at += 1
            continue
        if open_ and key is None and mark == ("}" if isinstance(open_[-1], dict) else "]"):
            at += 1
            value = open_.pop()
            if not open_:
                return value, at
            continue
        if mark in ("{", "["):
            value, after = {} if mark == "{" else [], at + 1
        elif mark == '"':
            try:
                value, after = scanstring(text, at + 1)
            except ValueError:
                raise _unreadable(text, at, first) from None
            if key is None and (colon := _COLON.match(text, after)):
                key, at = value, colon.end()
                continue
        elif match := _ATOM.match(text, at):
            value, after = _WORDS[match[0]] if match[0] in _WORDS else keys.number(match[0]), match.end()
        else:
            raise _unreadable(text, at, first)
        if open_:
            owner = next((each for each in reversed(open_) if isinstance(each, dict)), None) if key else open_[-1]
            if isinstance(owner, list):
                owner.append(value)
            elif owner is not None and key is not None:
                owner[key] = value
            else:
                raise _unreadable(text, at, first)
        key = None
        at = after
        if isinstance(value, dict | list):
            open_.append(value)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _unreadable(text: str, at: int, first: int) -> UnreadablePlan:
    rest = text[at:].rstrip()
    line = first + text.count("\n", 0, at)
    if not rest or (rest.startswith('"') and "\n" not in rest):
        line = first + text.rstrip().count("\n")
        return UnreadablePlan("the JSON stops in the middle; give it to its end", line)
    hint = " (Python's notation: write it with json.dumps)" if rest.startswith("'") else ""
    return UnreadablePlan(f"not JSON: {rest.splitlines()[0][:40]}{hint}", line)

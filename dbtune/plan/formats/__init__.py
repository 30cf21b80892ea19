"""Reading plans in every format of EXPLAIN, however they were copied: all become the shape of FORMAT JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dbtune.plan.formats import frame, json, text, wrapping, xml, yaml
from dbtune.plan.formats.problem import UnreadablePlan

__all__ = ["UnreadablePlan", "documents"]

_JSON = re.compile(r'\s*[\[{]\s*(?:\Z|[\[{}"\]])')
_XML = re.compile(r"\s*<(?:explain\b|\?xml\b)")
_YAML = re.compile(r'\s*(?:- (?:Plan|Query Text): ?|Query Text: "(?:[^"\\]|\\.)*"\Z|Plan: *\Z)')
_NO_PLAN = re.compile(r"\s*(?:Utility statements have no plan structure|Query rewrites to nothing)\s*\Z")


def documents(given: str) -> list[dict[str, Any]]:
    """Return the plans in ``given``, each as an element of the list that EXPLAIN (FORMAT JSON) prints.

    ``given`` is what a person pastes or a file holds: JSON, YAML, XML or TEXT, in psql's frame, from a CSV file, or
    from a server log with auto_explain's messages; these add ``"Duration"`` in milliseconds.

    :raises UnreadablePlan: there is no plan, or one that breaks off.
    """
    given = frame.normalised(given)
    if not given.strip():
        raise UnreadablePlan("empty; give what EXPLAIN printed")
    if _JSON.match(given):
        try:
            return _checked(json.values(given, 1), 1)
        except UnreadablePlan:  # it may still have psql's marks in it; without them the line at fault is told
            pass
    if logged := frame.messages(given):
        return [
            document | {"Duration": message.duration}
            for message in logged
            for document in _read(message.lines, message.number)
        ]
    results = frame.results(frame.unquoted(given).split("\n"))
    return [document for number, lines in results for document in _read(lines, number)]


def _read(lines: list[str], first: int) -> list[dict[str, Any]]:
    """Read one format, the one of the first line that could begin a plan."""
    for at, line in enumerate(lines):
        number = first + at
        if _JSON.match(line):
            return _checked(json.values("\n".join(lines[at:]), number), number)
        if _XML.match(line):
            return _checked(((number, value) for value in xml.parse("\n".join(lines[at:]), number)), number)
        if _YAML.match(line):
            return _checked(((number, value) for value in yaml.parse(lines[at:], number)), number)
        if _NO_PLAN.match(line):
            raise UnreadablePlan(f"EXPLAIN gave no plan: {line.strip()}", number)
        if line.lstrip().startswith("Query Text:") or wrapping.is_root(line.strip()):
            break
    return text.parse(lines, first)


def _checked(values: Iterable[tuple[int, Any]], first: int) -> list[dict[str, Any]]:
    """Return the plans among the values, each of which comes with its line.

    :raises UnreadablePlan: there is none, or something else.
    """
    found: list[dict[str, Any]] = []
    for line, value in values:
        for document in value if isinstance(value, list) else [value]:
            found += _documents(document, line)
    if not found:
        raise UnreadablePlan('no plan in it, that is no object with a "Plan"; give all that EXPLAIN printed', first)
    return found


def _documents(value: Any, line: int) -> list[dict[str, Any]]:
    """Return the plans in one value: a plan, a node, a row of a query tool's export, or an entry of a JSON log."""
    match value:
        case {"Plan": {"Node Type": str()}}:
            return [value]
        case {"Node Type": str()}:
            return [{"Plan": value}]
        case {"QUERY PLAN": str(printed)}:
            return documents(printed)
        case {"QUERY PLAN": list() | dict() as printed}:
            return _checked([(line, printed)], line)
        case {"message": str(message), "error_severity": str()}:
            try:
                return documents(message) if frame.messages(message) else []
            except UnreadablePlan as problem:
                raise UnreadablePlan(problem.reason, line) from None
        case "Utility Statement" | "Query":
            raise UnreadablePlan("EXPLAIN gave no plan: the statement needs none", line)
    raise UnreadablePlan('not a plan: no object with a "Plan" in it, as EXPLAIN prints', line)

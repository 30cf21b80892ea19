"""The first line of a node in TEXT: ``Parallel Seq Scan on public.t x  (cost=…) (actual …)``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dbtune.plan.formats import keys

Object = dict[str, Any]

_MEASURES = re.compile(r"\((?:cost=[-\dIN]|actual\s*(?:time|rows)=|never\s*executed\))")
# Without their spaces, of which some are lost where a line was cut.
_COST = re.compile(rf"\(cost={keys.NUMBER}\.\.{keys.NUMBER}rows={keys.NUMBER}width={keys.NUMBER}\)")
_ACTUAL = re.compile(rf"actual(?:time={keys.NUMBER}\.\.{keys.NUMBER})?rows={keys.NUMBER}loops={keys.NUMBER}")
_NEVER = "(neverexecuted)"

_IDENTIFIER = r'("(?:[^"]|"")*"|[^\s".]+)'
_TARGET = re.compile(rf"(?:{_IDENTIFIER}\.)?{_IDENTIFIER}(?: {_IDENTIFIER})?")
_AGGREGATE = re.compile(r"(?:(Partial|Finalize) )?(Group|Hash|Mixed|)Aggregate")
_JOIN = re.compile(r"(Nested Loop|Merge|Hash) (?:(Left|Full|Right|Semi|Anti|Right Semi|Right Anti) )?Join")
_SET_OPERATION = re.compile(r"(Hash)?SetOp ((?:Intersect|Except)(?: All)?)")
_CHANGE = re.compile(r"(Insert|Update|Delete|Merge) on (.+)")
_FOREIGN = re.compile(r"Foreign (Scan|Insert|Update|Delete)(?: on (.+))?")
_CUSTOM = re.compile(r"Custom Scan(?: \((.*?)\))?(?: on (.+))?")
_INDEX = re.compile(r'(Index Scan|Index Only Scan)( Backward)? using ("(?:[^"]|"")*"|\S+) on (.+)')
_BITMAP_INDEX = re.compile(r"Bitmap Index Scan on (.+)")
_SCAN = re.compile(r"(.+? Scan) on (.+)")

_STRATEGIES = {"": "Plain", "Group": "Sorted", "Hash": "Hashed", "Mixed": "Mixed"}
_NAMES = {
    "Function Scan": "Function Name",
    "Table Function Scan": "Table Function Name",
    "CTE Scan": "CTE Name",
    "WorkTable Scan": "CTE Name",
    "Named Tuplestore Scan": "Tuplestore Name",
    "Subquery Scan": None,
    "Values Scan": None,
}
"""What a scan's target is where it is no relation; None where only an alias is printed."""

_TYPES = frozenset(
    {"ModifyTable", "Aggregate", "SetOp", "Nested Loop", "Merge Join", "Hash Join", "Foreign Scan", "Custom Scan"}
    | {"Seq Scan", "Sample Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan", "Bitmap Heap Scan"}
    | {"Tid Scan", "Tid Range Scan", "Subquery Scan", "Function Scan", "Table Function Scan", "Values Scan"}
    | {"CTE Scan", "Named Tuplestore Scan", "WorkTable Scan", "Result", "ProjectSet", "Append", "Merge Append"}
    | {"Recursive Union", "BitmapAnd", "BitmapOr", "Gather", "Gather Merge", "Materialize", "Memoize", "Sort"}
    | {"Incremental Sort", "Group", "WindowAgg", "Unique", "LockRows", "Limit", "Hash"}
)


def measures_at(text: str) -> int:
    """Return where the costs or times of a node's line start, its length where it has none."""
    match = _MEASURES.search(text)
    return match.start() if match else len(text)


def is_known(text: str) -> bool:
    """Return whether ``text`` is the first line of a node that PostgreSQL has, with costs or without."""
    return _type(text[: measures_at(text)].rstrip())["Node Type"] in _TYPES


def read(text: str) -> Object:
    """Return what a node's first line says, without the arrow before it.

    :raises ValueError: its costs or times are cut off.
    """
    at = measures_at(text)
    raw, measures = _type(text[:at].rstrip()), "".join(text[at:].split())
    cost = _COST.search(measures)
    if cost is not None:
        raw |= numbers(("Startup Cost", "Total Cost", "Plan Rows", "Plan Width"), cost.groups())
    actual = actual_of(measures)
    raw |= actual
    if _NEVER in measures:
        raw |= {"Actual Rows": 0, "Actual Loops": 0}
    if (measures and not (cost or actual or _NEVER in measures)) or measures.count("(") > measures.count(")"):
        raise ValueError
    return raw


def actual_of(text: str) -> Object:
    """Return the times, rows and loops in ``actual time=0.1..0.2 rows=3 loops=1``; nothing if it is other text."""
    names = ("Actual Startup Time", "Actual Total Time", "Actual Rows", "Actual Loops")
    match = _ACTUAL.search("".join(text.split()))
    return numbers(names, match.groups()) if match else {}


def numbers(names: Sequence[str], values: Sequence[str | None]) -> Object:
    """Return those of the values that there are, as numbers under their names."""
    return {name: keys.number(value) for name, value in zip(names, values, strict=True) if value is not None}


def _type(head: str) -> Object:
    """Return what a node's line says before its costs."""
    name = head.removeprefix("Parallel ").removeprefix("Async ")
    aware = {
        "Parallel Aware": head.startswith("Parallel "),
        "Async Capable": head.removeprefix("Parallel ").startswith("Async "),
    }
    if match := _INDEX.fullmatch(name):
        direction = "Backward" if match[2] else "Forward"
        index = {"Scan Direction": direction, "Index Name": _unquoted(match[3])}
        return {"Node Type": match[1], **aware, **index, **target(match[4])}
    if match := _BITMAP_INDEX.fullmatch(name):
        return {"Node Type": "Bitmap Index Scan", **aware, "Index Name": _unquoted(match[1])}
    if match := _FOREIGN.fullmatch(name):
        operation = "Select" if match[1] == "Scan" else match[1]
        return {"Node Type": "Foreign Scan", "Operation": operation, **aware, **target(match[2])}
    if match := _CUSTOM.fullmatch(name):
        provider = {"Custom Plan Provider": match[1]} if match[1] else {}
        return {"Node Type": "Custom Scan", **provider, **aware, **target(match[2])}
    if match := _SCAN.fullmatch(name):
        return {"Node Type": match[1], **aware, **target(match[2], _NAMES.get(match[1], "Relation Name"))}
    if match := _AGGREGATE.fullmatch(name):
        mode, kind = match.groups()
        return {"Node Type": "Aggregate", "Strategy": _STRATEGIES[kind], "Partial Mode": mode or "Simple", **aware}
    if match := _JOIN.fullmatch(name):
        kind = match[1] if match[1] == "Nested Loop" else f"{match[1]} Join"
        return {"Node Type": kind, **aware, "Join Type": match[2] or "Inner"}
    if name == "Nested Loop":
        return {"Node Type": name, **aware, "Join Type": "Inner"}
    if match := _SET_OPERATION.fullmatch(name):
        strategy = "Hashed" if match[1] else "Sorted"
        return {"Node Type": "SetOp", "Strategy": strategy, **aware, "Command": match[2]}
    if match := _CHANGE.fullmatch(name):
        return {"Node Type": "ModifyTable", "Operation": match[1], **aware, **target(match[2])}
    return {"Node Type": name, **aware}


def target(text: str | None, name: str | None = "Relation Name") -> Object:
    """Return the object that a scan or change is on under ``name``, with its schema and alias as far as printed."""
    if text is None:
        return {}
    match = _TARGET.fullmatch(text)
    if match is None:
        return {name or "Alias": text}
    schema, called, alias = (_unquoted(part) if part else None for part in match.groups())
    raw: Object = {name: called} if name else {}
    if schema is not None:
        raw["Schema"] = schema
    return raw | {"Alias": alias or called}


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if len(name) > 1 and name[0] == name[-1] == '"' else name

"""Plans in EXPLAIN's default format, TEXT, turned into the shape of FORMAT JSON.

Keys, types and nesting are those of JSON for the same plan (PostgreSQL's explain.c, 13 to 18). TEXT leaves out what
is zero or usual. Where that follows from the rest of the plan it is filled in (``"Parallel Aware": false``,
``"Inner Unique": false`` in a verbose plan); a counter that is not printed is not invented.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from dbtune.plan.formats import nodes, properties, wrapping
from dbtune.plan.formats.problem import UnreadablePlan
from dbtune.plan.formats.wrapping import Kind, Line

Object = dict[str, Any]

_WORKER = re.compile(r"Worker (\d+):\s*(.*)", re.DOTALL)
_AGGREGATE_KEYS = ("Sort Key", "Group Key", "Hash Key")
_TAIL = frozenset(
    {"Planning", "Planning Time", "Execution Time", "JIT", "Settings", "Query Identifier", "Serialization"}
)
# Spelled so before PostgreSQL 10 and 9.4.
_OLD_NAMES = {"Planning time": "Planning Time", "Execution time": "Execution Time", "Total runtime": "Execution Time"}


@dataclass(slots=True)
class _Open:
    """Something that lines indented deeper than ``column`` belong to: a document, a node, or a block of either."""

    column: int
    raw: Object
    name: str = ""


@dataclass(slots=True)
class _Node(_Open):
    children: list[_Node] = field(default_factory=list)
    keys: list[tuple[int, str, list[str]]] = field(default_factory=list)


@dataclass(slots=True)
class _Document(_Open):
    nodes: list[_Node] = field(default_factory=list)


def parse(lines: Sequence[str], first: int = 1) -> list[Object]:
    """Return the plans in ``lines``, the first of which is line ``first`` of what was given.

    :raises UnreadablePlan: there is none, or it has a part missing.
    """
    starts = [at for at, line in enumerate(lines) if line.lstrip().startswith("Query Text:")]
    found = _plans(lines[: starts[0]] if starts else lines, first)
    for start, end in pairwise([*starts, len(lines)]):
        found += _logged(lines[start:end], first + start)
    if not found:
        raise UnreadablePlan("no plan found; give all that EXPLAIN printed, from its first line on")
    return found


def _logged(lines: Sequence[str], first: int) -> list[Object]:
    """Return the plan that follows a query's text, as auto_explain logs them."""
    column = len(lines[0]) - len(lines[0].lstrip())
    text = [line[column:] for line in lines]
    # The query may hold anything; the plan has only one line that is a node's and not indented.
    roots = (at for at in range(len(lines) - 1, 0, -1) if wrapping.is_node(text[at]))
    root = next((at for at in roots if text[at][:1].isupper()), None)
    if root is None:
        end = max(at for at, line in enumerate(lines) if line.strip())
        raise UnreadablePlan("a query's text, but no plan after it; the log is cut off here", first + end)
    given = next((at for at in range(root - 1, 0, -1) if text[at].startswith("Query Parameters: ")), root)
    before: Object = {"Query Text": "\n".join(text[:given]).removeprefix("Query Text:").removeprefix(" ")}
    if given < root:
        before["Query Parameters"] = "\n".join(text[given:root]).removeprefix("Query Parameters: ")
    return [before | document for document in _plans(lines[root:], first + root)]


def _plans(lines: Sequence[str], first: int) -> list[Object]:
    documents: list[_Document] = []
    stack: list[_Open] = []
    label: Line | None = None
    for line in wrapping.logical(lines, first):
        if line.kind is Kind.ROOT:
            documents.append(_Document(-1, {}))
            stack = [documents[-1]]
        try:
            if line.kind is Kind.LABEL:
                label = line
            elif line.kind in (Kind.ROOT, Kind.NODE):
                _add_node(documents[-1], stack, line, label)
                label = None
            else:
                _add_property(documents[-1], stack, line.column, line.text)
        except UnreadablePlan:
            raise
        except (ValueError, KeyError):
            raise UnreadablePlan(
                f"this line is cut off or garbled: {line.text[-60:]}; give the plan as printed", line.number
            ) from None
    return [_finished(document) for document in documents]


def _add_node(document: _Document, stack: list[_Open], line: Line, label: Line | None) -> None:
    """Add a node to the one that it is indented under, which the label of a subplan tells where there is one."""
    column = line.column if label is None else min(label.column, line.column)
    while len(stack) > 1 and stack[-1].column >= column:
        stack.pop()
    parent = stack[-1]
    node = _Node(column, nodes.read(line.text.removeprefix("->").lstrip()))
    if label is not None:
        node.raw["Subplan Name"] = label.text
    if isinstance(parent, _Node):
        parent.children.append(node)
        parent.raw.setdefault("Plans", []).append(node.raw)
    elif line.kind is Kind.ROOT:
        document.raw["Plan"] = node.raw
    else:
        raise UnreadablePlan(
            "the indentation is lost, so it cannot be told which node this one is under; "
            "give the plan with its leading spaces, or use FORMAT JSON",
            line.number,
        )
    document.nodes.append(node)
    stack.append(node)


def _add_property(document: _Document, stack: list[_Open], column: int, text: str) -> None:
    """Add a line to the node, block or document that it is indented under."""
    while len(stack) > 1 and stack[-1].column >= column:
        stack.pop()
    owner = stack[-1]
    if worker := _WORKER.fullmatch(text):
        block: Object = {"Worker Number": int(worker[1])}
        owner.raw.setdefault("Workers", []).append(block)
        stack.append(_Open(column, block, "Worker"))
        if worker[2]:
            _add_property(document, stack, column + 2, worker[2])
        return
    if table := wrapping.TARGET.fullmatch(text):
        block = nodes.target(table[1])
        owner.raw.setdefault("Target Tables", []).append(block)
        stack.append(_Open(column, block, "Target Table"))
        return
    if owner.name == "Worker" and text.startswith("actual "):
        owner.raw |= nodes.actual_of(text)
        return
    if text.startswith("Trigger ") and (trigger := properties.trigger(text)):
        document.raw.setdefault("Triggers", []).append(trigger)
        return
    key, _, value = text.partition(":")
    key, value = _OLD_NAMES.get(key, key), value.removeprefix(" ")
    if key in _TAIL and isinstance(owner, _Node):  # the plan's first line may have lost its indentation
        del stack[1:]
        owner = document
    if isinstance(owner, _Node) and owner.raw["Node Type"] == "Aggregate" and key in _AGGREGATE_KEYS:
        owner.keys.append((column, key, [] if value == "()" else properties.split(value)))
    elif key == "Serialization":
        owner.raw[key] = properties.serialization(value)
        stack.append(_Open(column, owner.raw[key], key))
    elif not value and (isinstance(owner, _Document) or key == "JIT"):
        owner.raw[key] = {}
        stack.append(_Open(column, owner.raw[key], key))
    elif owner.name == "JIT" and key == "Options":
        owner.raw[key] = properties.jit_options(value)
    elif owner.name == "JIT" and key == "Timing":
        owner.raw[key] = properties.jit_timing(value)
    else:
        owner.raw |= properties.read(f"{key}: {value}")


def _finished(document: _Document) -> Object:
    """Add what TEXT leaves to the reader: what each node is to its parent, and what is so throughout a plan."""
    raws = [node.raw for node in document.nodes]
    verbose = any("Output" in raw for raw in raws)
    timed = any("Actual Total Time" in raw for raw in raws)
    for node in document.nodes:
        raw = node.raw
        for child, relationship in _relationships(node):
            child.raw["Parent Relationship"] = relationship
        _finish_keys(node)
        if raw["Node Type"] == "Gather":
            raw.setdefault("Single Copy", False)
        if verbose and "Join Type" in raw:
            raw.setdefault("Inner Unique", False)
        if verbose and raw["Node Type"] == "Function Scan" and "Schema" not in raw:
            raw.pop("Function Name", None)  # several functions, or none any more: the name is the alias
        if timed and raw.get("Actual Loops") == 0:
            raw |= {"Actual Startup Time": 0.0, "Actual Total Time": 0.0}
    if "Actual Loops" in document.raw["Plan"]:
        _finish_triggers(document)
    return document.raw


def _relationships(node: _Node) -> Iterator[tuple[_Node, str]]:
    plain = [child for child in node.children if "Subplan Name" not in child.raw]
    for child in node.children:
        if (name := child.raw.get("Subplan Name")) is not None:
            yield child, "SubPlan" if name.startswith("SubPlan") else "InitPlan"
    kind = node.raw["Node Type"]
    # Until 13 a change of several partitions has a plan for each.
    several = kind == "ModifyTable" and len(plain) > 1
    for number, child in enumerate(plain):
        if kind in ("Append", "Merge Append", "BitmapAnd", "BitmapOr") or several:
            yield child, "Member"
        elif kind == "Subquery Scan":
            yield child, "Subquery"
        elif kind == "Custom Scan":
            yield child, "child" if len(plain) == 1 else "children"
        else:
            yield child, "Outer" if number == 0 else "Inner"


def _finish_keys(node: _Node) -> None:
    """Tell the keys of a plain GROUP BY from grouping sets, which print a line for each set."""
    if not node.keys:
        return
    _, key, items = node.keys[0]
    if len(node.keys) == 1 and key == "Group Key" and items:
        node.raw[key] = items
        return
    sets: list[Object] = []
    column = -1
    for at, key, items in node.keys:
        if key == "Sort Key":
            sets.append({key: items})
        elif key == "Hash Key":
            sets.append({"Hash Keys": [items]})
        elif sets and "Group Keys" in sets[-1] and at == column:
            sets[-1]["Group Keys"].append(items)
        elif sets and sets[-1].keys() == {"Sort Key"}:
            sets[-1]["Group Keys"] = [items]
        else:
            sets.append({"Group Keys": [items]})
        column = at
    node.raw["Grouping Sets"] = sets


def _finish_triggers(document: _Document) -> None:
    """Name the relation of triggers, which is left out where the statement changes only one."""
    triggers = document.raw.setdefault("Triggers", [])
    changes = [node.raw for node in document.nodes if node.raw["Node Type"] == "ModifyTable"]
    if len(changes) == 1 and "Relation Name" in changes[0]:
        table = changes[0].get("Target Tables", changes)[0]
        for trigger in triggers:
            trigger.setdefault("Relation", table["Relation Name"])

"""Comparing documents of FORMAT JSON with what was read from other formats."""

from __future__ import annotations

import re
from typing import Any


def differences(found: Any, expected: Any, path: str = "") -> list[str]:
    """Return where two documents differ in values or their types; a bare ``assert`` would show both whole."""
    if isinstance(found, dict) and isinstance(expected, dict):
        return [
            line
            for key in found.keys() | expected.keys()
            for line in differences(found.get(key, "absent"), expected.get(key, "absent"), f"{path}.{key}")
        ]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        return [line for at, (one, other) in pairs for line in differences(one, other, f"{path}[{at}]")]
    same = found == expected and type(found) is type(expected)
    return [] if same else [f"{path}: {found!r}, not {expected!r}"]


# What TEXT does not print while it is zero.
ZERO = re.compile(
    r"Rows Removed by .*|.* Blocks|.*I/O .* Time|WAL .*|Tuples (Inserted|Updated|Deleted|Skipped)"
    r"|Planned Partitions|Disk Usage|Subplans Removed"
)


def as_text_has_it(value: Any, *, verbose: bool) -> Any:
    """Return a document of FORMAT JSON without what TEXT does not print and nothing else in it tells."""
    if isinstance(value, list):
        return [as_text_has_it(item, verbose=verbose) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, item in value.items():
        if (ZERO.fullmatch(key) and item == 0) or (key == "Disabled" and item is False):
            continue
        if not verbose and (key == "Inner Unique" or (key == "Trigger Name" and "Constraint Name" in value)):
            continue
        item = as_text_has_it(item, verbose=verbose)
        if key == "Workers":
            item = [worker for worker in item if len(worker) > 1]
        if item in ([], {}) and key not in ("Triggers", "Group Keys", "Hash Keys"):
            continue
        kept[key] = item
    if kept.get("Node Type") == "Function Scan" and not verbose:
        # Without VERBOSE "on f" may be a function or the alias of several; the former is by far more usual.
        kept.setdefault("Function Name", kept["Alias"])
    if "Node Type" in kept:
        kept.setdefault("Async Capable", False)  # from 14 on
        members = [plan for plan in kept.get("Plans", ()) if plan["Parent Relationship"] == "Member"]
        if kept["Node Type"] == "ModifyTable" and len(members) == 1:
            members[0]["Parent Relationship"] = "Outer"  # "Member" until 13; TEXT is the same for both
    return kept

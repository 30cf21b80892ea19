"""The types that EXPLAIN (FORMAT JSON) gives to the values of its keys, PostgreSQL 13 to 18.

TEXT and XML print every value alike, so the key decides: a relation called "1" or "true" stays text.
"""

from __future__ import annotations

NUMBER = r"(-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Infinity|NaN))"
"""The pattern of a number, as a group."""

_BLOCKS = {f"{where} {what} Blocks" for where in ("Shared", "Local") for what in ("Hit", "Read", "Dirtied", "Written")}
_IO_TIMES = {f"{where}I/O {what} Time" for where in ("", "Shared ", "Local ", "Temp ") for what in ("Read", "Write")}

NUMBERS = frozenset(
    {"Startup Cost", "Total Cost", "Plan Rows", "Plan Width"}
    | {"Actual Startup Time", "Actual Total Time", "Actual Rows", "Actual Loops"}
    | {f"Rows Removed by {by}" for by in ("Filter", "Join Filter", "Index Recheck", "Conflict Filter")}
    | {"Heap Fetches", "Index Searches", "Exact Heap Blocks", "Lossy Heap Blocks"}
    | {"Workers Planned", "Workers Launched", "Worker Number", "Subplans Removed"}
    | {"Sort Space Used", "Group Count", "Average Sort Space Used", "Peak Sort Space Used"}
    | {"Hash Buckets", "Original Hash Buckets", "Hash Batches", "Original Hash Batches"}
    | {"Planned Partitions", "HashAgg Batches", "Peak Memory Usage", "Disk Usage", "Maximum Storage"}
    | {f"Cache {what}" for what in ("Hits", "Misses", "Evictions", "Overflows")}
    | {"Temp Read Blocks", "Temp Written Blocks"}
    | _BLOCKS
    | _IO_TIMES
    | {"WAL Records", "WAL FPI", "WAL Bytes", "WAL Buffers Full"}
    | {f"Tuples {what}" for what in ("Inserted", "Updated", "Deleted", "Skipped")}
    | {"Conflicting Tuples", "Batch Size", "Foreign File Size"}
    | {"Planning Time", "Execution Time", "Query Identifier", "Memory Used", "Memory Allocated", "Output Volume"}
    | {"Time", "Calls", "Functions", "Generation", "Deform", "Inlining", "Optimization", "Emission", "Total"}
)

# Inlining and Optimization are switches in JIT's Options and milliseconds in its Timing.
OPTIONS = frozenset({"Inlining", "Optimization", "Expressions", "Deforming"})
BOOLEANS = frozenset({"Parallel Aware", "Async Capable", "Disabled", "Inner Unique", "Single Copy"})

LISTS = frozenset(
    {"Output", "Sort Key", "Presorted Key", "Group Key", "Hash Key"}
    | {"Conflict Arbiter Indexes", "Sampling Parameters", "Sort Methods Used"}
)
"""Keys that hold a list of text."""

GROUPS = {
    "Plans": "Plan",
    "Workers": "Worker",
    "Triggers": "Trigger",
    "Target Tables": "Target Table",
    "Grouping Sets": "Grouping Set",
    "Group Keys": "Group Key",
    "Hash Keys": "Hash Key",
}
"""Keys that hold a list of objects or of lists, and what XML calls one of these."""


def number(text: str) -> int | float:
    """Return the number as JSON reads it: ``1`` is an int, ``1.00`` a float.

    :raises ValueError: it is none.
    """
    return int(text) if text.lstrip("-").isdigit() else float(text)


def typed(key: str, text: str) -> str | int | float | bool:
    """Return ``text`` as JSON gives the value of ``key``; what is not of the expected form stays text."""
    if key in NUMBERS:
        try:
            return number(text)
        except ValueError:
            return text
    if key in BOOLEANS and text in ("true", "false"):
        return text == "true"
    return text

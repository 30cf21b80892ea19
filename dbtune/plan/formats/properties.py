"""The lines below a node in TEXT: ``Sort Method: external merge  Disk: 24kB`` and the like."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from dbtune.plan.formats import keys, nodes

Object = dict[str, Any]

_GROUP_SPACE = ("Average Memory", "Peak Memory", "Average Disk", "Peak Disk")
# Several values share a line; the first of each row here leads it.
_TOGETHER = (
    ("Sort Method", "Memory", "Disk"),
    ("Full-sort Groups", "Sort Method", "Sort Methods", *_GROUP_SPACE),
    ("Pre-sorted Groups", "Sort Method", "Sort Methods", *_GROUP_SPACE),
    ("Buckets", "Batches", "Memory Usage"),
    ("Planned Partitions", "Batches", "HashAgg Batches", "Peak Memory Usage", "Memory Usage", "Disk Usage"),
    ("Batches", "Memory Usage", "Disk Usage"),
    ("Hits", "Misses", "Evictions", "Overflows", "Memory Usage"),
    ("Storage", "Maximum Storage"),
)
FOLLOWERS = {lead: frozenset(others) for lead, *others in _TOGETHER}
"""The names that may follow on the line of another."""

_PART = "|".join(sorted({re.escape(name) for row in _TOGETHER for name in row}))
_PARTS = re.compile(rf"(?:\A|(?<=\s))({_PART}): (.*?)(?=\s+(?:{_PART}): |\Z)", re.DOTALL)
_RENAMED_PARTS = {
    "Batches": "HashAgg Batches",
    "Memory Usage": "Peak Memory Usage",
    "Hits": "Cache Hits",
    "Misses": "Cache Misses",
    "Evictions": "Cache Evictions",
    "Overflows": "Cache Overflows",
}

_LIST_TOKENS = re.compile(r"""'[^']*'|"[^"]*"|[(\[{]|[)\]}]|, """)
_UNIT = re.compile(r" ?(?:ms|kB|b)\Z")
_COUNTER = re.compile(rf"([a-z]+(?: full)?)={keys.NUMBER}")
_SETTING = re.compile(r"([\w.]+) = (?:NULL|'(.*?)')(?:, (?=[\w.]+ = (?:NULL|'))|\Z)", re.DOTALL)
_SAMPLING = re.compile(r"Sampling: (\S+) \((.*?)\)(?: REPEATABLE \((.*)\))?", re.DOTALL)
_PLACES = {"shared": "Shared ", "local": "Local ", "temp": "Temp "}
_WAL = {"records": "WAL Records", "fpi": "WAL FPI", "bytes": "WAL Bytes", "buffers full": "WAL Buffers Full"}


def read(text: str) -> Object:
    """Return the keys and values of a line; one that is not known keeps its key, with its value as text.

    :raises ValueError: a known line is cut off.
    """
    key, _, value = text.partition(":")
    if (reader := _READERS.get(key)) is not None:
        return reader(text)
    value = value.removeprefix(" ")
    if key in keys.LISTS:
        return {key: split(value)}
    return {key: keys.typed(key, _UNIT.sub("", value) if key in keys.NUMBERS else value)}


def split(text: str) -> list[str]:
    """Return the expressions of a list, which commas outside of brackets and quotes separate."""
    if "," not in text:
        return [text]
    found: list[str] = []
    start = depth = 0
    for match in _LIST_TOKENS.finditer(text):
        token = match[0]
        if token in "([{":
            depth += 1
        elif token in ")]}":
            depth -= 1
        elif token == ", " and depth == 0:
            found.append(text[start : match.start()])
            start = match.end()
    return [*found, text[start:]]


def serialization(value: str) -> Object:
    """Return what sending the result took: ``time=0.012 ms  output=1kB  format=text``."""
    fields = dict(re.findall(r"(\w+)=(\S+)", value))
    raw: Object = {"Time": keys.number(fields["time"])} if "time" in fields else {}
    return raw | {"Output Volume": _amount(fields.get("output", "")), "Format": fields.get("format", "text")}


def jit_options(value: str) -> Object:
    """Return the switches of ``Inlining false, Optimization false, Expressions true, Deforming true``."""
    return {name: state == "true" for name, state in (part.split(" ", 1) for part in value.split(", "))}


def jit_timing(value: str) -> Object:
    """Return times in ms; from 17 on that of generation has parts."""
    times: Object = {name: keys.number(time) for name, time in re.findall(rf"([A-Z][a-z]+) {keys.NUMBER} ms", value)}
    if "Deform" not in times:
        return times
    generation = {"Deform": times.pop("Deform"), "Total": times.pop("Generation", 0.0)}
    return {"Generation": generation, **times}


def _amount(value: str) -> int | float:
    return keys.number(_UNIT.sub("", value))


def _counters(text: str, name: Callable[[str, str], str]) -> Object:
    """Return what ``Buffers: shared hit=1 read=2, temp written=3`` counts, under the names that ``name`` gives."""
    raw: Object = {}
    for group in text.partition(": ")[2].split(", "):
        where = group.partition(" ")[0]
        for what, value in _COUNTER.findall(group):
            raw[name(where, what)] = keys.number(value)
    return raw


def _parts(text: str) -> dict[str, str]:
    return {match[1]: match[2] for match in _PARTS.finditer(text)}


def _renamed_parts(text: str) -> Object:
    renamed = {_RENAMED_PARTS.get(name, name): value for name, value in _parts(text).items()}
    return {name: _amount(value) if name in keys.NUMBERS else value for name, value in renamed.items()}


def _sort_method(text: str) -> Object:
    parts = _parts(text)
    raw: Object = {"Sort Method": parts.pop("Sort Method")}
    for space, used in parts.items():
        raw |= {"Sort Space Used": _amount(used), "Sort Space Type": space}
    return raw


def _sort_groups(text: str) -> Object:
    parts = _parts(text)
    lead, count = next(iter(parts.items()))
    methods = parts.get("Sort Method") or parts.get("Sort Methods") or ""
    group: Object = {"Group Count": keys.number(count), "Sort Methods Used": methods.split(", ")}
    for space in ("Memory", "Disk"):
        if f"Peak {space}" in parts:
            group[f"Sort Space {space}"] = {
                f"{what} Sort Space Used": _amount(parts.get(f"{what} {space}", "")) for what in ("Average", "Peak")
            }
    return {lead: group}


def _hash(text: str) -> Object:
    """Return a hash join's table; what it was planned to be is printed only where that was another."""
    parts = _parts(text)
    raw: Object = {}
    for part in ("Buckets", "Batches"):
        now, *before = re.findall(r"\d+", parts.get(part, ""))
        raw[f"Hash {part}"] = int(now)
        raw[f"Original Hash {part}"] = int(before[0] if before else now)
    return raw | {"Peak Memory Usage": _amount(parts.get("Memory Usage", ""))}


def _sampling(text: str) -> Object:
    match = _SAMPLING.fullmatch(text)
    if match is None:
        raise ValueError
    method, parameters, seed = match.groups()
    raw: Object = {"Sampling Method": method, "Sampling Parameters": split(parameters)}
    return raw | ({"Repeatable Seed": seed} if seed is not None else {})


def _settings(text: str) -> Object:
    return {"Settings": {match[1]: match[2] for match in _SETTING.finditer(text.partition(": ")[2])}}


_READERS: dict[str, Callable[[str], Object]] = {
    "Buffers": lambda text: _counters(text, lambda where, what: f"{where.title()} {what.title()} Blocks"),
    # 13 and 14 name no place, 15 and 16 say shared/local: in JSON both are plain "I/O Read Time".
    "I/O Timings": lambda text: _counters(text, lambda where, what: f"{_PLACES.get(where, '')}I/O {what.title()} Time"),
    "WAL": lambda text: _counters(text, lambda where, what: _WAL.get(what, f"WAL {what.title()}")),
    "Heap Blocks": lambda text: _counters(text, lambda where, what: f"{what.title()} Heap Blocks"),
    "Tuples": lambda text: _counters(text, lambda where, what: f"Tuples {what.title()}"),
    "Memory": lambda text: _counters(text, lambda where, what: f"Memory {what.title()}"),
    "Sort Method": _sort_method,
    "Full-sort Groups": _sort_groups,
    "Pre-sorted Groups": _sort_groups,
    "Buckets": _hash,
    "Planned Partitions": _renamed_parts,
    "Batches": _renamed_parts,
    "Hits": _renamed_parts,
    "Storage": _renamed_parts,
    "Sampling": _sampling,
    "Settings": _settings,
}

_TRIGGER = re.compile(
    r"Trigger(?: (?!for constraint )(.+?))?(?: for constraint (.+?))?(?: on (.+))?: "
    rf"(?:time={keys.NUMBER} )?calls={keys.NUMBER}"
)


def trigger(text: str) -> Object | None:
    """Return what a trigger cost, by its name and its constraint's as far as they are printed; None for other text."""
    match = _TRIGGER.fullmatch(text)
    if match is None:
        return None
    names = zip(("Trigger Name", "Constraint Name", "Relation"), match.groups()[:3], strict=True)
    raw: Object = {key: name for key, name in names if name is not None}
    return raw | nodes.numbers(("Time", "Calls"), match.groups()[3:])

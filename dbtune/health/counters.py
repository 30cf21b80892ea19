"""Counters of a reading as plain numbers, and what was added to them since an earlier one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from dbtune.health.section import Section
from dbtune.health.state import Reading

Counts = Mapping[str, Mapping[str, int | float]]
"""Counters by object and counter, 0 where one is missing; an object that stands alone has the name ``""``."""

_SINGLES = {
    Section.SERVER: "server",
    Section.IO: "io",
    Section.CHECKPOINTS: "checkpoints",
    Section.WAL: "wal",
    Section.PARALLEL: "parallel",
}
_MANY = {Section.TABLES: "tables", Section.INDEXES: "indexes", Section.SEQUENCES: "sequences"}
TOP_STATEMENTS = 500
"""The entries of pg_stat_statements that are read: those that took most time."""

COUNTED = frozenset({*_SINGLES, *_MANY, Section.STATEMENTS})
"""The sections that count."""


def taken(reading: Reading) -> dict[Section, Counts]:
    """Return all counters of the sections that were read, but for those that are 0."""
    found: dict[Section, Counts] = {}
    for section, name in _SINGLES.items():
        if (value := getattr(reading, name)) is not None:
            found[section] = {"": _risen(value)}
    for section, name in _MANY.items():
        if section in reading.read:
            found[section] = {key: _risen(value) for key, value in getattr(reading, name).items()}
    if reading.statements is not None:
        found[Section.STATEMENTS] = {
            "": _risen(reading.statements.coverage),
            **{key: _risen(value) for key, value in reading.statements.top.items()},
        }
    return found


def resets(reading: Reading) -> dict[Section, tuple[datetime | None, ...]]:
    """Return by section what changes whenever its counters begin anew."""
    server = reading.server
    of_database = (server.stats_reset, server.life)
    found: dict[Section, tuple[datetime | None, ...]] = {
        Section.SERVER: (),
        Section.SEQUENCES: (),
        Section.TABLES: of_database,
        Section.INDEXES: of_database,
        Section.PARALLEL: of_database,
    }
    for section in (Section.IO, Section.CHECKPOINTS, Section.WAL):
        value = getattr(reading, _SINGLES[section])
        found[section] = (value.stats_reset if value is not None else None,)
    statements = reading.statements
    found[Section.STATEMENTS] = (statements.coverage.stats_reset if statements is not None else None,)
    return found


def since(reading: Reading, section: Section) -> datetime | None:
    """Return when the section's counters began, None where nobody knows."""
    if section in (Section.TABLES, Section.INDEXES, Section.PARALLEL):
        return reading.server.counters_since
    return next(iter(resets(reading)[section]), None)


def grown(reading: Reading, section: Section, before: Counts) -> Reading:
    """Return the reading with what was added to the section's counters since ``before``.

    What was not there before, or had counted further, began anew since: all that it has was added. The last value of a
    sequence is no sum; where it fell, nothing was added.
    """
    if section in _SINGLES:
        value = getattr(reading, _SINGLES[section])
        return _replaced(reading, _SINGLES[section], _added(value, before.get("")))
    if section in _MANY:
        values = getattr(reading, _MANY[section])
        is_sum = section is not Section.SEQUENCES
        added: dict[str, Any] = {key: _added(value, before.get(key), is_sum) for key, value in values.items()}
        return _replaced(reading, _MANY[section], added)
    assert reading.statements is not None
    coverage, top = reading.statements.coverage, reading.statements.top
    is_all = (
        len(before) <= TOP_STATEMENTS
    )  # one more, the coverage: else what is missing may only have been further down
    return replace(
        reading,
        statements=replace(
            reading.statements,
            coverage=_added(coverage, before.get("")),
            top={key: _added(value, before.get(key)) for key, value in top.items() if is_all or key in before},
        ),
    )


def _replaced(reading: Reading, name: str, value: Any) -> Reading:
    return replace(reading, **{name: value})


def _counts(value: Any) -> dict[str, int | float]:
    return {name: count for name in value.COUNTERS if (count := getattr(value, name)) is not None}


def _risen(value: Any) -> dict[str, int | float]:
    return {name: count for name, count in _counts(value).items() if count}


def _added(value: Any, before: Mapping[str, int | float] | None, is_sum: bool = True) -> Any:
    now = _counts(value)
    if before is None:
        return value if is_sum else replace(value, **dict.fromkeys(now, 0))
    if any(count < before.get(name, 0) for name, count in now.items()):
        return value if is_sum else replace(value, **dict.fromkeys(now, 0))
    return replace(value, **{name: count - before.get(name, 0) for name, count in now.items()})

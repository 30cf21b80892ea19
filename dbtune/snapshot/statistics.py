"""The statistics that ANALYZE gathered, as rows of pg_stats and its kin, and as values."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dbtune.snapshot.session import Row, Session
from dbtune.snapshot.value import ExtendedStatistics, Statistics

_OF_EXTENSIONS = 100
"""Kinds of statistics from here on are not PostgreSQL's own (pg_statistic.h)."""

Column = tuple[str, str, str, bool]
"""Schema, table or index, column, and whether with child tables."""


@dataclass(frozen=True, slots=True)
class OfColumns:
    """Statistics by column; ``foreign`` are the columns that have some which only an extension understands."""

    by_column: Mapping[Column, Statistics]
    foreign: Sequence[Column] = ()


@dataclass(frozen=True, slots=True)
class Extended:
    """Extended statistics by their table's OID, and (table's OID, name, what) of those that could not be read."""

    by_table: Mapping[int, Sequence[ExtendedStatistics]] = field(default_factory=dict)
    hidden: Sequence[tuple[int, str, str]] = ()


def of_columns(session: Session, oids: Sequence[int], *, may_read_statistics: bool) -> OfColumns:
    """Return the statistics of all columns, and of indexes' expressions, that the role may see."""
    found = {
        (row["schemaname"], row["tablename"], row["attname"], row["inherited"]): _statistics(row)
        for row in session.rows("snapshot_statistics")
    }
    foreign: dict[Column, None] = {}
    if may_read_statistics:
        for row in session.rows("snapshot_other_statistics", oids=list(oids)):
            key = (row["schemaname"], row["tablename"], row["attname"], row["inherited"])
            if row["kind"] >= _OF_EXTENSIONS:
                foreign[key] = None
            if key not in found:
                continue
            if row["kind"] == 6:
                found[key] = replace(
                    found[key], range_length_histogram=row["vals"], range_empty_frac=row["range_empty_frac"]
                )
            elif row["kind"] == 7:
                found[key] = replace(found[key], range_bounds_histogram=row["vals"])
    return OfColumns(found, tuple(foreign))


def _statistics(row: Row) -> Statistics:
    correlation = row["correlation"]
    return Statistics(
        null_frac=row["null_frac"],
        avg_width=row["avg_width"],
        n_distinct=row["n_distinct"],
        most_common_vals=row["most_common_vals"],
        most_common_freqs=tuple(row["most_common_freqs"] or ()),
        histogram_bounds=row["histogram_bounds"],
        correlation=None if correlation is None or math.isnan(correlation) else correlation,
        most_common_elems=row["most_common_elems"],
        most_common_elem_freqs=tuple(row["most_common_elem_freqs"] or ()),
        elem_count_histogram=tuple(row["elem_count_histogram"] or ()),
        range_length_histogram=row["range_length_histogram"],
        range_empty_frac=row["range_empty_frac"],
        range_bounds_histogram=row["range_bounds_histogram"],
    )


def extended(
    session: Session, oids: Sequence[int], *, hidden: Iterable[int], parents: Iterable[int], may_read_statistics: bool
) -> Extended:
    """Return the extended statistics of the tables.

    Row security ``hidden`` keeps data of those tables from the role. ``parents`` are partitioned tables: what counts
    there are the statistics with child tables.

    The bytes are in pg_statistic_ext_data alone; without the right to read that, pg_stats_ext gives all but the most
    common values to owners.
    """
    rows = session.rows("snapshot_extended", oids=list(oids))
    if not rows:
        return Extended()
    secret, partitioned = set(hidden), set(parents)
    visible = [row["oid"] for row in rows if row["stxrelid"] not in secret]
    data: dict[tuple[int, bool], Row] = {}
    expressions: dict[tuple[int, bool], dict[int, Statistics]] = {}
    names = {(row["schema"], row["name"]): row["oid"] for row in rows}
    if may_read_statistics:
        for row in session.rows("snapshot_extended_data", oids=visible):
            data[row["oid"], row["inherited"]] = row
        if session.version >= 140_000:
            for row in session.rows("snapshot_expressions", oids=visible):
                expressions.setdefault((row["oid"], row["inherited"]), {})[row["at"]] = _statistics(row)
    else:
        for row in session.rows("snapshot_extended_shown"):
            if (row["schema"], row["name"]) in names:
                data[names[row["schema"], row["name"]], row["inherited"]] = row
        if session.version >= 140_000:
            for row in session.rows("snapshot_expressions_shown"):
                if (row["schema"], row["name"]) in names:
                    key = (names[row["schema"], row["name"]], row["inherited"])
                    expressions.setdefault(key, {})[row["at"]] = _statistics(row)
    by_table: dict[int, list[ExtendedStatistics]] = {}
    unread: list[tuple[int, str, str]] = []
    for row in rows:
        both = {
            inherited: _extended(row, data.get((row["oid"], inherited)), expressions.get((row["oid"], inherited), {}))
            for inherited in (False, True)
            if (row["oid"], inherited) in data or (row["oid"], inherited) in expressions
        }
        main = both.pop(row["stxrelid"] in partitioned, None) or _extended(row, None, {})
        if both and row["stxrelid"] not in partitioned:
            main = replace(main, inherited=both[True])
        elif both:  # before 15 a partitioned table's are not told apart
            main = both[False]
        by_table.setdefault(row["stxrelid"], []).append(main)
        if not may_read_statistics or row["stxrelid"] in secret:
            shown = (row["oid"], False) in data or (row["oid"], True) in data
            if not shown:
                unread.append((row["stxrelid"], f"{row['schema']}.{row['name']}", "all"))
            elif "m" in row["kinds"]:
                unread.append((row["stxrelid"], f"{row['schema']}.{row['name']}", "mcv"))
    return Extended(by_table, unread)


def _extended(row: Row, data: Row | None, expressions: Mapping[int, Statistics]) -> ExtendedStatistics:
    return ExtendedStatistics(
        schema=row["schema"],
        name=row["name"],
        definition=row["definition"],
        kinds=tuple(row["kinds"]),
        ndistinct=_encoded(data, "ndistinct"),
        dependencies=_encoded(data, "dependencies"),
        mcv=_encoded(data, "mcv"),
        ndistinct_text=data["ndistinct_text"] if data is not None else None,
        dependencies_text=data["dependencies_text"] if data is not None else None,
        expressions=tuple(expressions.get(at) for at in range(1, max(expressions, default=0) + 1)),
    )


def _encoded(data: Row | None, name: str) -> str | None:
    if data is None or data[name] is None:
        return None
    return base64.b64encode(bytes(data[name])).decode("ascii")

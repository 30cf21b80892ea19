"""Tables as values, read by a few catalog queries: enough for sizes, and independent of how snapshots are collected."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from dbtune.server.connection import server_version_num
from dbtune.snapshot.value import Column, Constraint, ExistingIndex, ExtendedStatistics, Snapshot, Statistics, Table

_TABLES = """
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpages, c.reltuples,
       pg_catalog.pg_relation_size(c.oid) / 8192 AS pages,
       ARRAY(SELECT ARRAY[pn.nspname, p.relname]::text[] FROM pg_catalog.pg_inherits i
               JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
               JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid) AS inherits,
       pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'm') ORDER BY c.relname
"""
_COLUMNS = """
SELECT a.attrelid, a.attname, a.attnum, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, a.attlen, a.attalign,
       a.attbyval, a.attstorage, a.attnotnull,
       CASE WHEN a.attcollation NOT IN (0, t.typcollation) THEN pg_catalog.quote_ident(l.collname) END AS collation
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
 WHERE a.attrelid = ANY (:oids) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum
"""
_STATISTICS = """
SELECT s.tablename, s.attname, s.inherited, s.null_frac, s.avg_width, s.n_distinct, s.most_common_vals::text AS mcv,
       s.most_common_freqs, s.histogram_bounds::text AS bounds, s.correlation, s.most_common_elems::text AS mcelem,
       s.most_common_elem_freqs, s.elem_count_histogram
  FROM pg_catalog.pg_stats s WHERE s.schemaname = 'public'
"""
_CONSTRAINTS = """
SELECT c.conrelid, c.conname, c.contype, pg_catalog.pg_get_constraintdef(c.oid) AS definition, n.nspname, f.relname,
       ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY k(n, i)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY k.i) AS columns,
       ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(c.confkey) WITH ORDINALITY k(n, i)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY k.i) AS others
  FROM pg_catalog.pg_constraint c LEFT JOIN pg_catalog.pg_class f ON f.oid = c.confrelid
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = f.relnamespace WHERE c.conrelid = ANY (:oids) ORDER BY c.conname
"""
_INDEXES = """
SELECT i.indrelid, n.nspname, c.relname, pg_catalog.pg_get_indexdef(c.oid) AS definition, m.amname, i.indnkeyatts,
       i.indisunique, i.indisprimary, i.indisvalid, i.indisreplident, i.indisclustered, k.contype, k.conname,
       ARRAY(SELECT pg_catalog.pg_get_indexdef(c.oid, g.n, true)
               FROM pg_catalog.generate_series(1, i.indnatts) AS g(n) ORDER BY g.n) AS pieces,
       ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY u(n, at)
               LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.n AND u.n > 0
              ORDER BY u.at) AS columns,
       ARRAY(SELECT o.opcname::text FROM pg_catalog.unnest(i.indclass) WITH ORDINALITY u(oid, at)
               JOIN pg_catalog.pg_opclass o ON o.oid = u.oid ORDER BY u.at) AS opclasses,
       i.indoption::int2[] AS options, pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS predicate,
       pg_catalog.pg_relation_size(c.oid) / 8192 AS pages, c.reltuples,
       (SELECT s.idx_scan FROM pg_catalog.pg_stat_all_indexes s WHERE s.indexrelid = c.oid) AS idx_scan
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_am m ON m.oid = c.relam
  LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = c.oid AND k.contype IN ('p', 'u', 'x')
 WHERE i.indrelid = ANY (:oids) ORDER BY c.relname
"""
_EXTENDED = """
SELECT s.stxrelid, n.nspname, s.stxname, pg_catalog.pg_get_statisticsobjdef(s.oid) AS definition,
       d.stxdndistinct::text AS ndistinct, d.stxddependencies::text AS dependencies
  FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
  LEFT JOIN pg_catalog.pg_statistic_ext_data d ON d.stxoid = s.oid WHERE s.stxrelid = ANY (:oids) ORDER BY s.stxname
"""


def snapshot(connection: Connection) -> Snapshot:
    """Read all tables of the schema ``public``."""
    tables = [dict(row) for row in connection.execute(text(_TABLES)).mappings()]
    oids = {"oids": [row["oid"] for row in tables]}
    held: dict[tuple[str, str], dict[bool, Statistics]] = {}
    for row in connection.execute(text(_STATISTICS)).mappings():
        held.setdefault((row["tablename"], row["attname"]), {})[row["inherited"]] = _statistics(row)
    columns: dict[int, list[Column]] = {}
    names = {row["oid"]: row["relname"] for row in tables}
    for row in connection.execute(text(_COLUMNS), oids).mappings():
        here = held.get((names[row["attrelid"]], row["attname"]), {})
        columns.setdefault(row["attrelid"], []).append(
            Column(
                name=row["attname"], number=row["attnum"], type=row["type"], length=row["attlen"],
                align=row["attalign"], by_value=row["attbyval"], storage=row["attstorage"], not_null=row["attnotnull"],
                collation=row["collation"], statistics=here.get(False), inherited=here.get(True),
            )
        )  # fmt: skip
    constraints: dict[int, list[Constraint]] = {}
    for row in connection.execute(text(_CONSTRAINTS), oids).mappings():
        constraints.setdefault(row["conrelid"], []).append(
            Constraint(
                name=row["conname"], kind=row["contype"], definition=row["definition"], columns=tuple(row["columns"]),
                references=(row["nspname"], row["relname"]) if row["relname"] else None,
                referenced_columns=tuple(row["others"]),
            )
        )  # fmt: skip
    indexes: dict[int, list[ExistingIndex]] = {}
    for row in connection.execute(text(_INDEXES), oids).mappings():
        indexes.setdefault(row["indrelid"], []).append(_index(row, held.get((row["relname"], ""), {}), held))
    extended: dict[int, list[ExtendedStatistics]] = {}
    for row in connection.execute(text(_EXTENDED), oids).mappings():
        extended.setdefault(row["stxrelid"], []).append(
            ExtendedStatistics(
                schema=row["nspname"], name=row["stxname"], definition=row["definition"],
                ndistinct_text=row["ndistinct"], dependencies_text=row["dependencies"],
            )
        )  # fmt: skip
    version = server_version_num(connection)
    return Snapshot(
        server_version_num=version,
        server_version=str(version),
        database="test",
        taken_at=datetime(2026, 1, 1, tzinfo=UTC),
        tables=tuple(
            Table(
                schema=row["nspname"], name=row["relname"], kind=row["relkind"], pages=row["pages"],
                relpages=row["relpages"], reltuples=row["reltuples"], partition_bound=row["bound"],
                inherits=tuple((schema, name) for schema, name in row["inherits"]),
                columns=tuple(columns.get(row["oid"], ())), constraints=tuple(constraints.get(row["oid"], ())),
                indexes=tuple(indexes.get(row["oid"], ())), statistics=tuple(extended.get(row["oid"], ())),
            )
            for row in tables
        ),
    )  # fmt: skip


def _statistics(row: Any) -> Statistics:
    return Statistics(
        null_frac=row["null_frac"], avg_width=row["avg_width"], n_distinct=row["n_distinct"],
        most_common_vals=row["mcv"], most_common_freqs=tuple(row["most_common_freqs"] or ()),
        histogram_bounds=row["bounds"], correlation=row["correlation"], most_common_elems=row["mcelem"],
        most_common_elem_freqs=tuple(row["most_common_elem_freqs"] or ()),
        elem_count_histogram=tuple(row["elem_count_histogram"] or ()),
    )  # fmt: skip


def _index(row: Any, _: Any, held: dict[tuple[str, str], dict[bool, Statistics]]) -> ExistingIndex:
    keys = row["indnkeyatts"]
    statistics = {
        at: held[row["relname"], name][False]
        for at, name in enumerate(("expr", "lower"), start=1)
        if (row["relname"], name) in held
    }
    return ExistingIndex(
        schema=row["nspname"], name=row["relname"], definition=row["definition"], method=row["amname"],
        keys=tuple(row["pieces"][:keys]), key_columns=tuple(row["columns"][:keys]),
        include=tuple(row["columns"][keys:]), opclasses=tuple(row["opclasses"]), options=tuple(row["options"]),
        predicate=row["predicate"], pages=row["pages"], reltuples=row["reltuples"], is_unique=row["indisunique"],
        is_primary=row["indisprimary"], is_valid=row["indisvalid"], is_replica_identity=row["indisreplident"],
        constraint=row["contype"], constraint_name=row["conname"], idx_scan=row["idx_scan"] or 0,
        statistics=statistics,
    )  # fmt: skip


def encoded(data: bytes) -> str:
    """Return bytes as the snapshot keeps them."""
    return base64.b64encode(data).decode()

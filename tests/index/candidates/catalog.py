"""A snapshot of a small test database, by a few catalog queries: what candidates look at, no more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from dbtune.snapshot.value import Column, Constraint, ExistingIndex, SchemaObject, Snapshot, Statistics, Table

_USER = "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_'"


def snapshot(db: Connection) -> Snapshot:
    """Return the tables, statistics, indexes, views, functions and extensions of the database, after ANALYZE."""
    db.execute(text("ANALYZE"))
    db.commit()
    tables = tuple(_table(db, row) for row in _rows(db, _TABLES))
    version = db.execute(text("SHOW server_version_num")).scalar_one()
    found = Snapshot(
        server_version_num=int(version),
        server_version=str(version),
        database="test",
        taken_at=datetime(2026, 1, 1, tzinfo=UTC),
        collate=db.execute(text("SELECT datcollate FROM pg_database WHERE datname = current_database()")).scalar_one(),
        search_path=db.execute(text("SHOW search_path")).scalar_one(),
        objects=tuple(SchemaObject(**row) for row in _rows(db, _OBJECTS)),
        tables=tables,
        late_objects=tuple(SchemaObject(**row) for row in _rows(db, _VIEWS)),
    )
    db.rollback()
    return found


def _rows(db: Connection, statement: str, **values: object) -> list[dict[str, Any]]:
    return [dict(row) for row in db.execute(text(statement), values).mappings()]


_TABLES = f"""
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, c.relpersistence::text AS persistence,
       (CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) / 8192 ELSE 0 END)::int AS pages,
       c.relpages, c.reltuples, pg_get_expr(c.relpartbound, c.oid) AS partition_bound
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm', 'f') AND {_USER}
 ORDER BY 2, 3"""

_COLUMNS = """
SELECT a.attname AS name, a.attnum AS number, format_type(a.atttypid, a.atttypmod) AS type, a.attlen AS length,
       a.attalign::text AS align, a.attnotnull AS not_null, quote_ident(o.collname) AS collation
  FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
  LEFT JOIN pg_collation AS o ON o.oid = a.attcollation AND a.attcollation <> t.typcollation
 WHERE a.attrelid = :oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""

_STATISTICS = """
SELECT attname, inherited, null_frac, avg_width, n_distinct, most_common_vals::text, most_common_freqs,
       histogram_bounds::text, correlation
  FROM pg_stats WHERE schemaname = :schema AND tablename = :name"""

_INDEXES = """
SELECT n.nspname AS schema, c.relname AS name, pg_get_indexdef(c.oid) AS definition, m.amname AS method,
       i.indisunique AS is_unique, i.indisprimary AS is_primary, i.indisvalid AS is_valid, c.relpages AS pages,
       pg_get_expr(i.indpred, i.indrelid) AS predicate, k.contype::text AS constraint, i.indnkeyatts AS count,
       ARRAY(SELECT pg_get_indexdef(c.oid, g, true) FROM generate_series(1, i.indnatts) AS g) AS keys,
       ARRAY(SELECT (SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = i.indrelid
                      AND a.attnum = i.indkey[g - 1] AND a.attnum > 0)
               FROM generate_series(1, i.indnatts) AS g) AS plain,
       ARRAY(SELECT (SELECT o.opcname::text FROM pg_opclass AS o WHERE o.oid = i.indclass[g - 1])
               FROM generate_series(1, i.indnkeyatts) AS g) AS opclasses,
       ARRAY(SELECT i.indoption[g - 1]::int FROM generate_series(1, i.indnkeyatts) AS g) AS options
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_am AS m ON m.oid = c.relam LEFT JOIN pg_constraint AS k ON k.conindid = c.oid AND k.contype IN ('p', 'u', 'x')
 WHERE i.indrelid = :oid ORDER BY c.relname"""

_CONSTRAINTS = """
SELECT k.conname AS name, k.contype::text AS kind, pg_get_constraintdef(k.oid) AS definition,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (n, o)
               JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.o) AS columns,
       n.nspname AS to_schema, f.relname AS to_table
  FROM pg_constraint AS k LEFT JOIN pg_class AS f ON f.oid = k.confrelid
  LEFT JOIN pg_namespace AS n ON n.oid = f.relnamespace
 WHERE k.conrelid = :oid AND k.contype IN ('p', 'u', 'f') ORDER BY k.conname"""

_PARENTS = """
SELECT n.nspname AS schema, c.relname AS name
  FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhparent JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE i.inhrelid = :oid ORDER BY i.inhseqno"""

_OBJECTS = f"""
SELECT 'extension' AS kind, n.nspname AS schema, e.extname AS name, '' AS definition
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
UNION ALL
SELECT 'function', n.nspname, p.proname, pg_get_functiondef(p.oid)
  FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
 WHERE p.prokind = 'f' AND {_USER}
UNION ALL
SELECT 'type', n.nspname, t.typname,
       format('CREATE DOMAIN %I.%I AS %s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod))
  FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
 WHERE t.typtype = 'd' AND {_USER}
 ORDER BY 1, 2, 3"""

_VIEWS = f"""
SELECT 'view' AS kind, n.nspname AS schema, c.relname AS name,
       format('CREATE VIEW %I.%I AS %s', n.nspname, c.relname, pg_get_viewdef(c.oid)) AS definition
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind = 'v' AND {_USER}
 ORDER BY 2, 3"""


def _table(db: Connection, row: dict[str, Any]) -> Table:
    oid = row.pop("oid")
    own: dict[str, Statistics] = {}
    inherited: dict[str, Statistics] = {}
    for each in _rows(db, _STATISTICS, schema=row["schema"], name=row["name"]):
        name, with_children = each.pop("attname"), each.pop("inherited")
        each["most_common_freqs"] = tuple(each["most_common_freqs"] or ())
        (inherited if with_children else own)[name] = Statistics(**each)
    columns = [
        Column(**each, statistics=own.get(each["name"]), inherited=inherited.get(each["name"]))
        for each in _rows(db, _COLUMNS, oid=oid)
    ]
    return Table(
        **row,
        columns=tuple(columns),
        inherits=tuple((each["schema"], each["name"]) for each in _rows(db, _PARENTS, oid=oid)),
        constraints=tuple(_constraint(each) for each in _rows(db, _CONSTRAINTS, oid=oid)),
        indexes=tuple(_index(each) for each in _rows(db, _INDEXES, oid=oid)),
    )


def _constraint(row: dict[str, Any]) -> Constraint:
    schema, table = row.pop("to_schema"), row.pop("to_table")
    row["columns"] = tuple(row["columns"])
    return Constraint(**row, references=(schema, table) if table else None)


def _index(row: dict[str, Any]) -> ExistingIndex:
    count, keys, plain = row.pop("count"), row.pop("keys"), row.pop("plain")
    return ExistingIndex(
        **{**row, "opclasses": tuple(row["opclasses"]), "options": tuple(row["options"])},
        keys=tuple(keys[:count]),
        key_columns=tuple(plain[:count]),
        include=tuple(plain[count:]),
    )

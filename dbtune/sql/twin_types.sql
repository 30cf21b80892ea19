-- What pg_statistic says of each type beside its values (analyze.c): the default btree's operators = and <, else the
-- default hash's =, and the operator = of elements; range is a multirange's. 0 where there is none. Domains have those of
-- their base types, and enums, arrays, ranges and rows share one operator class each. Types of columns. PostgreSQL 13+.
WITH RECURSIVE wanted AS (
    SELECT DISTINCT a.atttypid AS type
      FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm', 'f')
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
), based AS (
    SELECT w.type, w.type AS base FROM wanted w
     UNION ALL
    SELECT b.type, t.typbasetype FROM based b JOIN pg_catalog.pg_type t ON t.oid = b.base WHERE t.typtype = 'd'
), plain AS (
    SELECT b.type, t.oid AS base, t.typelem AS elem
      FROM based b
      JOIN pg_catalog.pg_type t ON t.oid = b.base
     WHERE t.typtype <> 'd'
), asked AS (
    SELECT base AS type FROM plain
     UNION
    SELECT elem FROM plain WHERE elem <> 0
), classes AS (
    SELECT a.type, o.opcfamily, o.opcintype, m.amname,
           row_number() OVER (PARTITION BY a.type, m.amname ORDER BY o.opcintype = a.type DESC, o.oid) AS place
      FROM asked a
      JOIN pg_catalog.pg_type t ON t.oid = a.type
      JOIN pg_catalog.pg_opclass o ON o.opcdefault
      JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod AND m.amname IN ('btree', 'hash')
     WHERE o.opcintype = a.type
        OR o.opcintype = CASE t.typtype WHEN 'e' THEN 'anyenum'::regtype WHEN 'r' THEN 'anyrange'::regtype
                                        WHEN 'm' THEN to_regtype('anymultirange') WHEN 'c' THEN 'record'::regtype
                                        ELSE CASE WHEN t.typcategory = 'A' THEN 'anyarray'::regtype END END
        OR EXISTS (SELECT FROM pg_catalog.pg_cast k
                    WHERE k.castsource = a.type AND k.casttarget = o.opcintype AND k.castmethod = 'b'
                      AND k.castcontext = 'i')
), operators AS (
    SELECT c.type,
           max(p.amopopr::oid::int8) FILTER (WHERE c.amname = 'btree' AND p.amopstrategy = 3) AS tree_equal,
           max(p.amopopr::oid::int8) FILTER (WHERE c.amname = 'btree' AND p.amopstrategy = 1) AS less,
           max(p.amopopr::oid::int8) FILTER (WHERE c.amname = 'hash' AND p.amopstrategy = 1) AS hash_equal
      FROM classes c
      JOIN pg_catalog.pg_amop p
        ON p.amopfamily = c.opcfamily AND p.amoplefttype = c.opcintype AND p.amoprighttype = c.opcintype
     WHERE c.place = 1
     GROUP BY c.type
)
SELECT p.type::int8 AS type, p.base::int8 AS base, p.elem::int8 AS element,
       coalesce(o.tree_equal, o.hash_equal, 0) AS equal, coalesce(o.less, 0) AS less,
       coalesce(e.tree_equal, e.hash_equal, 0) AS element_equal,
       coalesce((SELECT r.rngtypid::int8 FROM pg_catalog.pg_range r
                  WHERE (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::int8 = p.base::int8), 0) AS range
  FROM plain p
  LEFT JOIN operators o ON o.type = p.base
  LEFT JOIN operators e ON e.type = p.elem

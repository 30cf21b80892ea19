-- Every type a column may have. kind is pg_type.typtype; element is an array's, base and base_typmod a domain's,
-- subtype a range's, range a multirange's; labels an enum's in order; attributes a composite's types in order;
-- checks a domain's conditions, which say VALUE. PostgreSQL 13 and later (multiranges from 14 on).
SELECT t.oid,
       n.nspname AS schema,
       t.typname AS name,
       t.typtype AS kind,
       t.typcategory AS category,
       CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END AS element,
       t.typbasetype AS base,
       t.typtypmod AS base_typmod,
       COALESCE(r.rngsubtype, 0) AS subtype,
       COALESCE((SELECT m.rngtypid FROM pg_catalog.pg_range AS m
                  WHERE (pg_catalog.to_jsonb(m) ->> 'rngmultitypid')::oid = t.oid), 0) AS range,
       ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum AS e
              WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels,
       ARRAY(SELECT a.atttypid::integer FROM pg_catalog.pg_attribute AS a
              WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
              ORDER BY a.attnum) AS attributes,
       ARRAY(SELECT pg_catalog.pg_get_expr(k.conbin, 0) FROM pg_catalog.pg_constraint AS k
              WHERE k.contypid = t.oid AND k.contype = 'c' ORDER BY k.oid) AS checks
FROM pg_catalog.pg_type AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_range AS r ON r.rngtypid = t.oid
WHERE t.typtype <> 'p'

/* dbtune */
-- One column's common and rare value in text format, from pg_stats (manual, 53.27), PostgreSQL 13+. The most common
-- value is the first of most_common_vals; a value in the middle of the histogram is rarer than all of those.
SELECT coalesce(m.vals[1], h.vals[(cardinality(h.vals) + 1) / 2]) AS common,
       coalesce(h.vals[(cardinality(h.vals) + 1) / 2], m.vals[cardinality(m.vals)]) AS rare
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_stats AS s ON s.schemaname = n.nspname AND s.tablename = c.relname
  CROSS JOIN LATERAL (SELECT s.most_common_vals::text::text[] AS vals) AS m
  CROSS JOIN LATERAL (SELECT s.histogram_bounds::text::text[] AS vals) AS h
 WHERE c.oid = to_regclass(:table) AND s.attname = :column
 ORDER BY s.inherited DESC
 LIMIT 1

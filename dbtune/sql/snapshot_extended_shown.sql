/* dbtune */
-- Data of extended statistics as pg_stats_ext shows them to the tables' owners, PostgreSQL 13+: all but the bytes of
-- the most common values. inherited (with child tables) came with 15.
SELECT s.statistics_schemaname::text AS schema, s.statistics_name::text AS name, /* inherited */ false AS inherited,
       s.n_distinct::bytea AS ndistinct, s.dependencies::bytea AS dependencies, NULL::bytea AS mcv,
       s.n_distinct::text AS ndistinct_text, s.dependencies::text AS dependencies_text,
       s.most_common_freqs IS NOT NULL AS has_mcv
  FROM pg_stats_ext AS s

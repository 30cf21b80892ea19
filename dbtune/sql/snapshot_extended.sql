/* dbtune */
-- Extended statistics of the tables in :oids, PostgreSQL 13+. kinds: d ndistinct, f dependencies, m most common values,
-- e expressions (14+). readable: whether pg_stats_ext shows them to the role (from the minor releases of May 2024 on
-- only to members of the table's owner).
SELECT s.oid, s.stxrelid, n.nspname::text AS schema, s.stxname::text AS name,
       pg_get_statisticsobjdef(s.oid) AS definition, s.stxkind::text[] AS kinds
  FROM pg_statistic_ext AS s
  JOIN pg_namespace AS n ON n.oid = s.stxnamespace
 WHERE s.stxrelid = ANY (:oids)
 ORDER BY s.stxrelid, n.nspname, s.stxname

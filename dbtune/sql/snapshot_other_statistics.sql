/* dbtune */
-- Statistics that pg_stats does not show, of the tables in :oids, PostgreSQL 13+, for who may read pg_statistic: of
-- range types (kind 6 lengths with the part of empty ones, kind 7 bounds; in pg_stats from 17 on), and of kinds that
-- only an extension understands (from 100 on; pg_statistic.h).
SELECT n.nspname::text AS schemaname, c.relname::text AS tablename, a.attname::text AS attname,
       s.stainherit AS inherited, k.kind,
       CASE WHEN k.kind = 6 THEN k.numbers[1] END AS range_empty_frac,
       CASE WHEN k.kind IN (6, 7) THEN k.vals END AS vals
  FROM pg_statistic AS s
  JOIN pg_class AS c ON c.oid = s.starelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = s.starelid AND a.attnum = s.staattnum
 CROSS JOIN LATERAL (VALUES (s.stakind1, s.stanumbers1, s.stavalues1::text), (s.stakind2, s.stanumbers2, s.stavalues2::text),
                            (s.stakind3, s.stanumbers3, s.stavalues3::text), (s.stakind4, s.stanumbers4, s.stavalues4::text),
                            (s.stakind5, s.stanumbers5, s.stavalues5::text)) AS k (kind, numbers, vals)
 WHERE s.starelid = ANY (:oids) AND NOT a.attisdropped
   AND (k.kind IN (6, 7) OR k.kind >= 100)
 ORDER BY n.nspname, c.relname, a.attname

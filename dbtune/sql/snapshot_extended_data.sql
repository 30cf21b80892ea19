/* dbtune */
-- Data of the extended statistics in :oids, for who may read pg_statistic_ext_data, PostgreSQL 13+. The data as bytes
-- (casts to bytea) and, but for most common values, as text. stxdinherit (with child tables) came with 15.
SELECT d.stxoid AS oid, /* stxdinherit */ false AS inherited,
       d.stxdndistinct::bytea AS ndistinct, d.stxddependencies::bytea AS dependencies, d.stxdmcv::bytea AS mcv,
       d.stxdndistinct::text AS ndistinct_text, d.stxddependencies::text AS dependencies_text
  FROM pg_statistic_ext_data AS d
 WHERE d.stxoid = ANY (:oids)

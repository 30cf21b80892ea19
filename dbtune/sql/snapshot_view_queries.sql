/* dbtune */
-- The queries of the views and materialised views in :oids, PostgreSQL 13+. Takes ACCESS SHARE on what they read.
SELECT c.oid, pg_get_viewdef(c.oid) AS query
  FROM pg_class AS c
 WHERE c.oid = ANY (:oids)

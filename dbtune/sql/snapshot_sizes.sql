/* dbtune */
-- Files of the relations in :oids now, in 8 kB pages, PostgreSQL 13+. NULL for one that was dropped meanwhile.
-- Takes ACCESS SHARE on each for a moment.
SELECT c.oid, pg_relation_size(c.oid) / 8192 AS pages
  FROM pg_class AS c
 WHERE c.oid = ANY (:oids) AND c.relkind IN ('r', 'm', 'i')

/* dbtune */
-- The bytes of a table that are neither free nor dead; pgstattuple_approx reads pages that are not all visible. 13+.
SELECT s.table_len - s.approx_free_space - s.dead_tuple_len
  FROM /* schema */pgstattuple_approx((:oid)::pg_catalog.oid::pg_catalog.regclass) AS s

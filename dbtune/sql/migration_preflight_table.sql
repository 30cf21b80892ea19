-- A table by its name, in :schema, or as the session's search_path has it where that is NULL; no row if there is none.
-- No rights are needed to find it. PostgreSQL 13+.
-- kind, persistence as in pg_class; rows is -1 where nobody counted (0 in 13). is_owner: this role has the owner's rights.
-- freeze_share: transactions or multixacts since the oldest row was frozen, as a part of those after which an autovacuum
-- does not give way any more (manual, 24.1.5); NULL where the table has no rows of its own.
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, c.relpersistence::text AS persistence,
       c.reltuples AS rows, pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS is_owner,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS may_use,
       pg_catalog.has_schema_privilege(n.oid, 'CREATE') AS may_create,
       pg_catalog.has_table_privilege(c.oid, 'SELECT') AS may_select,
       CASE WHEN c.relfrozenxid <> '0'::xid THEN greatest(
           pg_catalog.age(c.relfrozenxid)::float8 / least(
               pg_catalog.current_setting('autovacuum_freeze_max_age')::float8, o.freeze_max_age),
           pg_catalog.mxid_age(c.relminmxid)::float8 / least(
               pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::float8, o.multixact_freeze_max_age)
       ) END AS freeze_share
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (
       SELECT max(option_value::float8) FILTER (WHERE option_name = 'autovacuum_freeze_max_age'),
              max(option_value::float8) FILTER (WHERE option_name = 'autovacuum_multixact_freeze_max_age')
         FROM pg_catalog.pg_options_to_table(c.reloptions)) AS o (freeze_max_age, multixact_freeze_max_age)
 WHERE c.relname = :name
   AND CASE WHEN CAST(:schema AS text) IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = CAST(:schema AS text) END

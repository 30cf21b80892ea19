/* dbtune */
-- One row per table, partitioned table, materialised view and foreign table of the database's own, PostgreSQL 13+:
-- not of the system, not temporary, not an extension's. relpages and relallvisible in 8 kB pages and reltuples as of
-- the last VACUUM or ANALYZE (before the first one reltuples is -1 from 14 on, 0 in 13).
-- rls_active: row security hides statistics from this role.
SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       c.relpersistence::text AS persistence, c.relpages, c.reltuples, c.relallvisible,
       coalesce(c.reloptions, '{}')::text[] AS options,
       ARRAY(SELECT ARRAY[pn.nspname, p.relname]::text[]
               FROM pg_inherits AS i
               JOIN pg_class AS p ON p.oid = i.inhparent
               JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
              WHERE i.inhrelid = c.oid
              ORDER BY i.inhseqno) AS inherits,
       CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partition_key,
       pg_get_expr(c.relpartbound, c.oid) AS partition_bound,
       c.relrowsecurity AS row_security,
       c.relrowsecurity AND row_security_active(c.oid) AS rls_active,
       has_table_privilege(c.oid, 'SELECT') AS may_select,
       EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = c.oid) AS has_children,
       coalesce(s.spcname, d.spcname)::text AS tablespace,
       a.amname::text AS method,
       CASE WHEN c.relkind = 'f'
            THEN format('SERVER %I', f.srvname) || coalesce(
                     (SELECT ' OPTIONS (' || string_agg(format('%I %L', o.option_name, o.option_value), ', '
                                                        ORDER BY o.option_name) || ')'
                        FROM pg_options_to_table(t.ftoptions) AS o
                       WHERE o.option_name !~* '(pass|secret|token|key|use_remote_estimate)'), '')
        END AS definition
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_am AS a ON a.oid = c.relam
  LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace
  LEFT JOIN pg_tablespace AS d ON d.oid = (SELECT b.dattablespace FROM pg_database AS b
                                            WHERE b.datname = current_database())
  LEFT JOIN pg_foreign_table AS t ON t.ftrelid = c.oid
  LEFT JOIN pg_foreign_server AS f ON f.oid = t.ftserver
 WHERE c.relkind IN ('r', 'p', 'm', 'f')
   AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
 ORDER BY n.nspname, c.relname

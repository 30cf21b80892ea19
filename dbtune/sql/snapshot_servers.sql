/* dbtune */
-- Foreign data wrappers and foreign servers of the database's own, PostgreSQL 13+. Of a server's options only those
-- that the planner reads without asking the other side: no host, no user, no password.
SELECT 'pg_foreign_data_wrapper'::regclass::oid AS classid, w.oid AS objid, 'foreign data wrapper' AS kind,
       NULL::text AS schema, w.fdwname::text AS name,
       format('CREATE FOREIGN DATA WRAPPER %I', w.fdwname)
       || CASE WHEN w.fdwhandler <> 0 THEN format(' HANDLER %s', w.fdwhandler::regproc) ELSE '' END
       || CASE WHEN w.fdwvalidator <> 0 THEN format(' VALIDATOR %s', w.fdwvalidator::regproc) ELSE '' END AS definition
  FROM pg_foreign_data_wrapper AS w
 WHERE NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_foreign_data_wrapper'::regclass AND e.objid = w.oid AND e.deptype = 'e')
 UNION ALL
SELECT 'pg_foreign_server'::regclass::oid, s.oid, 'server', NULL, s.srvname::text,
       format('CREATE SERVER %I FOREIGN DATA WRAPPER %I', s.srvname, w.fdwname) || coalesce(
           (SELECT ' OPTIONS (' || string_agg(format('%I %L', o.option_name, o.option_value), ', '
                                              ORDER BY o.option_name) || ')'
              FROM pg_options_to_table(s.srvoptions) AS o
             WHERE o.option_name IN ('fdw_startup_cost', 'fdw_tuple_cost', 'extensions')), '')
  FROM pg_foreign_server AS s
  JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
 WHERE NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_foreign_server'::regclass AND e.objid = s.oid AND e.deptype = 'e')

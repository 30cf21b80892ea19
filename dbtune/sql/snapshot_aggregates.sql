/* dbtune */
-- Aggregates of the database's own, PostgreSQL 13+. Kinds of aggregate: n normal, o ordered-set, h hypothetical-set.
SELECT 'pg_proc'::regclass::oid AS classid, p.oid AS objid, 'aggregate' AS kind, n.nspname::text AS schema,
       format('%s(%s)', p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
       format('CREATE AGGREGATE %I.%I(%s) (SFUNC = %s, STYPE = %s', n.nspname, p.proname,
              coalesce(nullif(pg_get_function_identity_arguments(p.oid), ''), '*'), a.aggtransfn,
              format_type(a.aggtranstype, NULL))
       || CASE WHEN a.aggtransspace <> 0 THEN format(', SSPACE = %s', a.aggtransspace) ELSE '' END
       || CASE WHEN a.aggfinalfn <> 0 THEN format(', FINALFUNC = %s', a.aggfinalfn) ELSE '' END
       || CASE WHEN a.aggfinalextra THEN ', FINALFUNC_EXTRA' ELSE '' END
       || CASE WHEN a.aggfinalfn <> 0 THEN format(', FINALFUNC_MODIFY = %s', CASE a.aggfinalmodify
               WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END) ELSE '' END
       || CASE WHEN a.aggcombinefn <> 0 THEN format(', COMBINEFUNC = %s', a.aggcombinefn) ELSE '' END
       || CASE WHEN a.aggserialfn <> 0 THEN format(', SERIALFUNC = %s', a.aggserialfn) ELSE '' END
       || CASE WHEN a.aggdeserialfn <> 0 THEN format(', DESERIALFUNC = %s', a.aggdeserialfn) ELSE '' END
       || coalesce(', INITCOND = ' || quote_literal(a.agginitval), '')
       || CASE WHEN a.aggmtransfn <> 0 THEN format(', MSFUNC = %s, MINVFUNC = %s, MSTYPE = %s', a.aggmtransfn,
                                                   a.aggminvtransfn, format_type(a.aggmtranstype, NULL)) ELSE '' END
       || CASE WHEN a.aggmtransspace <> 0 THEN format(', MSSPACE = %s', a.aggmtransspace) ELSE '' END
       || CASE WHEN a.aggmfinalfn <> 0 THEN format(', MFINALFUNC = %s', a.aggmfinalfn) ELSE '' END
       || CASE WHEN a.aggmfinalextra THEN ', MFINALFUNC_EXTRA' ELSE '' END
       || CASE WHEN a.aggmfinalfn <> 0 THEN format(', MFINALFUNC_MODIFY = %s', CASE a.aggmfinalmodify
               WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END) ELSE '' END
       || coalesce(', MINITCOND = ' || quote_literal(a.aggminitval), '')
       || coalesce(', SORTOP = OPERATOR(' || quote_ident(sn.nspname) || '.' || s.oprname || ')', '')
       || format(', PARALLEL = %s', CASE p.proparallel
                 WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' ELSE 'UNSAFE' END)
       || CASE WHEN a.aggkind = 'h' THEN ', HYPOTHETICAL' ELSE '' END
       || ')' AS definition
  FROM pg_proc AS p
  JOIN pg_namespace AS n ON n.oid = p.pronamespace
  JOIN pg_aggregate AS a ON a.aggfnoid = p.oid
  LEFT JOIN pg_operator AS s ON s.oid = a.aggsortop
  LEFT JOIN pg_namespace AS sn ON sn.oid = s.oprnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype IN ('e', 'i'))

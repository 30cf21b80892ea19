/* dbtune */
-- Operators of the database's own, PostgreSQL 13+, without those only named by another one (oprcode is 0).
SELECT 'pg_operator'::regclass::oid AS classid, o.oid AS objid, 'operator' AS kind, n.nspname::text AS schema,
       format('%s(%s,%s)', o.oprname, CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE format_type(o.oprleft, NULL) END,
              format_type(o.oprright, NULL)) AS name,
       format('CREATE OPERATOR %I.%s (FUNCTION = %s', n.nspname, o.oprname, o.oprcode)
       || CASE WHEN o.oprleft <> 0 THEN format(', LEFTARG = %s', format_type(o.oprleft, NULL)) ELSE '' END
       || CASE WHEN o.oprright <> 0 THEN format(', RIGHTARG = %s', format_type(o.oprright, NULL)) ELSE '' END
       || coalesce(', COMMUTATOR = OPERATOR(' || quote_ident(cn.nspname) || '.' || c.oprname || ')', '')
       || coalesce(', NEGATOR = OPERATOR(' || quote_ident(gn.nspname) || '.' || g.oprname || ')', '')
       || CASE WHEN o.oprrest <> 0 THEN format(', RESTRICT = %s', o.oprrest) ELSE '' END
       || CASE WHEN o.oprjoin <> 0 THEN format(', JOIN = %s', o.oprjoin) ELSE '' END
       || CASE WHEN o.oprcanhash THEN ', HASHES' ELSE '' END
       || CASE WHEN o.oprcanmerge THEN ', MERGES' ELSE '' END
       || ')' AS definition
  FROM pg_operator AS o
  JOIN pg_namespace AS n ON n.oid = o.oprnamespace
  LEFT JOIN pg_operator AS c ON c.oid = o.oprcom
  LEFT JOIN pg_namespace AS cn ON cn.oid = c.oprnamespace
  LEFT JOIN pg_operator AS g ON g.oid = o.oprnegate
  LEFT JOIN pg_namespace AS gn ON gn.oid = g.oprnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND o.oprcode <> 0
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_operator'::regclass AND e.objid = o.oid AND e.deptype = 'e')

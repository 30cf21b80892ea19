/* dbtune */
-- Operators and functions that were added to an operator family by themselves (ALTER OPERATOR FAMILY ... ADD), one row
-- each, PostgreSQL 13+. An extension's own are left out.
SELECT 'pg_amop'::regclass::oid AS classid, o.oid AS objid, 'operator family member' AS kind, n.nspname::text AS schema,
       format('%s operator %s(%s,%s)', f.opfname, o.amopstrategy, format_type(o.amoplefttype, NULL),
              format_type(o.amoprighttype, NULL)) AS name,
       format('ALTER OPERATOR FAMILY %I.%I USING %I ADD OPERATOR %s %I.%s (%s, %s)', n.nspname, f.opfname,
              m.amname, o.amopstrategy, pn.nspname, p.oprname, format_type(o.amoplefttype, NULL),
              format_type(o.amoprighttype, NULL))
       || coalesce(' FOR ORDER BY ' || quote_ident(sn.nspname) || '.' || quote_ident(s.opfname), '') AS definition
  FROM pg_amop AS o
  JOIN pg_opfamily AS f ON f.oid = o.amopfamily
  JOIN pg_namespace AS n ON n.oid = f.opfnamespace
  JOIN pg_am AS m ON m.oid = f.opfmethod
  JOIN pg_operator AS p ON p.oid = o.amopopr
  JOIN pg_namespace AS pn ON pn.oid = p.oprnamespace
  LEFT JOIN pg_opfamily AS s ON s.oid = o.amopsortfamily
  LEFT JOIN pg_namespace AS sn ON sn.oid = s.opfnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.deptype = 'e' AND ((e.classid = 'pg_opfamily'::regclass AND e.objid = f.oid)
                                            OR (e.classid = 'pg_operator'::regclass AND e.objid = p.oid)))
   AND EXISTS (SELECT FROM pg_depend AS d
                WHERE d.classid = 'pg_amop'::regclass AND d.objid = o.oid AND d.refclassid = 'pg_opfamily'::regclass)
 UNION ALL
SELECT 'pg_amproc'::regclass::oid, r.oid, 'operator family member', n.nspname::text,
       format('%s function %s(%s,%s)', f.opfname, r.amprocnum, format_type(r.amproclefttype, NULL),
              format_type(r.amprocrighttype, NULL)),
       format('ALTER OPERATOR FAMILY %I.%I USING %I ADD FUNCTION %s (%s, %s) %s', n.nspname, f.opfname, m.amname,
              r.amprocnum, format_type(r.amproclefttype, NULL), format_type(r.amprocrighttype, NULL),
              r.amproc::oid::regprocedure)
  FROM pg_amproc AS r
  JOIN pg_opfamily AS f ON f.oid = r.amprocfamily
  JOIN pg_namespace AS n ON n.oid = f.opfnamespace
  JOIN pg_am AS m ON m.oid = f.opfmethod
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.deptype = 'e' AND ((e.classid = 'pg_opfamily'::regclass AND e.objid = f.oid)
                                            OR (e.classid = 'pg_proc'::regclass AND e.objid = r.amproc)))
   AND EXISTS (SELECT FROM pg_depend AS d
                WHERE d.classid = 'pg_amproc'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_opfamily'::regclass)

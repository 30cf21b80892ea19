/* dbtune */
-- Operator classes of the database's own, PostgreSQL 13+, each with the operators and functions that belong to it.
SELECT 'pg_opclass'::regclass::oid AS classid, c.oid AS objid, 'operator class' AS kind, n.nspname::text AS schema,
       c.opcname::text AS name,
       format('CREATE OPERATOR CLASS %I.%I%s FOR TYPE %s USING %I FAMILY %I.%I AS %s', n.nspname, c.opcname,
              CASE WHEN c.opcdefault THEN ' DEFAULT' ELSE '' END, format_type(c.opcintype, NULL), m.amname,
              fn.nspname, f.opfname,
              concat_ws(', ',
                  format('STORAGE %s', format_type(CASE WHEN c.opckeytype = 0 THEN c.opcintype ELSE c.opckeytype END, NULL)),
                  (SELECT string_agg(format('OPERATOR %s %I.%s (%s, %s)', o.amopstrategy, pn.nspname, p.oprname,
                                            format_type(o.amoplefttype, NULL), format_type(o.amoprighttype, NULL))
                                     || coalesce(' FOR ORDER BY ' || quote_ident(sn.nspname) || '.' || quote_ident(s.opfname), ''),
                                     ', ' ORDER BY o.amopstrategy, o.amoplefttype, o.amoprighttype)
                     FROM pg_depend AS d
                     JOIN pg_amop AS o ON o.oid = d.objid
                     JOIN pg_operator AS p ON p.oid = o.amopopr
                     JOIN pg_namespace AS pn ON pn.oid = p.oprnamespace
                     LEFT JOIN pg_opfamily AS s ON s.oid = o.amopsortfamily
                     LEFT JOIN pg_namespace AS sn ON sn.oid = s.opfnamespace
                    WHERE d.classid = 'pg_amop'::regclass AND d.refclassid = 'pg_opclass'::regclass
                      AND d.refobjid = c.oid),
                  (SELECT string_agg(format('FUNCTION %s (%s, %s) %s', r.amprocnum, format_type(r.amproclefttype, NULL),
                                            format_type(r.amprocrighttype, NULL), r.amproc::oid::regprocedure),
                                     ', ' ORDER BY r.amprocnum, r.amproclefttype, r.amprocrighttype)
                     FROM pg_depend AS d
                     JOIN pg_amproc AS r ON r.oid = d.objid
                    WHERE d.classid = 'pg_amproc'::regclass AND d.refclassid = 'pg_opclass'::regclass
                      AND d.refobjid = c.oid))) AS definition
  FROM pg_opclass AS c
  JOIN pg_namespace AS n ON n.oid = c.opcnamespace
  JOIN pg_am AS m ON m.oid = c.opcmethod
  JOIN pg_opfamily AS f ON f.oid = c.opcfamily
  JOIN pg_namespace AS fn ON fn.oid = f.opfnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_opclass'::regclass AND e.objid = c.oid AND e.deptype = 'e')

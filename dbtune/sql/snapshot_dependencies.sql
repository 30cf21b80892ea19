/* dbtune */
-- Which object needs which, as pairs of (class, OID), PostgreSQL 13+: pg_depend, with what has no statement of its own
-- replaced by what it belongs to: a default by its table, an index too, a rule by its view, an extension's member by the
-- extension. Row types, array types and the like stay, as links between others. Foreign keys are left out, because they
-- are made when all tables are there, and so is what owns a sequence. OIDs from 16384 on are users' (transam.h).
WITH part (classid, objid, ownerclass, owner) AS (
    SELECT 'pg_attrdef'::regclass::oid, a.oid, 'pg_class'::regclass::oid, a.adrelid FROM pg_attrdef AS a
     UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid,
           CASE WHEN k.conrelid <> 0 THEN 'pg_class'::regclass ELSE 'pg_type'::regclass END,
           CASE WHEN k.conrelid <> 0 THEN k.conrelid ELSE k.contypid END
      FROM pg_constraint AS k
     UNION ALL
    SELECT 'pg_rewrite'::regclass, r.oid, 'pg_class'::regclass, r.ev_class FROM pg_rewrite AS r
     UNION ALL
    SELECT 'pg_class'::regclass, i.indexrelid, 'pg_class'::regclass, i.indrelid FROM pg_index AS i
     UNION ALL
    SELECT 'pg_statistic_ext'::regclass, s.oid, 'pg_class'::regclass, s.stxrelid FROM pg_statistic_ext AS s
     UNION ALL
    SELECT 'pg_class'::regclass, c.oid, 'pg_type'::regclass, c.reltype FROM pg_class AS c WHERE c.relkind = 'c'
     UNION ALL
    SELECT d.classid, d.objid, d.refclassid, d.refobjid
      FROM pg_depend AS d
     WHERE d.classid IN ('pg_amop'::regclass, 'pg_amproc'::regclass) AND d.refclassid = 'pg_opclass'::regclass
     UNION ALL
    SELECT d.classid, d.objid, d.refclassid, d.refobjid FROM pg_depend AS d WHERE d.deptype = 'e'
)
SELECT DISTINCT coalesce(p.ownerclass, d.classid) AS classid, coalesce(p.owner, d.objid) AS objid,
       coalesce(q.ownerclass, d.refclassid) AS refclassid, coalesce(q.owner, d.refobjid) AS refobjid
  FROM pg_depend AS d
  LEFT JOIN part AS p ON p.classid = d.classid AND p.objid = d.objid
  LEFT JOIN part AS q ON q.classid = d.refclassid AND q.objid = d.refobjid
 WHERE d.objid >= 16384 AND d.refobjid >= 16384
   AND NOT EXISTS (SELECT FROM pg_constraint AS k
                    WHERE d.classid = 'pg_constraint'::regclass AND k.oid = d.objid AND k.contype = 'f')
   AND NOT EXISTS (SELECT FROM pg_class AS c
                    WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind = 'S'
                      AND d.refclassid = 'pg_class'::regclass)
   AND (coalesce(p.ownerclass, d.classid), coalesce(p.owner, d.objid))
       IS DISTINCT FROM (coalesce(q.ownerclass, d.refclassid), coalesce(q.owner, d.refobjid))

/* dbtune */
-- Text search configurations and dictionaries of the database's own, and then the mappings of configurations' token
-- types, PostgreSQL 13+. A dictionary may name a file in the server's share folder.
SELECT 'pg_ts_dict'::regclass::oid AS classid, d.oid AS objid, 'text search dictionary' AS kind,
       n.nspname::text AS schema, d.dictname::text AS name,
       format('CREATE TEXT SEARCH DICTIONARY %I.%I (TEMPLATE = %I.%I%s)', n.nspname, d.dictname, tn.nspname, t.tmplname,
              coalesce(', ' || d.dictinitoption, '')) AS definition
  FROM pg_ts_dict AS d
  JOIN pg_namespace AS n ON n.oid = d.dictnamespace
  JOIN pg_ts_template AS t ON t.oid = d.dicttemplate
  JOIN pg_namespace AS tn ON tn.oid = t.tmplnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_ts_dict'::regclass AND e.objid = d.oid AND e.deptype = 'e')
 UNION ALL
SELECT 'pg_ts_config'::regclass::oid, c.oid, 'text search configuration', n.nspname::text, c.cfgname::text,
       format('CREATE TEXT SEARCH CONFIGURATION %I.%I (PARSER = %I.%I)', n.nspname, c.cfgname, pn.nspname, p.prsname)
  FROM pg_ts_config AS c
  JOIN pg_namespace AS n ON n.oid = c.cfgnamespace
  JOIN pg_ts_parser AS p ON p.oid = c.cfgparser
  JOIN pg_namespace AS pn ON pn.oid = p.prsnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_ts_config'::regclass AND e.objid = c.oid AND e.deptype = 'e')
 UNION ALL
SELECT 'pg_ts_config'::regclass::oid, m.cfg, 'text search mapping', m.nspname::text,
       format('%s to %s', m.cfgname, m.dictionaries),
       format('ALTER TEXT SEARCH CONFIGURATION %I.%I ADD MAPPING FOR %s WITH %s', m.nspname, m.cfgname,
              string_agg(quote_ident(m.alias), ', ' ORDER BY m.alias), m.dictionaries)
  FROM (SELECT c.oid AS cfg, n.nspname, c.cfgname, k.alias,
               (SELECT string_agg(format('%I.%I', dn.nspname, d.dictname), ', ' ORDER BY p.mapseqno)
                  FROM pg_ts_config_map AS p
                  JOIN pg_ts_dict AS d ON d.oid = p.mapdict
                  JOIN pg_namespace AS dn ON dn.oid = d.dictnamespace
                 WHERE p.mapcfg = c.oid AND p.maptokentype = k.tokid) AS dictionaries
          FROM pg_ts_config AS c
          JOIN pg_namespace AS n ON n.oid = c.cfgnamespace
         CROSS JOIN LATERAL ts_token_type(c.cfgparser) AS k
         WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
           AND NOT EXISTS (SELECT FROM pg_depend AS e
                            WHERE e.classid = 'pg_ts_config'::regclass AND e.objid = c.oid AND e.deptype = 'e')) AS m
 WHERE m.dictionaries IS NOT NULL
 GROUP BY m.cfg, m.nspname, m.cfgname, m.dictionaries
 ORDER BY kind, schema, name

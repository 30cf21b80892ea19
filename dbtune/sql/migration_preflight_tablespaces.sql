-- The tablespaces in :names, of which '' is the database's own. PostgreSQL 13+. bytes is NULL where this role may not see
-- it; location is '' for those within data_directory.
SELECT t.spcname AS name, t.oid = d.dattablespace AS is_default, pg_catalog.pg_tablespace_location(t.oid) AS location,
       CASE WHEN t.oid = d.dattablespace OR pg_catalog.has_tablespace_privilege(t.oid, 'CREATE')
                 OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
            THEN pg_catalog.pg_tablespace_size(t.oid) END AS bytes
  FROM pg_catalog.pg_tablespace AS t
  JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database()
 WHERE t.spcname = ANY (:names) OR ('' = ANY (:names) AND t.oid = d.dattablespace)
 ORDER BY t.spcname

/* dbtune */
-- Every database and the age of the oldest transaction and multixact that it may still hold unfrozen. PostgreSQL 13+.
SELECT d.datname::text AS name, pg_catalog.age(d.datfrozenxid) AS xid_age, pg_catalog.mxid_age(d.datminmxid) AS mxid_age
  FROM pg_catalog.pg_database AS d

/* dbtune */
-- Roles and databases that may have only so many connections. PostgreSQL 13+. A superuser's own limit is not enforced.
SELECT 'role' AS kind, r.rolname::text AS name, r.rolconnlimit AS most
  FROM pg_catalog.pg_roles AS r
 WHERE r.rolconnlimit >= 0 AND r.rolcanlogin AND NOT r.rolsuper
UNION ALL
SELECT 'database', d.datname::text, d.datconnlimit
  FROM pg_catalog.pg_database AS d
 WHERE d.datconnlimit >= 0
 ORDER BY 1, 2

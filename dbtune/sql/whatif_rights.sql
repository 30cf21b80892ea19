-- What it takes to build indexes on a copy and to switch them in pg_index: a superuser, on a server that is no standby.
-- PostgreSQL 13+.
SELECT pg_catalog.current_setting('is_superuser') = 'on' AS superuser,
       pg_catalog.pg_is_in_recovery() AS standby

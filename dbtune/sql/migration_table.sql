-- The table that a name means, as the session's search_path has it; no row if there is none. kind as pg_class.relkind.
SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = pg_catalog.to_regclass(:name)

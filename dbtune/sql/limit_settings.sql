/* dbtune */
-- The settings that limit how many may connect and how long they may stay, and those that decide what can be seen.
-- PostgreSQL 13+; a setting that the version does not have has no row. setting is in unit (ms for time-outs).
SELECT s.name, s.setting, s.unit, s.source, s.pending_restart
  FROM pg_catalog.pg_settings AS s
 WHERE s.name = ANY (:names)

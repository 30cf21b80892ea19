/* dbtune */
-- The settings that are judged, and all that wait for a restart. PostgreSQL 13+. setting and boot_val in unit.
SELECT s.name, s.setting, s.unit, s.source, s.boot_val, s.pending_restart
  FROM pg_catalog.pg_settings AS s
 WHERE s.name = ANY (:names) OR s.pending_restart OR s.name LIKE 'enable\_%'

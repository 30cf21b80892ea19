/* dbtune */
-- Settings that bound memory, in pg_settings' units: work_mem in kB, shared_buffers and effective_cache_size in 8 kB
-- blocks, the others plain. hash_mem_multiplier is in all of 13+.
SELECT name, setting FROM pg_settings
 WHERE name IN ('work_mem', 'hash_mem_multiplier', 'shared_buffers', 'effective_cache_size', 'max_connections',
                'track_io_timing')
 ORDER BY name

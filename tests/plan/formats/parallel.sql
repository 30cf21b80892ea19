-- gather
SELECT * FROM item WHERE note = 'zz'

-- partial aggregate
SELECT count(*), max(name) FROM item

-- gather merge
-- set enable_hashagg = off
SELECT kind, note, count(*) FROM item GROUP BY kind, note

-- parallel hash
SELECT count(*) FROM item AS a JOIN item AS b ON a.id = b.parent

-- parallel index only
-- set enable_seqscan = off, enable_bitmapscan = off
SELECT count(kind) FROM item WHERE kind < 8

-- parallel bitmap
-- set enable_seqscan = off, enable_indexscan = off
SELECT count(note) FROM item WHERE kind < 3

-- parallel append
SELECT count(*) FROM part

-- parallel sort
SELECT * FROM item ORDER BY note, id

-- parallel incremental sort
-- set enable_seqscan = off, enable_bitmapscan = off
SELECT * FROM item ORDER BY kind, note

-- parallel memoize
-- set enable_hashjoin = off, enable_mergejoin = off
SELECT count(*) FROM item AS a JOIN item AS b ON b.id = a.kind

-- single copy
-- set debug_parallel_query = on
SELECT * FROM log

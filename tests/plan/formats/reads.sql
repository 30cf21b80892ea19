-- result
SELECT 1

-- one-time filter
SELECT * FROM item WHERE current_setting('x.y', true) = 'z'

-- no rows
SELECT * FROM item WHERE false

-- seq scan
SELECT name FROM item WHERE note LIKE 'x''%' AND name <> 'a, b' AND twice(kind) > 2

-- odd names
SELECT "true" FROM "Odd ""Name"", Inc." AS "the Alias" WHERE "a, b" = 'x" (' ORDER BY "The Key"

-- odd index
-- set enable_seqscan = off
SELECT * FROM "Odd ""Name"", Inc." WHERE "The Key" = 3

-- relation 1
SELECT "true" FROM "1" AS "false" WHERE "true"

-- index scan
-- set enable_bitmapscan = off
SELECT * FROM item WHERE id BETWEEN 5 AND 7 ORDER BY id DESC

-- index only
-- set enable_seqscan = off, enable_bitmapscan = off
SELECT kind FROM item WHERE kind < 3 ORDER BY kind

-- index expression
-- set enable_seqscan = off
SELECT id FROM item WHERE lower(name) = 'item 7' AND kind = 7

-- bitmap
-- set enable_seqscan = off, enable_indexscan = off
SELECT id FROM item WHERE kind = 3 AND parent < 50

-- bitmap or
-- set enable_seqscan = off
SELECT id FROM item WHERE (kind = 3 OR parent < 9) AND id > 40

-- bitmap and
-- set enable_seqscan = off
SELECT id FROM item WHERE kind = 3 AND id % 7 = 2

-- lossy
-- set work_mem = '64kB', enable_seqscan = off, enable_indexscan = off
SELECT * FROM item WHERE parent > 1

-- tid
SELECT * FROM item WHERE ctid = '(0,1)' OR ctid = '(1,1)'

-- tid range
SELECT * FROM item WHERE ctid > '(0,1)' AND ctid < '(1,1)'

-- sample
SELECT * FROM item TABLESAMPLE bernoulli (5) REPEATABLE (7) WHERE kind = 1

-- sample without seed
SELECT 1 FROM item TABLESAMPLE system (100)

-- function
SELECT * FROM generate_series(1, 10) WHERE generate_series > 3

-- function alias
SELECT * FROM generate_series(1, 10) AS g (x) WHERE x > 3

-- functions
SELECT * FROM ROWS FROM (generate_series(1, 3), unnest(array[1, 2])) WITH ORDINALITY AS f (a, b)

-- function of record
SELECT * FROM pair() AS p, json_to_record('{}') AS r (x int)

-- table function
SELECT * FROM json_each('{}'), json_object_keys('{}') WHERE key = 'x, y'

-- values
SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v (x, y) WHERE x > 1

-- values without alias
SELECT * FROM item WHERE (id, name) IN (VALUES (1, 'a'), (2, 'b'))

-- project set
SELECT generate_series(1, kind) FROM item WHERE id < 5

-- subquery
SELECT * FROM (SELECT kind, count(*) AS n FROM item GROUP BY kind OFFSET 0) AS s WHERE n > 3

-- cte
WITH c AS MATERIALIZED (SELECT * FROM item) SELECT * FROM c WHERE id = 3 UNION ALL SELECT * FROM c AS d

-- odd cte
WITH "My CTE" AS MATERIALIZED (SELECT 1 AS x) SELECT * FROM "My CTE"

-- recursive
WITH RECURSIVE up AS (SELECT id, parent
FROM item
WHERE id = 4000
UNION SELECT i.id, i.parent
FROM item AS i JOIN up ON i.id = up.parent) SELECT *
FROM up

-- init plan
SELECT *, (SELECT max(id) FROM item) FROM item WHERE kind = (SELECT min(kind) FROM item)

-- subplan
SELECT id, (SELECT max(name) FROM item AS j WHERE j.parent = i.id) FROM item AS i WHERE id < 5

-- hashed subplan
SELECT id FROM item WHERE kind NOT IN (SELECT id FROM log)

-- two subplans
SELECT id FROM item AS i WHERE EXISTS (SELECT 1 FROM log WHERE log.id = i.id) OR kind = 2

-- exists
SELECT EXISTS (SELECT 1 FROM item WHERE kind = 77)

-- nested loop
-- set enable_hashjoin = off, enable_mergejoin = off
SELECT * FROM item AS a JOIN item AS b ON a.id = b.parent WHERE a.id < 9

-- nested left
-- set enable_hashjoin = off, enable_mergejoin = off
SELECT *
FROM log AS a LEFT JOIN item AS b ON a.id = b.parent AND b.kind < a.id
WHERE b.id IS NULL OR b.kind = 1

-- nested semi
-- set enable_hashjoin = off, enable_mergejoin = off
SELECT * FROM item AS a WHERE EXISTS (SELECT 1 FROM item AS b WHERE b.parent = a.id) AND a.id < 5

-- memoize
-- set enable_hashjoin = off, enable_mergejoin = off
SELECT count(*) FROM item AS a JOIN item AS b ON b.id = a.kind

-- materialize
-- set enable_hashjoin = off, enable_mergejoin = off
SELECT count(*) FROM child AS a JOIN child AS b ON a.id < b.id

-- hash join
SELECT * FROM item AS a JOIN item AS b ON a.id = b.parent AND a.kind + b.kind < 7

-- hash left
-- set enable_mergejoin = off
SELECT * FROM item AS a LEFT JOIN log AS b ON a.id = b.id WHERE a.kind + coalesce(b.id, 1) > 3

-- hash right
-- set enable_mergejoin = off, enable_nestloop = off
SELECT * FROM log AS b LEFT JOIN item AS a ON a.id = b.id

-- hash full
-- set enable_mergejoin = off
SELECT * FROM item AS a FULL JOIN log AS b ON a.id = b.id

-- hash semi
-- set enable_mergejoin = off, enable_nestloop = off
SELECT * FROM item WHERE id IN (SELECT item FROM child)

-- hash right semi
-- set enable_mergejoin = off, enable_nestloop = off
SELECT * FROM child WHERE item IN (SELECT parent FROM item WHERE kind < 9)

-- hash anti
-- set enable_mergejoin = off, enable_nestloop = off
SELECT * FROM item AS a WHERE NOT EXISTS (SELECT 1 FROM child AS b WHERE b.item = a.id)

-- hash right anti
-- set enable_mergejoin = off, enable_nestloop = off
SELECT * FROM child AS a WHERE NOT EXISTS (SELECT 1 FROM item AS b WHERE b.id = a.item)

-- merge join
-- set enable_hashjoin = off, enable_nestloop = off
SELECT * FROM item AS a JOIN child AS b ON a.id = b.item

-- merge left
-- set enable_hashjoin = off, enable_nestloop = off
SELECT * FROM item AS a LEFT JOIN child AS b ON a.id = b.item

-- merge full
-- set enable_hashjoin = off, enable_nestloop = off
SELECT * FROM item AS a FULL JOIN child AS b ON a.id = b.item

-- merge anti
-- set enable_hashjoin = off, enable_nestloop = off
SELECT * FROM item AS a WHERE NOT EXISTS (SELECT 1 FROM child AS b WHERE b.item = a.id)

-- spilling hash
-- set work_mem = '64kB', enable_mergejoin = off
SELECT count(*) FROM item AS a JOIN item AS b ON a.id = b.parent

-- aggregate
SELECT count(*), sum(kind) FILTER (WHERE id > 3) FROM item

-- hash aggregate
SELECT kind, note, count(*) FROM item GROUP BY kind, note HAVING count(*) > 3

-- spilling aggregate
-- set work_mem = '64kB', enable_sort = off
SELECT name, count(*) FROM item GROUP BY name

-- group aggregate
-- set enable_hashagg = off
SELECT kind, upper(note), count(*) FROM item GROUP BY kind, upper(note)

-- group
-- set enable_hashagg = off
SELECT kind, note FROM item GROUP BY kind, note

-- one grouping set
SELECT kind, count(*) FROM item GROUP BY GROUPING SETS ((kind))

-- rollup
-- set enable_hashagg = off
SELECT kind, note, count(*) FROM item GROUP BY ROLLUP (kind, note)

-- sorted sets
-- set enable_hashagg = off
SELECT kind, note, count(*) FROM item GROUP BY GROUPING SETS ((kind, note), (name, kind), (note), ())

-- hashed sets
SELECT kind, note, count(*) FROM item GROUP BY GROUPING SETS ((kind, note), (kind), (note))

-- mixed sets
SELECT kind, note, count(*) FROM item GROUP BY CUBE (kind, note)

-- empty sets
SELECT count(*) FROM item GROUP BY GROUPING SETS ((), ())

-- mixed with distinct
SELECT kind, note, count(DISTINCT name) FROM item GROUP BY GROUPING SETS ((kind), (note), ())

-- unique
-- set enable_hashagg = off
SELECT DISTINCT kind, note FROM item

-- distinct on
SELECT DISTINCT ON (kind) kind, name FROM item ORDER BY kind, name DESC NULLS LAST

-- sort
SELECT * FROM item ORDER BY name COLLATE "C" DESC, kind NULLS FIRST, coalesce(note, 'a, b')

-- external sort
-- set work_mem = '64kB'
SELECT * FROM item ORDER BY note, id DESC

-- top-n
SELECT * FROM item ORDER BY note, id DESC LIMIT 3 OFFSET 1

-- incremental sort
-- set enable_seqscan = off, enable_bitmapscan = off
SELECT * FROM item ORDER BY kind, name LIMIT 700

-- incremental sort on disk
-- set work_mem = '64kB', enable_seqscan = off, enable_bitmapscan = off, enable_sort = off
SELECT * FROM item ORDER BY kind, note

-- window
SELECT kind, rank() OVER w, sum(id) OVER (PARTITION BY note)
FROM item
WINDOW w AS (PARTITION BY kind ORDER BY name ROWS 2 PRECEDING)

-- run condition
SELECT * FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM item) AS s WHERE n <= 3

-- union
SELECT kind FROM item UNION SELECT id FROM log

-- intersect
SELECT kind FROM item INTERSECT SELECT id FROM log

-- except all
SELECT kind FROM item EXCEPT ALL SELECT id FROM log

-- sorted set operation
-- set enable_hashagg = off
SELECT kind FROM item INTERSECT ALL SELECT id FROM log

-- append
SELECT * FROM part WHERE at < '2021-01-01'

-- one partition
SELECT * FROM part WHERE id = 1500

-- merge append
-- set enable_seqscan = off, enable_sort = off, enable_bitmapscan = off
SELECT kind FROM item WHERE kind > 2 UNION ALL SELECT parent FROM item ORDER BY 1 LIMIT 3

-- pruned at start
-- set plan_cache_mode = force_generic_plan
EXECUTE one_part (1500)

-- no partition left
-- set plan_cache_mode = force_generic_plan
EXECUTE one_part (-5)

-- limit
SELECT * FROM item LIMIT (SELECT 3)

-- lock rows
SELECT * FROM log FOR UPDATE

-- never executed
-- set enable_hashjoin = off, enable_mergejoin = off
SELECT * FROM log JOIN item ON item.id = log.id

-- disabled
-- set enable_seqscan = off
SELECT * FROM log WHERE id = 3

-- string with line break
SELECT id FROM item WHERE name = E'a\nb: (c' OR note = E'\n-> x' OR kind = 1

-- operators like arrows
SELECT j -> 'a' FROM (SELECT note::jsonb AS j FROM item WHERE note LIKE '{%' AND note::jsonb ->> 'x: y' = '->' OFFSET 0) AS s
 WHERE j -> 'Sort' ->> 'b' = 'Filter: x'

-- arrays and rows
SELECT array[id, kind], row(id, name), case when id > 3 then 'a, b' else name end FROM item

-- view
SELECT * FROM kinds WHERE kind = 3 AND n > (SELECT count(*) FROM log WHERE id = kind)

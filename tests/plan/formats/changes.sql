-- insert
INSERT INTO log SELECT id, name FROM item WHERE id < 10

-- insert values
INSERT INTO log VALUES (1, 'a'), (2, 'b') RETURNING id, what

-- conflict
INSERT INTO log AS l SELECT id % 3, 'n' || id % 3
FROM item
WHERE id IN (1, 2)
ON CONFLICT (what) DO UPDATE SET id = 1
WHERE l.id = 2

-- conflict ignored
INSERT INTO log VALUES (1, 'a') ON CONFLICT DO NOTHING

-- update
UPDATE item SET note = 'changed, twice' WHERE id = 5

-- update from
UPDATE log AS l SET what = i.name FROM item AS i WHERE i.id = l.id

-- update partitions
UPDATE part SET at = at + 1 WHERE id IN (1, 1500, 2500)

-- move between partitions
UPDATE part SET id = id + 1000 WHERE id = 1

-- update one partition
UPDATE part SET at = at + 1 WHERE id = 1

-- delete
DELETE FROM child WHERE id < 3

-- cascade
DELETE FROM item WHERE id = 4999

-- delete partitions
DELETE FROM part

-- changing cte
WITH gone AS (DELETE FROM child RETURNING *) INSERT INTO log SELECT id, 'gone' || id FROM gone

-- subplans in update
UPDATE log SET (id, what) = (SELECT max(id), 'x' FROM item)

-- temporary table
WITH made AS (INSERT INTO scratch SELECT id, name FROM item WHERE id < 3 RETURNING id) SELECT count(*) FROM made, scratch

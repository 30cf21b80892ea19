-- foreign scan
SELECT * FROM far_item WHERE kind = 3 AND twice(id) > 4

-- foreign join
SELECT a.name FROM far_item AS a JOIN far_item AS b ON a.id = b.parent WHERE b.kind = 2

-- foreign update
UPDATE far_item SET note = 'far, "away"' WHERE id = 3

-- foreign update row by row
UPDATE far_item SET note = twice(id)::text WHERE twice(id) = 6

-- foreign delete
DELETE FROM far_item WHERE id = 2 AND kind > 4

-- foreign insert
INSERT INTO far_item SELECT id + 90000, kind FROM item WHERE id < 3

-- foreign partitions
SELECT count(*) FROM far_part WHERE id > 5

-- foreign partitions changed
UPDATE far_part SET at = at + twice(1) WHERE id < 3

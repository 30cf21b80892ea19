-- merge, 15
MERGE INTO log AS l USING child AS c ON l.id = c.id
 WHEN MATCHED AND c.id > 1 THEN DELETE
 WHEN NOT MATCHED AND c.id < 9 THEN INSERT VALUES (c.id, 'n' || c.id)

-- merge into partitions, 15
MERGE INTO part AS p USING child AS c ON p.id = c.id
 WHEN MATCHED AND c.id < 5 THEN DELETE
 WHEN MATCHED THEN UPDATE SET at = at + 1

-- json table, 17
SELECT * FROM item, JSON_TABLE(jsonb '[1, 2]', '$[*]' COLUMNS (x int PATH '$')) AS j WHERE x = kind AND item.id < 30

-- xml table, 13
SELECT * FROM XMLTABLE('/a/b' PASSING xml '<a><b>1</b></a>' COLUMNS x int PATH '.', y text PATH '@y') AS t WHERE x > 0

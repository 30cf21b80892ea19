-- The indexes that revisions made: those that they built, by name, and those that bear their mark. PostgreSQL 13+.
-- bytes of a partitioned one is the sum of its partitions'; an index that is a part of another one goes with it.
SELECT DISTINCT found.revision,
       pg_catalog.format('%I.%I', n.nspname, c.relname) AS index,
       pg_catalog.format('%I.%I', tn.nspname, t.relname) AS table,
       i.indisvalid AND i.indisready AND i.indislive AS is_valid,
       coalesce(CASE WHEN c.relkind = 'I'
                     THEN (SELECT sum(pg_catalog.pg_relation_size(part.relid))
                             FROM pg_catalog.pg_partition_tree(c.oid) AS part WHERE part.isleaf)
                     ELSE pg_catalog.pg_relation_size(c.oid)
                 END, 0)::bigint AS bytes
  FROM (SELECT built.revision, pg_catalog.to_regclass(built.name)::oid AS oid
          FROM unnest(CAST(:revisions AS text[]), CAST(:names AS text[])) AS built (revision, name)
        UNION
        SELECT pg_catalog.split_part(d.description, ' ', 2), d.objoid
          FROM pg_catalog.pg_description AS d
         WHERE d.classoid = 'pg_catalog.pg_class'::regclass AND d.objsubid = 0 AND d.description LIKE 'dbtune %'
           AND pg_catalog.split_part(d.description, ' ', 2) = ANY (CAST(:done AS text[]))) AS found
  JOIN pg_catalog.pg_index AS i ON i.indexrelid = found.oid
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
 WHERE found.revision = ANY (CAST(:done AS text[]))
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = c.oid)
 ORDER BY 1, 2

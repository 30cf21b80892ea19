"""A database with one of everything that plans depend on, and queries over it."""

from __future__ import annotations

from sqlalchemy import Connection

from dbtune.index.whatif.planning import send
from dbtune.server.connection import server_version_num

SCHEMA = """
CREATE EXTENSION pg_trgm;
CREATE EXTENSION citext;
CREATE EXTENSION postgres_fdw;
CREATE SCHEMA "Odd Schema";
CREATE TYPE mood AS ENUM ('sad', 'fair', 'merry');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN small_positive AS positive CHECK (VALUE < 1000);
CREATE TYPE pair AS (a integer, b text);
CREATE TYPE distance AS RANGE (subtype = float8);
CREATE FUNCTION half(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 / 2';
CREATE TABLE customer (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone text, email citext UNIQUE, name text COLLATE "C" NOT NULL,
    mood mood NOT NULL, score positive, grade small_positive, born date, note text, tags text[], doc jsonb,
    stay int4range,    way distance, place point, both_of pair, also_gone integer, amount numeric(12, 2),
    flag boolean, token uuid, code varchar(12),
    short character(4), at timestamptz, address inet, weight double precision, words tsvector,
    doubled integer GENERATED ALWAYS AS (half(score) * 4) STORED, plain json, serial bigint,
    CONSTRAINT scored CHECK (score < 100000)
);
INSERT INTO customer (gone, email, name, mood, score, grade, born, note, tags, doc, stay, way, place, both_of,
                      also_gone, amount, flag, token, code, short, at, address, weight, words, plain, serial)
SELECT 'x', 'C' || g || '@example.org', 'name ' || g % 3000, (ARRAY['sad', 'fair', 'merry', 'merry'])[1 + g % 4]::mood,
       1 + g % 977, 1 + g % 7, date '1950-01-01' + g % 20000, CASE WHEN g % 50 = 0 THEN 'note ' || g % 11 END,
       ARRAY['t' || g % 13, 't' || g % 101], jsonb_build_object('kind', g % 9, 'name', 'n' || g % 700),
       int4range(g % 100, g % 100 + 1 + g % 17), distance(g % 10, g % 10 + 3.5), point(g % 10, g % 7),
       ROW(g % 5, 'b')::pair, g, (g % 5000) / 7.0, g % 3 = 0, md5((g % 9000)::text)::uuid, 'c' || g % 40, 's' || g % 6,
       timestamptz '2024-01-01 00:00+00' + g * interval '13 minutes', ('10.0.' || g % 200 || '.1')::inet,
       sqrt(g % 1000), to_tsvector('english', 'word' || g % 30 || ' other' || g % 7), '{"a": 1}', g
  FROM generate_series(1, 20000) AS g;
ALTER TABLE customer DROP COLUMN gone, DROP COLUMN also_gone;
CREATE INDEX customer_mood ON customer (mood);
CREATE INDEX customer_lower ON customer (lower(name));
CREATE INDEX customer_kind ON customer ((doc ->> 'kind'), score);
CREATE INDEX customer_sad ON customer (at) WHERE mood = 'sad';
CREATE INDEX customer_tags ON customer USING gin (tags);
CREATE INDEX customer_doc ON customer USING gin (doc jsonb_path_ops);
CREATE INDEX customer_trgm ON customer USING gist (name gist_trgm_ops);
CREATE INDEX customer_at_brin ON customer USING brin (at) WITH (pages_per_range = 8);
CREATE INDEX customer_token ON customer USING hash (token);
CREATE INDEX customer_stay ON customer USING gist (stay);
CREATE INDEX customer_cover ON customer (score) INCLUDE (amount);
CREATE INDEX customer_words ON customer USING gin (words);
CREATE STATISTICS customer_several (ndistinct, dependencies, mcv) ON score, grade, code FROM customer;
CREATE STATISTICS customer_enum (mcv) ON mood, code FROM customer;

CREATE TABLE purchase (id integer, customer_id integer REFERENCES customer, placed date, state text, total numeric,
                       PRIMARY KEY (id, placed)) PARTITION BY RANGE (placed);
CREATE TABLE purchase_2023 PARTITION OF purchase FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE purchase_2024 PARTITION OF purchase FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE purchase_rest PARTITION OF purchase DEFAULT;
CREATE INDEX purchase_customer ON purchase (customer_id);
INSERT INTO purchase SELECT g, 1 + (g * 7) % 20000, date '2023-01-01' + g % 800, 's' || g % 5, g % 1000
  FROM generate_series(1, 60000) AS g;
CREATE TABLE bucket (a integer, b text, c integer) PARTITION BY HASH (a, b);
CREATE TABLE bucket_0 PARTITION OF bucket FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE bucket_1 PARTITION OF bucket FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE INDEX bucket_a ON bucket (a);
INSERT INTO bucket SELECT g % 500, 'b' || g % 77, g FROM generate_series(1, 10000) AS g;

CREATE TABLE animal (id integer PRIMARY KEY, name text, legs integer, CONSTRAINT legs_known CHECK (legs >= 0));
CREATE TABLE bird (wings integer, CONSTRAINT two CHECK (legs = 2)) INHERITS (animal);
CREATE INDEX bird_id ON bird (id);
INSERT INTO animal SELECT g, 'a' || g, 4 FROM generate_series(1, 3000) AS g;
INSERT INTO bird SELECT g, 'b' || g, 2, 2 FROM generate_series(3001, 5000) AS g;

CREATE TABLE "Odd Schema"."Odd ""Table" ("Id" integer PRIMARY KEY, "a ""b"" c" text, "select" integer, "tab
line" integer);
INSERT INTO "Odd Schema"."Odd ""Table" SELECT g, 'v''' || g % 100, g % 10, g FROM generate_series(1, 5000) AS g;
CREATE INDEX "Odd Index %s" ON "Odd Schema"."Odd ""Table" ("a ""b"" c", "select");

CREATE TABLE guarded (id integer PRIMARY KEY, owner text);
INSERT INTO guarded SELECT g, 'o' || g % 10 FROM generate_series(1, 1000) AS g;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON guarded USING (owner = current_user);
CREATE TABLE empty (id integer PRIMARY KEY, what text);
CREATE VIEW merry AS SELECT id, name, score FROM customer WHERE mood = 'merry';
CREATE MATERIALIZED VIEW totals AS SELECT customer_id, sum(total) AS total FROM purchase GROUP BY customer_id;
CREATE UNIQUE INDEX totals_customer ON totals (customer_id);
CREATE FUNCTION best() RETURNS integer LANGUAGE sql STABLE AS 'SELECT max(score) FROM merry';
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere.invalid', dbname 'x');
CREATE FOREIGN TABLE far (id integer, what text) SERVER elsewhere;
CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (user 'u');
ALTER TABLE purchase_2023 ALTER COLUMN state SET STATISTICS 10;
"""

LATER = {
    140_000: """
CREATE STATISTICS customer_expressions ON (score % 10), lower(name), grade FROM customer;
CREATE TABLE period (id integer, of int4multirange);
INSERT INTO period SELECT g, int4multirange(int4range(g % 10, g % 10 + 5), int4range(50, 50 + g % 9))
  FROM generate_series(1, 2000) AS g;
""",
    180_000: "ALTER TABLE guarded ADD COLUMN twice integer GENERATED ALWAYS AS (id * 2) VIRTUAL;",
}

QUERIES = {
    "key": "SELECT * FROM customer WHERE id = 77",
    "tail": "SELECT * FROM customer WHERE id > 19990",
    "beyond": "SELECT * FROM purchase_2024 WHERE customer_id > 19000 ORDER BY customer_id LIMIT 10",
    "citext": "SELECT * FROM customer WHERE email = 'c12@EXAMPLE.org'",
    "enum": "SELECT count(*) FROM customer WHERE mood = 'sad'",
    "enum order": "SELECT * FROM customer WHERE mood < 'fair'",
    "domain": "SELECT * FROM customer WHERE score = 12 AND grade = 3",
    "domain range": "SELECT * FROM customer WHERE score < 20 AND grade > 4",
    "expression": "SELECT * FROM customer WHERE lower(name) = 'name 12'",
    "document": "SELECT * FROM customer WHERE doc ->> 'kind' = '4' AND score > 900",
    "partial": "SELECT * FROM customer WHERE mood = 'sad' AND at < '2024-01-03'",
    "array": "SELECT * FROM customer WHERE tags @> ARRAY['t5', 't77']",
    "array all": "SELECT * FROM customer WHERE tags <@ ARRAY['t5', 't77']",
    "contains": """SELECT * FROM customer WHERE doc @> '{"kind": 3}'""",
    "like": "SELECT * FROM customer WHERE name LIKE '%me 299%'",
    "prefix": "SELECT * FROM customer WHERE name LIKE 'name 29%'",
    "brin": "SELECT * FROM customer WHERE at BETWEEN '2024-02-01' AND '2024-02-03'",
    "hash": "SELECT * FROM customer WHERE token = 'c4ca4238-a0b9-2382-0dcc-509a6f75849b'",
    "range": "SELECT * FROM customer WHERE stay @> 5",
    "range overlap": "SELECT * FROM customer WHERE stay && int4range(3, 9) AND way @> 2.5::float8",
    "covering": "SELECT amount FROM customer WHERE score = 5",
    "text search": "SELECT * FROM customer WHERE words @@ to_tsquery('english', 'word3 & other2')",
    "null": "SELECT * FROM customer WHERE note IS NOT NULL AND note < 'note 5'",
    "generated": "SELECT * FROM customer WHERE doubled = 40",
    "composite": "SELECT * FROM customer WHERE both_of = ROW(1, 'b')::pair",
    "function": "SELECT half(score), count(*) FROM customer GROUP BY 1",
    "groups": "SELECT score, grade, code, count(*) FROM customer GROUP BY 1, 2, 3",
    "boolean": "SELECT * FROM customer WHERE flag AND weight < 10 AND address < '10.0.3.0'",
    "character": "SELECT code, short FROM customer WHERE short = 's3' AND code IN ('c1', 'c2')",
    "join": "SELECT c.name, p.total FROM customer c JOIN purchase p ON p.customer_id = c.id WHERE c.score = 7",
    "join all": "SELECT count(*) FROM customer c JOIN purchase p ON p.customer_id = c.id",
    "pruned": "SELECT * FROM purchase WHERE placed = '2024-03-01' AND customer_id = 77",
    "parts": "SELECT placed, sum(total) FROM purchase GROUP BY placed",
    "merge": "SELECT * FROM purchase ORDER BY customer_id LIMIT 20",
    "bucket": "SELECT * FROM bucket WHERE a = 5",
    "bucket one": "SELECT * FROM bucket WHERE a = 5 AND b = 'b3'",
    "inheritance": "SELECT * FROM animal WHERE id = 4000",
    "excluded": "SELECT * FROM animal WHERE legs = 4",
    "odd": """SELECT "select" FROM "Odd Schema"."Odd ""Table" WHERE "a ""b"" c" = 'v''7' AND "select" = 7""",
    "guarded": "SELECT * FROM guarded WHERE id = 5",
    "empty": "SELECT * FROM empty WHERE id = 5",
    "view": "SELECT * FROM merry WHERE score = 5",
    "materialised": "SELECT * FROM totals WHERE customer_id = 9",
    "foreign": "SELECT * FROM far WHERE id = 5",
    "update": "UPDATE customer SET score = 5 WHERE id = 12",
    "delete": "DELETE FROM purchase WHERE placed < '2023-02-01'",
    "insert": "INSERT INTO empty SELECT id, name FROM customer WHERE id < 10",
    "exists": "SELECT * FROM customer c WHERE NOT EXISTS (SELECT FROM purchase p WHERE p.customer_id = c.id)",
    "window": "SELECT id, rank() OVER (PARTITION BY mood ORDER BY score) FROM customer",
    "deepest": "SELECT max(at) FROM customer WHERE mood = 'sad'",
    "modulo": "SELECT score % 10, lower(name), grade, count(*) FROM customer GROUP BY 1, 2, 3",
}


def fill(connection: Connection) -> None:
    """Make it all, in a new database; statistics are gathered but for one table."""
    version = server_version_num(connection)
    for script in (SCHEMA, *(script for since, script in LATER.items() if version >= since)):
        send(connection, script)
    connection.commit()
    connection.execution_options(isolation_level="AUTOCOMMIT")
    names = connection.exec_driver_sql(
        "SELECT oid::regclass::text, relkind::text FROM pg_class WHERE relkind IN ('r', 'm', 'p')"
        " AND relnamespace IN ('public'::regnamespace, '\"Odd Schema\"'::regnamespace) AND relname <> 'empty'"
    )
    for name, kind in list(names):
        if kind == "r":  # the test says when statistics are gathered
            send(connection, f"ALTER TABLE {name} SET (autovacuum_enabled = off)")
        send(connection, f"VACUUM (ANALYZE) {name}")
    send(connection, "CREATE TABLE never (id integer PRIMARY KEY, what text) WITH (autovacuum_enabled = off)")
    send(connection, "INSERT INTO never SELECT g, 'w' || g FROM generate_series(1, 700) AS g")

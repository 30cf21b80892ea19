"""A schema with one of everything that a snapshot keeps, under names that try the quoting."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtune.server.connection import server_version_num
from dbtune.snapshot.value import Counters, Table

ODD = 'we:ird ".%s'
"""A schema's name with a colon, a quote, a dot and a percent sign."""

LONG = "é" * 31 + "x"
"""63 bytes, the longest name."""

_ICU = "PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false"

_SCHEMA = r"""
CREATE EXTENSION citext;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION cube;
CREATE EXTENSION earthdistance;
CREATE EXTENSION postgres_fdw;
CREATE SCHEMA "we:ird "".%s";
CREATE COLLATION nocase (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE DOMAIN email AS text COLLATE "C" DEFAULT 'x@y' NOT NULL CHECK (VALUE ~ '@') CHECK (length(VALUE) < 100);
CREATE DOMAIN work_email AS email CHECK (VALUE NOT LIKE '%@gmail.com');
CREATE TYPE mood AS ENUM ('sad', 'it''s', E'back\\slash', 'ok');
CREATE TYPE "we:ird "".%s"."a:b" AS (x int, "c d" text COLLATE "C", m mood);
CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi);
CREATE FUNCTION zero(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1; END $$;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT public.zero($1) * 2';
CREATE FUNCTION quoted(a text, b text DEFAULT 'it''s :x %s') RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT a || b $$;
CREATE FUNCTION no_plan() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', COMBINEFUNC = int4pl, PARALLEL = SAFE);
CREATE AGGREGATE least_of(int) (SFUNC = int4smaller, STYPE = int, SORTOP = OPERATOR(pg_catalog.<));
CREATE AGGREGATE rows_in(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');
CREATE FUNCTION close_to(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT abs($1 - $2) < 2';
CREATE OPERATOR ~=~ (FUNCTION = close_to, LEFTARG = int, RIGHTARG = int, COMMUTATOR = ~=~, NEGATOR = !~=~,
                     RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE FUNCTION far_from(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT NOT public.close_to($1, $2)';
CREATE OPERATOR !~=~ (FUNCTION = far_from, LEFTARG = int, RIGHTARG = int, NEGATOR = ~=~);
CREATE FUNCTION backwards(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($2, $1)';
CREATE OPERATOR FAMILY down USING btree;
CREATE OPERATOR CLASS down_ops FOR TYPE int USING btree FAMILY down AS
    OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 backwards(int, int);
ALTER OPERATOR FAMILY down USING btree ADD OPERATOR 3 = (int, bigint);
CREATE FUNCTION length_of(mood) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT length($1::text)';
CREATE CAST (mood AS int) WITH FUNCTION length_of(mood);
CREATE TEXT SEARCH DICTIONARY plain (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION search (COPY = english);
ALTER TEXT SEARCH CONFIGURATION search ALTER MAPPING FOR asciiword WITH plain, english_stem;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw
    OPTIONS (host 'secret.example', fdw_tuple_cost '0.2', extensions 'cube');
CREATE SEQUENCE tickets AS smallint INCREMENT BY 5 MAXVALUE 500 CYCLE;

CREATE TABLE customer (
    id int PRIMARY KEY,
    mail work_email,
    name citext,
    feeling mood,
    nick text COLLATE nocase,
    ticket int DEFAULT nextval('tickets'),
    tags text[],
    words tsvector,
    span span,
    doubled int GENERATED ALWAYS AS (twice(id)) STORED,
    CONSTRAINT "sane:id" CHECK (id > 0)
) WITH (fillfactor = 80, parallel_workers = 3);
CREATE INDEX customer_down ON customer (id down_ops);
CREATE INDEX customer_expressions ON customer (id, lower(mail), (feeling::int), twice(id)) INCLUDE (ticket)
    WHERE feeling <> 'sad';
CREATE INDEX customer_words ON customer USING gin (to_tsvector('search', nick));
CREATE INDEX customer_name ON customer USING gin (name gin_trgm_ops);
CREATE UNLOGGED TABLE "order" (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer int REFERENCES customer,
    serial serial,
    price money,
    place "we:ird "".%s"."a:b",
    UNIQUE (customer, serial)
);
CREATE TABLE "we:ird "".%s"."T:a ""%(x)s"" t" ("c:d" int, "%(x)s" text, who customer,
    EXCLUDE USING btree ("c:d" WITH =));
CREATE INDEX "i:x %s" ON "we:ird "".%s"."T:a ""%(x)s"" t" ("c:d" DESC NULLS LAST, lower("%(x)s")) WHERE "c:d" > 4;
CREATE TABLE "{long}" ("{long}" int);
CREATE TABLE base (a int, b int, CHECK (a > 0));
CREATE TABLE child (c int, CHECK (a < 1000)) INHERITS (base);
CREATE TABLE day (at date NOT NULL, kind text, n int, PRIMARY KEY (at, kind)) PARTITION BY RANGE (at);
CREATE TABLE day_1 PARTITION OF day FOR VALUES FROM ('2024-01-01') TO ('2024-02-01') PARTITION BY LIST (kind);
CREATE TABLE day_1_ab PARTITION OF day_1 FOR VALUES IN ('a', 'b');
CREATE TABLE day_rest PARTITION OF day DEFAULT;
CREATE INDEX day_n ON day (n);
CREATE FOREIGN TABLE remote (id int, v text) SERVER elsewhere OPTIONS (table_name 'other', use_remote_estimate 'true');
CREATE STATISTICS customer_stats (ndistinct, dependencies, mcv) ON feeling, nick FROM customer;
CREATE STATISTICS base_stats (dependencies, ndistinct) ON a, b FROM base;
CREATE STATISTICS day_stats (ndistinct) ON kind, n FROM day;

CREATE FUNCTION full_name(customer) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.name || $1.mail';
CREATE VIEW b_view AS SELECT c.id, c.full_name, count(*) FROM customer c GROUP BY c.id;
CREATE VIEW a_view WITH (security_barrier = true) AS SELECT * FROM b_view WHERE full_name <> 'a:b %s';
CREATE FUNCTION of_view() RETURNS SETOF a_view LANGUAGE sql STABLE AS 'SELECT * FROM public.a_view';
CREATE VIEW z_view AS SELECT f.id FROM of_view() f;
CREATE MATERIALIZED VIEW held AS SELECT id, full_name FROM a_view;
CREATE UNIQUE INDEX held_id ON held (id);
CREATE MATERIALIZED VIEW again AS SELECT id FROM held;

INSERT INTO customer (id, mail, name, feeling, nick, tags, words)
SELECT g, 'a' || g || '@b', 'name ' || g % 50, (ARRAY['sad', 'it''s', 'ok'])[1 + g % 3]::mood, 'n' || g % 7,
       ARRAY['x' || g % 5, 'y'], to_tsvector('english', 'word' || g % 9 || ' thing')
  FROM generate_series(1, 1000) AS g;
INSERT INTO base SELECT g, g % 5 FROM generate_series(1, 500) AS g;
INSERT INTO child SELECT g, g % 5, g FROM generate_series(1, 500) AS g;
INSERT INTO day SELECT '2024-01-01'::date + g % 60, (ARRAY['a', 'b'])[1 + g % 2], g FROM generate_series(1, 60) AS g;
INSERT INTO "we:ird "".%s"."T:a ""%(x)s"" t" SELECT g, 'v' || g FROM generate_series(1, 100) AS g;
REFRESH MATERIALIZED VIEW held;
"""


def make(db: Connection) -> None:
    """Make the schema and its rows, and commit; statistics are gathered but for the table ``"order"``."""
    schema = _SCHEMA.replace("{long}", LONG)
    try:
        with db.begin_nested():
            run(db, f"CREATE COLLATION probe ({_ICU}); DROP COLLATION probe")
    except DBAPIError:
        schema = schema.replace(_ICU, "LOCALE = 'C'")  # the server was built without ICU
    run(db, schema)
    if server_version_num(db) >= 140_000:
        run(db, "CREATE STATISTICS customer_exprs ON lower(mail), (id % 10) FROM customer")
    run(db, 'ANALYZE; INSERT INTO "order" (customer) SELECT g FROM generate_series(1, 10) g')
    db.commit()


def run(db: Connection, statements: str) -> None:
    """Run statements as they are: no parameters, no percent signs doubled."""
    db.exec_driver_sql(statements, execution_options={"no_parameters": True})


def uncounted(*tables: Table | None) -> tuple[Table, ...]:
    """Return the tables without their counters, which the server reports when it likes."""
    return tuple(
        replace(
            table,
            counters=Counters(),
            indexes=tuple(replace(index, idx_scan=0) for index in table.indexes),
        )
        for table in tables
        if table is not None
    )

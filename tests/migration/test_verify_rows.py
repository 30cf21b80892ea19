"""Rows made from a schema: of every type, unique where they must be, within checks, with parents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbtune.migration.verify import fill, inventory, schema
from dbtune.migration.verify.fill import Filled
from dbtune.migration.verify.schema import Kind
from dbtune.migration.verify.values import constants, value
from tests.migration.conftest import Run, session

TYPES = """
    int2, int4, int8, numeric, numeric(8,2), numeric(3,3), float4, float8, money, bool, text, varchar, varchar(3),
    varchar(40), char(2), name, "char", date, timestamp, timestamptz, time, timetz, interval, uuid, json, jsonb,
    jsonpath, bytea, inet, cidr, macaddr, macaddr8, point, line, lseg, box, path, polygon, circle, bit(3), bit(40),
    varbit(8), tsvector, tsquery, oid, pg_lsn, int4range, numrange, daterange, tstzrange, text[], int4[],
    shop.mood, shop.mood[], shop.address, shop.plz
"""
SCHEMA = """
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('glad', 'sad');
CREATE TYPE shop.address AS (street text, number int);
CREATE DOMAIN shop.plz AS text CHECK (VALUE IN ('1010', '1020')) NOT NULL;
CREATE TABLE shop.country (code char(2) PRIMARY KEY CHECK (code IN ('AT', 'DE', 'CH')));
CREATE TABLE shop.customer (
    id serial PRIMARY KEY, "e Mail" varchar(60) NOT NULL UNIQUE, country char(2) NOT NULL REFERENCES shop.country,
    born date CHECK (born > '1900-01-01'), sums numeric(6, 2) CHECK (sums > 0 AND sums < 500),
    made timestamptz NOT NULL DEFAULT now(), twice int GENERATED ALWAYS AS (length("e Mail") * 2) STORED,
    advised_by int REFERENCES shop.customer
);
CREATE TABLE shop.article (number int4 PRIMARY KEY, kind text NOT NULL CHECK (kind = 'big' OR length(kind) > 100));
CREATE TABLE shop.likes (
    g text, customer int REFERENCES shop.customer, article int REFERENCES shop.article, PRIMARY KEY (customer, article)
);
CREATE TABLE shop.event (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz, who int, PRIMARY KEY (id, at))
    PARTITION BY RANGE (at);
CREATE TABLE shop.event_24 PARTITION OF shop.event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop.event_25 PARTITION OF shop.event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE shop.part (id int, place text) PARTITION BY HASH (id);
CREATE TABLE shop.part_0 PARTITION OF shop.part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE shop.part_1 PARTITION OF shop.part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE shop.plate (id int PRIMARY KEY, sign text NOT NULL CHECK (sign ~ '^[A-Z]{2}-[0-9]{4}$'));
CREATE TABLE shop.orphan (id int PRIMARY KEY, plate int NOT NULL REFERENCES shop.plate);
CREATE TABLE shop.strange (id int PRIMARY KEY, what pg_snapshot NOT NULL);
"""


@pytest.fixture
def run(database_url: str) -> Iterator[Run]:
    with session(database_url) as opened:
        if opened("SHOW server_version_num")[0][0] < "130000":
            pytest.skip("pg_snapshot came with 13")
        opened(SCHEMA)
        yield opened


def filled(run: Run, *names: str, rows: int = 500) -> dict[str, Filled]:
    found = schema.read(run)
    oids = {table.full_name: oid for oid, table in found.tables.items()}
    return {each.table: each for each in fill.fill(run, found, [oids[f"shop.{name}"] for name in names], rows)}


def test_every_type_has_values(run: Run) -> None:
    types = [each.strip() for each in TYPES.replace("(8,2)", "(8;2)").replace("(3,3)", "(3;3)").split(",")]
    types = [each.replace(";", ",") for each in types]
    if run("SHOW server_version_num")[0][0] >= "140000":
        types += ["int8multirange", "tsmultirange"]
    columns = ", ".join(f"c{number} {each} NOT NULL" for number, each in enumerate(types))
    run(f"CREATE TABLE shop.types (id int PRIMARY KEY, {columns})")
    found = filled(run, "types")["shop.types"]
    assert (found.rows, found.why) == (500, None)


def test_keys_checks_and_parents(run: Run) -> None:
    found = filled(run, "customer", "likes", "article", rows=400)
    assert {name: (each.rows, each.why) for name, each in found.items()} == {
        "shop.customer": (400, None),
        "shop.likes": (400, None),
        "shop.article": (400, None),
        "shop.country": (3, "no more rows fulfil its constraints"),
    }
    assert list(found)[-1] == "shop.country"
    assert run('SELECT count(DISTINCT "e Mail"), count(DISTINCT country) FROM shop.customer') == [(400, 3)]
    assert run("SELECT count(DISTINCT customer) > 100 FROM shop.likes") == [(True,)]
    assert run("SELECT max(id) FROM shop.customer")[0][0] >= 400
    assert run("SELECT nextval('shop.customer_id_seq') > max(id) FROM shop.customer") == [(True,)]


def test_the_same_rows_every_time(run: Run) -> None:
    digest = "SELECT md5(string_agg(c::text, ',' ORDER BY id)) FROM shop.customer AS c"
    filled(run, "customer")
    first = run(digest)
    run("TRUNCATE shop.customer, shop.country, shop.likes RESTART IDENTITY")
    filled(run, "customer")
    assert run(digest) == first


def test_partitions_have_rows_each(run: Run) -> None:
    found = filled(run, "event", "part")
    assert {name: each.why for name, each in found.items()} == {"shop.event": None, "shop.part": None}
    for name in ("event_24", "event_25", "part_0", "part_1"):
        assert run(f"SELECT count(*) FROM shop.{name}")[0][0] >= 200


def test_what_cannot_be_filled_is_told_and_why(run: Run) -> None:
    found = filled(run, "plate", "orphan", "strange")
    assert {name: each.rows for name, each in found.items()} == dict.fromkeys(found, 0)
    assert found["shop.plate"].why == "no more rows fulfil its constraints"
    assert found["shop.orphan"].why == "plate must refer to a table that is empty"
    assert found["shop.strange"].why == "no values are known for what of type pg_catalog.pg_snapshot"


def test_rows_suit_the_unique_index_to_come(run: Run) -> None:
    run("CREATE TABLE shop.wanted (id int PRIMARY KEY, code int, note text, state shop.mood)")
    run("CREATE UNIQUE INDEX wanted_code ON shop.wanted (code, lower(note)) WHERE state = 'sad'")
    index = next(each for each in inventory.read(run, "none").things.values() if each.name == "wanted_code")
    run("DROP INDEX shop.wanted_code")
    found = schema.read(run)
    oid = next(oid for oid, table in found.tables.items() if table.name == "wanted")
    (told,) = fill.fill(run, found, [oid], 1500, [index])
    assert told.why is None
    run(str(index.definition))
    run("DROP INDEX shop.wanted_code")

    table = inventory.read(run, "none").things[oid]
    name, row = fill.duplicate(run, table, index)
    with pytest.raises(Exception, match="could not create unique index"):
        run(str(index.definition))
    run(f"DELETE FROM {name} WHERE ctid = '{row}'")
    run(str(index.definition))


def test_no_duplicate_where_another_index_forbids_it(run: Run) -> None:
    filled(run, "customer")
    run('CREATE UNIQUE INDEX customer_again ON shop.customer ("e Mail", country)')
    things = inventory.read(run, "none").things
    index = next(each for each in things.values() if each.name == "customer_again")
    run("DROP INDEX shop.customer_again")
    with pytest.raises(fill.NotFilled, match="is unique already"):
        fill.duplicate(run, things[index.of_table or 0], index)


def test_constants_of_conditions() -> None:
    condition = "((state = ANY (ARRAY['a'::text, 'it''s'::text])) AND (size > '-3'::integer) AND (x2 < 1.50))"
    assert constants(condition) == ["a", "it's", "-3", "1.50"]


def test_types_that_are_not_known_have_none() -> None:
    odd = Kind(1, "app", "odd", "b", "U", 0, 0, -1, 0, 0, (), (), ())
    assert value({1: odd}, 1, -1, "g", "x") is None
    assert value({}, 2, -1, "g", "x") is None

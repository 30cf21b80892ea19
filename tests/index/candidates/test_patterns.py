"""Everyday queries of small applications, and the index that an expert would give each, on a real server.

The expert's index must be among the candidates, the server must make every candidate, and its plan must use the
expert's: so its expressions and conditions are spelled as the planner matches them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from dbtune.index.candidates import candidates
from dbtune.index.definition import Index
from dbtune.plan.parse import parse
from dbtune.plan.tree import Plan
from dbtune.snapshot.value import Snapshot
from dbtune.workload.query import Query
from tests.index.candidates.catalog import snapshot

SCHEMA = """
CREATE EXTENSION pg_trgm;
CREATE TABLE customer (id integer PRIMARY KEY, email text, name varchar(60), region integer, tags text[], profile jsonb,
    deleted_at timestamptz, active boolean, search tsvector, note text);
INSERT INTO customer
SELECT n, 'Person' || n || '@example.com', 'Name ' || md5(n::text), n % 50, ARRAY['t' || n % 700, 'u' || n % 900],
       jsonb_build_object('sku', 'S' || n, 'kind', n % 10, 'flag' || n % 300, true),
       CASE WHEN n % 3 > 0 THEN timestamptz '2025-01-01' + n * interval '1 minute' END,
       n % 40 = 0, to_tsvector('english', 'word' || n % 500), repeat('x', 80)
  FROM generate_series(1, 20000) AS n;
CREATE TABLE purchase (id integer PRIMARY KEY, customer_id integer REFERENCES customer, status text, placed timestamp,
    priority integer, total numeric, code text, city text, note text);
INSERT INTO purchase
SELECT n, 1 + n * 7919 % 20000, CASE WHEN n % 10 > 0 THEN 'done' ELSE 'pending' END,
       timestamp '2025-01-01' + (n * 7919 % 40000) * interval '1 minute', n * 13 % 7, n * 31 % 1000,
       md5(n::text), 'city' || n % 300, repeat('y', 60)
  FROM generate_series(1, 40000) AS n;
CREATE TABLE "Order Line" ("Id" integer PRIMARY KEY, "Order" integer, "select" text);
INSERT INTO "Order Line" SELECT n, n % 9000, 'v' || n % 5000 FROM generate_series(1, 20000) AS n;
CREATE TABLE event (id integer, at date NOT NULL, account integer, what text) PARTITION BY RANGE (at);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2025-01-01') TO ('2025-07-01');
CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2025-07-01') TO ('2026-01-01');
INSERT INTO event SELECT n, date '2025-01-01' + n % 360, n % 3000, 'e' || n % 9 FROM generate_series(1, 30000) AS n;
CREATE VIEW live AS SELECT c.id, lower(c.email) AS address, c.region FROM customer AS c WHERE c.deleted_at IS NULL;
"""


@dataclass(frozen=True)
class Pattern:
    """A query and the target of the index that it should have; ``also`` is one without which that is of no use."""

    name: str
    statement: str
    wanted: str
    also: str | None = None


PATTERNS = [
    Pattern("lower", "SELECT id FROM customer WHERE lower(email) = 'a'", "customer ((lower(email)))"),
    Pattern("lower of varchar", "SELECT id FROM customer WHERE lower(name) = 'a'", "customer ((lower(name)))"),
    Pattern("json member", "SELECT id FROM customer WHERE profile->>'sku' = 'S7'", "customer ((profile ->> 'sku'))"),
    Pattern(
        "json contains",
        """SELECT id FROM customer WHERE profile @> '{"sku": "S7"}'""",
        "customer USING gin (profile jsonb_path_ops)",
    ),
    Pattern("json key", "SELECT id FROM customer WHERE profile ? 'flag7'", "customer USING gin (profile)"),
    Pattern("ilike", "SELECT id FROM customer WHERE email ILIKE '%son77%'", "customer USING gin (email gin_trgm_ops)"),
    Pattern(
        "ilike of varchar",
        "SELECT id FROM customer WHERE name ILIKE '%abcde%'",
        "customer USING gin (name gin_trgm_ops)",
    ),
    Pattern("array", "SELECT id FROM customer WHERE tags @> ARRAY['t7']", "customer USING gin (tags)"),
    Pattern(
        "text search",
        "SELECT id FROM customer WHERE search @@ to_tsquery('english', 'word7')",
        "customer USING gin (search)",
    ),
    Pattern(
        "partial and ordered",
        "SELECT * FROM purchase WHERE status = 'pending' ORDER BY placed LIMIT 5",
        "purchase (placed) WHERE status = 'pending'",
    ),
    Pattern(
        "not deleted",
        "SELECT id FROM customer WHERE deleted_at IS NULL AND region = 7",
        "customer (region) WHERE deleted_at IS NULL",
    ),
    Pattern(
        "covering",
        "SELECT total FROM purchase WHERE customer_id BETWEEN 5 AND 90",
        "purchase (customer_id) INCLUDE (total)",
    ),
    Pattern(
        "mixed order",
        "SELECT * FROM purchase ORDER BY priority DESC, placed LIMIT 5",
        "purchase (priority, placed DESC)",
    ),
    Pattern(
        "nulls last",
        "SELECT * FROM purchase ORDER BY placed DESC NULLS LAST LIMIT 5",
        "purchase (placed NULLS FIRST)",
    ),
    Pattern(
        "either of two",
        "SELECT * FROM purchase WHERE city = 'city7' OR code = 'x'",
        "purchase (code)",
        also="purchase (city)",
    ),
    Pattern(
        "join",
        "SELECT p.total FROM customer c JOIN purchase p ON p.customer_id = c.id WHERE c.email = 'a'"
        " AND p.status = 'pending'",
        "purchase (customer_id, status)",
    ),
    Pattern(
        "not exists",
        "SELECT c.id FROM customer c WHERE c.id < 9"
        " AND NOT EXISTS (SELECT 1 FROM purchase p WHERE p.customer_id = c.id)",
        "purchase (customer_id)",
    ),
    Pattern(
        "update", "UPDATE purchase SET total = 0 WHERE city = 'city7' AND priority = 3", "purchase (city, priority)"
    ),
    Pattern("delete", "DELETE FROM purchase WHERE placed < '2025-01-01 05:00'", "purchase (placed)"),
    Pattern("quoted", 'SELECT "select" FROM "Order Line" WHERE "Order" = 7', '"Order Line" ("Order")'),
    Pattern("prefix", "SELECT id FROM purchase WHERE code LIKE 'abcd%'", "purchase (code text_pattern_ops)"),
    Pattern(
        "equality and range",
        "SELECT * FROM purchase WHERE city = 'city7' AND placed > '2025-01-20'",
        "purchase (city, placed)",
    ),
    Pattern(
        "next page",
        "SELECT * FROM purchase WHERE (placed, id) < ('2025-01-20', 7) ORDER BY placed DESC, id DESC LIMIT 5",
        "purchase (placed, id)",
    ),
    Pattern(
        "date_trunc",
        "SELECT id FROM purchase WHERE date_trunc('day', placed) = '2025-01-03'",
        "purchase ((date_trunc('day', placed)))",
    ),
    Pattern("coalesce", "SELECT id FROM purchase WHERE coalesce(city, '') = 'x'", "purchase ((coalesce(city, '')))"),
    Pattern("greatest", "SELECT max(placed) FROM purchase", "purchase (placed)"),
    Pattern("boolean", "SELECT id FROM customer WHERE active AND region = 7", "customer (region) WHERE active"),
    Pattern(
        "latest of each",
        "SELECT c.id, l.total FROM customer c, LATERAL (SELECT total FROM purchase p WHERE p.customer_id = c.id"
        " ORDER BY p.placed DESC LIMIT 1) l WHERE c.id < 20",
        "purchase (customer_id, placed)",
    ),
    Pattern("view", "SELECT id FROM live WHERE address = 'a'", "customer ((lower(email)))"),
    Pattern("partitions", "SELECT * FROM event WHERE account = 7", "event (account)"),
    Pattern(
        "row in",
        "SELECT * FROM purchase WHERE (city, code) IN (('city1', 'x'), ('city2', 'y'))",
        "purchase (code, city)",
    ),
    Pattern(
        "first of each",
        "SELECT DISTINCT ON (city) city, placed FROM purchase ORDER BY city, placed",
        "purchase (city, placed)",
    ),
]


@pytest.fixture
def shop(db: Connection) -> tuple[Connection, Snapshot]:
    sent(db, SCHEMA)
    # as if text sorted by a language's rules: the test servers' locale is C, where LIKE needs no operator class
    return db, replace(snapshot(db), locale_provider="i", collate="en_GB.UTF-8")


def test_the_experts_index_is_found_and_used(shop: tuple[Connection, Snapshot]) -> None:
    db, taken = shop
    missed, unused = [], []
    for pattern in PATTERNS:
        result = candidates([Query(name=pattern.name, statement=pattern.statement)], taken)
        assert not result.unreadable
        by_target = {c.index.target: c.index for c in result.candidates}
        names = [f"public.{name}" for name in (pattern.wanted, pattern.also) if name is not None]
        if not set(names) <= set(by_target):
            missed.append((pattern.name, sorted(by_target)))
        elif not _uses(db, [by_target[name] for name in names], pattern.statement):
            unused.append(pattern.name)
    assert not missed
    assert not unused


def test_the_server_makes_every_candidate(shop: tuple[Connection, Snapshot]) -> None:
    db, taken = shop
    queries = [Query(name=p.name, statement=p.statement) for p in PATTERNS]
    result = candidates(queries, taken, max_width=4)
    assert len(result.candidates) > len(PATTERNS)
    db.exec_driver_sql("CREATE SCHEMA empty")
    for table in taken.tables:
        if table.partition_bound is None:
            db.exec_driver_sql(f'CREATE TABLE empty."{table.name}" (LIKE public."{table.name}")')
    for each in result.candidates:
        ddl = each.index.ddl().replace(" ON public.", " ON empty.")
        sent(db, ddl)


def test_plans_alone_find_it_too(shop: tuple[Connection, Snapshot]) -> None:
    db, taken = shop
    missed = []
    for pattern in PATTERNS:
        query = Query(name="q", statement=f"NOT SQL {pattern.statement}")
        result = candidates([query], taken, {"q": [_plan(db, pattern.statement)]})
        assert not result.unreadable
        if f"public.{pattern.wanted}" not in [c.index.target for c in result.candidates]:
            missed.append(pattern.name)
    assert missed == []


def test_text_and_plan_together_name_nothing_twice(shop: tuple[Connection, Snapshot]) -> None:
    db, taken = shop
    for pattern in PATTERNS:
        query = Query(name="q", statement=pattern.statement)
        result = candidates([query], taken, {"q": [_plan(db, pattern.statement)]})
        ddl = [c.index.ddl(name="x") for c in result.candidates]
        assert len(ddl) == len(set(ddl))
        assert f"public.{pattern.wanted}" in [c.index.target for c in result.candidates]


KINDS_OF_STATEMENTS = (
    (Path(__file__).parent / "statements.sql").read_text().partition("\n")[2].rstrip(";\n").split(";\n")
)


def test_statements_of_every_kind_are_read_and_their_candidates_made(shop: tuple[Connection, Snapshot]) -> None:
    db, taken = shop
    queries = [Query(name=f"{n:02}", statement=text) for n, text in enumerate(KINDS_OF_STATEMENTS)]
    result = candidates(queries, taken)
    assert result.unreadable == {}
    assert len(result.candidates) > len(queries)
    for each in result.candidates:
        sent(db, f"SAVEPOINT here; {each.index.ddl()}; ROLLBACK TO here")


def test_text_and_plan_spell_expressions_alike(shop: tuple[Connection, Snapshot]) -> None:
    db, taken = shop
    for statement in [*KINDS_OF_STATEMENTS, *(pattern.statement for pattern in PATTERNS)]:
        plan = _plan(db, statement)
        text = candidates([Query(name="q", statement=statement)], taken)
        only_plan = candidates([Query(name="q", statement=f"NOT SQL {statement}")], taken, {"q": [plan]})
        spelled = {k.text for c in text.candidates for k in c.index.keys if not k.is_column}
        assert {k.text for c in only_plan.candidates for k in c.index.keys if not k.is_column} <= spelled, statement


def sent(db: Connection, statement: str) -> list[tuple[Any, ...]]:
    """Send a statement as it is, its percent signs are no parameters; return its rows."""
    done = db.exec_driver_sql(statement, execution_options={"no_parameters": True})
    return [tuple(row) for row in done] if done.returns_rows else []


def _plan(db: Connection, statement: str) -> Plan:
    ((document,),) = sent(db, f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}")
    db.rollback()
    (plan,) = parse(document)
    return plan


def _uses(db: Connection, indexes: Sequence[Index], statement: str) -> bool:
    """Return whether the plan uses all the indexes once they are there and sequential scans are held against plans."""
    for at, index in enumerate(indexes):
        sent(db, index.ddl(name=f"wanted_{at}"))
    sent(db, "SET LOCAL enable_seqscan = off")
    ((document,),) = sent(db, f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}")
    parents: dict[str, str] = dict(sent(db, _PARENTS))
    db.rollback()
    (plan,) = parse(document)
    used = {parents.get(node.index_name, node.index_name) for node in plan.nodes if node.index_name is not None}
    return used >= {f"wanted_{at}" for at in range(len(indexes))}


_PARENTS = """
SELECT c.relname, p.relname
  FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid JOIN pg_class AS p ON p.oid = i.inhparent
 WHERE c.relkind = 'i'"""

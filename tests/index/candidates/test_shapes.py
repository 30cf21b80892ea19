"""Which keys stand in which order, on snapshots made by hand."""

from __future__ import annotations

import pytest

from dbtune.index.candidates import Candidates
from dbtune.snapshot.value import SchemaObject
from tests.index.candidates.build import candidate, column, found, index, query, snapshot, table, targets

T = table(
    "t",
    column("id", "bigint", distinct=-1),
    column("few", distinct=10),
    column("mid", distinct=1_000),
    column("many", distinct=-0.5),
    column("name", "text", width=30),
    column("placed", "timestamp without time zone"),
    column("flag", "boolean", distinct=2, common=[("f", 0.9), ("t", 0.1)]),
    column("doc", "jsonb", width=300),
    column("long", "text", width=400),
    column("number", "numeric"),
)
U = table("u", column("t_id", "bigint"), column("kind", distinct=20), column("at", "date"), "amount", "a", "b")
ONE = snapshot(T, U)


def firsts(result: Candidates) -> list[str]:
    """Return the candidates with a single key and nothing else."""
    return [
        each.index.target.removeprefix("public.")
        for each in result.candidates
        if len(each.index.keys) == 1 and not each.index.include
    ]


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        # fixed to a value, in any spelling
        ("SELECT * FROM t WHERE mid = 1", ["t (mid)"]),
        ("SELECT * FROM t WHERE mid IN (1, 2)", ["t (mid)"]),
        ("SELECT * FROM t WHERE mid = ANY ($1)", ["t (mid)"]),
        ("SELECT * FROM t WHERE 5 = mid", ["t (mid)"]),
        ("SELECT * FROM t WHERE mid IS NULL", ["t (mid)"]),
        ("SELECT * FROM t WHERE mid = 1 OR mid = 2", ["t (mid)"]),
        ("SELECT * FROM t WHERE mid OPERATOR(pg_catalog.=) 1", ["t (mid)"]),
        ("SELECT * FROM t WHERE NOT (mid <> 1)", ["t (mid)"]),
        ("SELECT * FROM t WHERE mid = (SELECT max(a) FROM u)", ["t (mid)"]),
        # both orders of two, and a few of three
        ("SELECT * FROM t WHERE few = 1 AND many = 2", ["t (few)", "t (many)", "t (few, many)", "t (many, few)"]),
        ("SELECT * FROM t WHERE (few, many) = (1, 2)", ["t (few, many)", "t (many, few)"]),
        ("SELECT * FROM t WHERE (few, many) IN ((1, 2), (3, 4))", ["t (few, many)", "t (many, few)"]),
        ("SELECT * FROM t WHERE few = 1 AND mid = 2 AND many = 3", ["t (many, mid, few)", "t (few, mid, many)"]),
        # then one range
        ("SELECT * FROM t WHERE few = 1 AND placed > now()", ["t (few, placed)", "t (placed)"]),
        ("SELECT * FROM t WHERE few = 1 AND placed BETWEEN $1 AND $2", ["t (few, placed)"]),
        ("SELECT * FROM t WHERE now() < placed AND few = 1", ["t (few, placed)"]),
        ("SELECT * FROM t WHERE few = 1 AND name LIKE 'ab%'", ["t (few, name text_pattern_ops)"]),
        ("SELECT * FROM t WHERE name ^@ 'ab'", ["t (name text_pattern_ops)"]),
        ("SELECT * FROM t WHERE starts_with(name, 'ab')", ["t (name text_pattern_ops)"]),
        ("SELECT * FROM t WHERE name ~ '^ab'", ["t (name text_pattern_ops)"]),
        ("SELECT * FROM t WHERE (placed, id) > ($1, $2)", ["t (placed, id)"]),
        # or an order
        ("SELECT * FROM t WHERE few = 1 ORDER BY placed LIMIT 5", ["t (few, placed)", "t (placed, few)"]),
        ("SELECT * FROM t ORDER BY placed DESC LIMIT 5", ["t (placed)"]),
        ("SELECT * FROM t ORDER BY placed DESC, id DESC LIMIT 5", ["t (placed, id)"]),
        ("SELECT * FROM t ORDER BY placed DESC, id LIMIT 5", ["t (placed, id DESC)"]),
        ("SELECT * FROM t ORDER BY placed, id DESC LIMIT 5", ["t (placed, id DESC)"]),
        ("SELECT * FROM t ORDER BY placed DESC NULLS LAST LIMIT 5", ["t (placed NULLS FIRST)"]),
        ("SELECT * FROM t ORDER BY placed NULLS FIRST LIMIT 5", ["t (placed NULLS FIRST)"]),
        ("SELECT * FROM t ORDER BY placed, id DESC NULLS LAST LIMIT 5", ["t (placed, id DESC NULLS LAST)"]),
        ("SELECT * FROM t WHERE few = 1 ORDER BY few, placed FETCH FIRST 5 ROWS ONLY", ["t (few, placed)"]),
        ("SELECT id, placed AS p FROM t ORDER BY p LIMIT 1", ["t (placed)"]),
        ("SELECT id, placed FROM t ORDER BY 2 LIMIT 1", ["t (placed)"]),
        ("SELECT few, count(*) FROM t GROUP BY few", ["t (few)"]),
        ("SELECT mid, few, sum(many) FROM t WHERE id = 1 GROUP BY 1, 2", ["t (id, mid, few)"]),
        ("SELECT DISTINCT few, mid FROM t", ["t (few, mid)"]),
        ("SELECT DISTINCT ON (few) few, placed FROM t ORDER BY few, placed DESC", ["t (few, placed DESC)"]),
        ("SELECT max(placed) FROM t WHERE few = 1", ["t (few, placed)"]),
        ("SELECT rank() OVER (PARTITION BY few ORDER BY placed DESC) FROM t", ["t (few, placed DESC)"]),
        ("SELECT (SELECT placed FROM t WHERE few = u.a ORDER BY placed LIMIT 1) FROM u", ["t (few, placed)"]),
        # joined, alone and with what is fixed before and behind
        ("SELECT * FROM t JOIN u ON u.t_id = t.id", ["t (id)", "u (t_id)"]),
        ("SELECT * FROM t, u WHERE u.t_id = t.id AND u.kind = 3", ["u (t_id, kind)", "u (kind, t_id)"]),
        ("SELECT * FROM t JOIN u ON u.a = t.few AND u.b = t.mid", ["u (a, b)", "u (b, a)", "t (few, mid)"]),
        ("SELECT * FROM t JOIN u ON u.t_id = t.id WHERE u.at > $1", ["u (t_id, at)"]),
        ("SELECT * FROM t JOIN u ON u.t_id = t.id AND u.at > t.placed", ["u (t_id, at)", "t (id, placed)"]),
        ("SELECT * FROM t LEFT JOIN u ON u.t_id = t.id AND u.kind = 3", ["u (t_id, kind)"]),
        ("SELECT * FROM t WHERE id IN (SELECT t_id FROM u WHERE kind = 3)", ["t (id)", "u (kind)", "u (t_id, kind)"]),
        ("SELECT * FROM t WHERE id = ANY (SELECT t_id FROM u)", ["t (id)", "u (t_id)"]),
        ("SELECT * FROM t WHERE (few, mid) IN (SELECT a, b FROM u)", ["t (few, mid)", "u (a, b)"]),
        ("SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id)", ["t (id)", "u (t_id)"]),
        ("SELECT * FROM t WHERE NOT EXISTS (SELECT FROM u WHERE u.t_id = t.id AND kind = 3)", ["u (t_id, kind)"]),
        ("SELECT * FROM t, LATERAL (SELECT * FROM u WHERE t_id = t.id ORDER BY at LIMIT 1) x", ["u (t_id, at)"]),
        ("SELECT a.id FROM t a JOIN t b ON b.many = a.id", ["t (many)", "t (id)"]),
        # OR: each arm for itself, with what all share
        ("SELECT * FROM t WHERE mid = 1 OR many = 2", ["t (mid)", "t (many)"]),
        ("SELECT * FROM t WHERE few = 1 AND (mid = 1 OR many = 2)", ["t (many, few)", "t (mid, few)"]),
        ("SELECT * FROM t WHERE (few = 1 AND many = 2) OR (few = 1 AND mid = 2)", ["t (few)", "t (many, few)"]),
        # statements that change rows
        ("UPDATE t SET name = 'x' WHERE mid = 1 AND placed < now()", ["t (mid, placed)"]),
        ("UPDATE t SET name = u.a FROM u WHERE u.t_id = t.id AND u.kind = 3", ["u (kind, t_id)", "t (id)"]),
        ("DELETE FROM t USING u WHERE u.t_id = t.id AND u.at < now()", ["u (at)", "t (id)"]),
        ("INSERT INTO u (a) SELECT few FROM t WHERE mid = 1", ["t (mid)"]),
        ("MERGE INTO t USING u ON t.id = u.t_id WHEN MATCHED THEN DELETE", ["t (id)", "u (t_id)"]),
        ("WITH gone AS (DELETE FROM t WHERE mid = 1 RETURNING id) SELECT * FROM gone", ["t (mid)"]),
        ("SELECT * FROM t WHERE mid = 1 FOR UPDATE", ["t (mid)"]),
        # expressions, as they are written
        ("SELECT * FROM t WHERE lower(name) = 'a'", ["t ((lower(name)))"]),
        ("SELECT * FROM t WHERE LOWER(name) = 'a'", ["t ((lower(name)))"]),
        ("SELECT * FROM t WHERE doc->>'k' = 'a' AND few = 1", ["t ((doc ->> 'k'), few)", "t (few, (doc ->> 'k'))"]),
        ("SELECT * FROM t WHERE (doc->'a'->>'b')::integer > 5", ["t ((CAST((doc -> 'a' ->> 'b') AS INT)))"]),
        ("SELECT * FROM t ORDER BY lower(name) LIMIT 3", ["t ((lower(name)))"]),
        ("SELECT * FROM t WHERE name COLLATE \"C\" > 'a'", ['t (name COLLATE "C")']),
        ("SELECT * FROM t WHERE few + mid = 3", ["t ((few + mid))"]),
        ("SELECT * FROM t WHERE extract(year FROM placed) = 2025", ["t ((EXTRACT(YEAR FROM placed)))"]),
        ("SELECT * FROM t WHERE placed::date = $1", ["t ((CAST(placed AS DATE)))"]),
        # looked through
        ("SELECT * FROM (SELECT * FROM t) x WHERE x.mid = 1", ["t (mid)"]),
        ("WITH x AS (SELECT id, mid AS s FROM t) SELECT * FROM x WHERE s = 1", ["t (mid)"]),
        ("SELECT * FROM (SELECT mid, count(*) FROM t GROUP BY mid) x WHERE mid = 1", ["t (mid)"]),
        ("SELECT * FROM (SELECT mid FROM t UNION ALL SELECT a FROM u) x WHERE mid = 1", ["t (mid)", "u (a)"]),
        ("SELECT id FROM t WHERE mid = 1 UNION SELECT t_id FROM u WHERE kind = 3", ["t (mid)", "u (kind)"]),
        ("SELECT * FROM t x (key) WHERE key = 1", ["t (id)"]),
        ("WITH x AS (SELECT x.id FROM t x WHERE mid = 1) SELECT * FROM x, u WHERE t_id = x.id", ["t (mid)"]),
        ("WITH x AS (SELECT x AS id, mid AS s FROM t) SELECT * FROM x WHERE s = 1", ["t (mid)"]),
        ("SELECT * FROM u, LATERAL (SELECT * FROM t WHERE few = kind) x", ["t (few)", "u (kind)"]),
        ("SELECT * FROM (t JOIN u ON u.t_id = t.id) WHERE mid = 1", ["t (mid)", "u (t_id)"]),
        ("SELECT * FROM t JOIN u ON u.t_id = t.id WHERE t.id = 5", ["u (t_id)"]),
    ],
)  # fmt: skip
def test_the_keys_are_found(statement: str, wanted: list[str]) -> None:
    result = found(statement, ONE)
    assert not result.unreadable
    assert set(wanted) <= set(targets(result)), "\n".join(targets(result))


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("SELECT * FROM t WHERE mid <> 1", "t (mid)"),
        ("SELECT * FROM t WHERE mid = many", "t (mid)"),
        ("SELECT * FROM t WHERE mid NOT IN (1, 2)", "t (mid)"),
        ("SELECT * FROM t WHERE name NOT LIKE 'a%'", "t (name text_pattern_ops)"),
        ("SELECT * FROM t WHERE NOT (mid = 1 AND many = 2)", "t (mid)"),
        ("SELECT * FROM t WHERE mid = ALL ($1)", "t (mid)"),
        ("SELECT * FROM t WHERE mid = 1 OR random() < 0.1", "t (mid)"),
        ("SELECT * FROM t WHERE doc = '{}'", "t (doc)"),
        ("SELECT * FROM t WHERE random() = mid", "t ((random()))"),
        ("SELECT * FROM (SELECT * FROM t LIMIT 5) x WHERE mid = 1", "t (mid)"),
        ("SELECT * FROM (SELECT mid, rank() OVER (ORDER BY id) r FROM t) x WHERE mid = 1", "t (mid)"),
        ("SELECT * FROM (SELECT sum(few) AS mid FROM t) x WHERE mid = 1", "t (mid)"),
        ("WITH x AS MATERIALIZED (SELECT * FROM t) SELECT * FROM x WHERE mid = 1", "t (mid)"),
        ("WITH x AS (SELECT * FROM t) SELECT * FROM x a, x b WHERE a.mid = 1", "t (mid)"),
        ("WITH t AS (SELECT 1 AS mid) SELECT * FROM t WHERE mid = 1", "t (mid)"),
        ("SELECT * FROM t HAVING count(*) > 1", "t (id)"),
        ("SELECT * FROM u, (SELECT * FROM t WHERE few = kind) x", "u (kind)"),
        ("SELECT name FROM t ORDER BY few + $1", "t ((few + $1))"),
        ("INSERT INTO t (mid) VALUES (1)", "t (mid)"),
        ("SELECT id FROM t WHERE to_char(placed, 'YYYY') = '2025'", "t ((to_char(placed, 'YYYY')))"),
        ("SELECT * FROM t WHERE few || name = '1a'", "t ((few || name))"),
    ],
)  # fmt: skip
def test_what_no_index_looks_up_gives_none(statement: str, unwanted: str) -> None:
    assert unwanted not in targets(found(statement, ONE))


def test_every_query_of_the_first_table_is_read() -> None:
    result = found("SELECT * FROM t WHERE mid = (SELECT max(b) FROM u WHERE u.t_id = t.id)", ONE)
    assert "u (t_id)" in targets(result)
    assert "u (t_id, b)" in targets(result)
    assert "t (mid)" not in targets(result)  # the subquery is known for one row of t at a time


def test_the_width_is_kept_to() -> None:
    statement = "SELECT * FROM t WHERE few = 1 AND mid = 2 AND many = 3 AND id = 4 AND number = 5"
    for width in range(1, 6):
        keys = [len(c.index.keys) for c in found(statement, ONE, max_width=width).candidates]
        assert max(keys) == width


def test_the_column_that_other_queries_share_leads() -> None:
    three = "SELECT * FROM t WHERE few = 1 AND mid = 2 AND many = 3"
    others = [query(f"SELECT * FROM t WHERE few = {n}", f"q{n}") for n in range(3)]
    shared = found([query(three, "three"), *others], ONE)
    assert "t (few, many, mid)" in targets(shared)
    assert "t (few, many, mid)" not in targets(found([query(three, "three")], ONE))


def test_what_else_is_read_is_carried_along() -> None:
    result = found("SELECT amount FROM u WHERE kind = 3", ONE)
    assert {"u (kind) INCLUDE (amount)", "u (kind, amount)"} <= set(targets(result))
    assert candidate(result, "u (kind) INCLUDE (amount)").kind == "covering"
    assert "amount" in candidate(result, "u (kind) INCLUDE (amount)").reasons[0]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM t WHERE few = 3",  # wide
        "SELECT few, long FROM t WHERE few = 3",  # one wide column
        "UPDATE t SET name = 'x' WHERE few = 3",
        "SELECT mid FROM t WHERE few = 3 FOR UPDATE",
        "DELETE FROM t WHERE few = 3",
        "SELECT mid FROM t WHERE id = 3",  # one row
    ],
)
def test_nothing_is_carried_where_it_cannot_help(statement: str) -> None:
    assert [each for each in targets(found(statement, ONE)) if "INCLUDE" in each] == []


def test_only_columns_that_are_used_outside_count_as_read() -> None:
    inner = "SELECT count(*) FROM (SELECT kind, amount, a, b, at FROM u WHERE kind = 3) AS x"
    assert not [each for each in targets(found(inner, ONE)) if "INCLUDE" in each]
    one = "SELECT x.amount FROM (SELECT kind, amount, a, b, at FROM u WHERE kind = 3) AS x"
    assert "u (kind) INCLUDE (amount)" in targets(found(one, ONE))


def test_a_whole_row_is_all_its_columns() -> None:
    result = found("SELECT row_to_json(u) FROM u WHERE kind = 3", ONE)
    assert "u (kind) INCLUDE (t_id, at, amount, a, b)" in targets(result)


def test_a_narrow_index_is_read_in_place_of_a_wide_table() -> None:
    assert "t (few) INCLUDE (mid)" in targets(found("SELECT sum(few), sum(mid) FROM t", ONE))
    assert not targets(found("SELECT * FROM t", ONE))


def test_names_are_found_as_the_server_finds_them() -> None:
    shop = table("Order", column("Id"), column("id"), schema="shop")
    other = table("order_", "id", schema="other")
    database = snapshot(shop, other, table("order_", "id"))
    assert firsts(found('SELECT * FROM shop."Order" WHERE "Id" = 1', database)) == ['shop."Order" ("Id")']
    assert firsts(found('SELECT * FROM shop."Order" x WHERE X.ID = 1', database)) == ['shop."Order" (id)']
    assert firsts(found('SELECT * FROM shop."Order" WHERE "Order".id = 1', database)) == ['shop."Order" (id)']
    assert firsts(found("SELECT * FROM Order_ WHERE Id = 1", database)) == ["order_ (id)"]
    assert firsts(found("SELECT * FROM other.order_ WHERE order_.id = 1", database)) == ["other.order_ (id)"]
    assert firsts(found('SELECT * FROM "Order" WHERE id = 1', database)) == ['shop."Order" (id)']
    both = "SELECT * FROM order_ JOIN other.order_ o ON o.id = order_.id"
    assert firsts(found(both, database)) == ["other.order_ (id)", "order_ (id)"]


def test_views_are_looked_through() -> None:
    views = [
        ("v", "CREATE VIEW public.v AS SELECT t.mid AS s, lower(t.name) AS n FROM public.t WHERE t.flag"),
        ("w", 'CREATE VIEW public.w ("X", y) WITH (security_barrier=true) AS SELECT v.s, v.n FROM public.v;'),
        ("odd", "CREATE VIEW public.odd AS SELECT ((("),
    ]
    database = snapshot(T, U, views=views)
    assert {"t (mid)", "t (mid) WHERE flag"} <= set(targets(found("SELECT * FROM v WHERE s = 1", database)))
    assert "t ((lower(name)))" in targets(found("SELECT * FROM w WHERE y = 'a' AND \"X\" = 3", database))
    unread = found("SELECT * FROM odd WHERE s = 1", database)
    assert unread.unreadable == {"q": "there is no table odd in the snapshot"}


def test_an_index_belongs_to_the_partitioned_table() -> None:
    parent = table("p", column("id"), column("at", "date"), kind="p", pages=0, rows=-1)
    parts = [table(f"p{n}", column("id"), column("at", "date"), inherits=[("public", "p")], bound="x") for n in (1, 2)]
    database = snapshot(parent, *parts)
    assert firsts(found("SELECT * FROM p WHERE id = 1", database)) == ["p (id)"]
    assert firsts(found("SELECT * FROM p1 WHERE id = 1", database)) == ["p (id)"]


def test_inherited_tables_have_an_index_each() -> None:
    parent = table("p", "id")
    child = table("c", "id", "more", inherits=[("public", "p")])
    database = snapshot(parent, child)
    assert firsts(found("SELECT * FROM p WHERE id = 1", database)) == ["c (id)", "p (id)"]
    assert firsts(found("SELECT * FROM c WHERE id = 1", database)) == ["c (id)"]


def test_like_needs_no_operator_class_where_text_sorts_by_bytes() -> None:
    database = snapshot(table("x", column("name", "text", collation='"C"'), column("other", "character(20)")))
    assert "x (name)" in targets(found("SELECT * FROM x WHERE name LIKE 'a%'", database))
    assert "x (other bpchar_pattern_ops)" in targets(found("SELECT * FROM x WHERE other LIKE 'a%'", database))


def test_a_pattern_from_captured_values_begins_with_a_constant() -> None:
    like = "SELECT * FROM t WHERE name LIKE $1"
    target = "t (name text_pattern_ops)"
    assert target in targets(found([query(like, sets=[["abc%"], ["xy%"]])], ONE))
    assert target not in targets(found([query(like, sets=[["abc%"], ["%y%"]])], ONE))
    assert target in targets(found([query(like)], ONE))  # nothing is known: it may


def test_expressions_use_a_parameter_that_never_differs() -> None:
    statement = "SELECT * FROM t WHERE doc->>$1 = $2"
    assert "t ((doc ->> 'k'))" in targets(found([query(statement, sets=[["k", "a"], ["k", "b"]])], ONE))
    assert targets(found([query(statement, sets=[["k", "a"], ["l", "b"]])], ONE)) == []


def test_functions_of_the_database_count_when_immutable() -> None:
    def function(name: str, kind: str) -> SchemaObject:
        text = f"CREATE OR REPLACE FUNCTION public.{name}(x text) RETURNS text LANGUAGE sql {kind} AS $$ SELECT x $$"
        return SchemaObject(kind="function", schema="public", name=name, definition=text)

    database = snapshot(T, objects=[function("same", "IMMUTABLE"), function("moody", "VOLATILE")])
    assert "t ((same(name)))" in targets(found("SELECT * FROM t WHERE same(name) = 'a'", database))
    result = found("SELECT * FROM t WHERE moody(name) = 'a'", database)
    assert targets(result) == []
    assert "IMMUTABLE" in result.notes["q"][0]


def test_a_domain_is_what_it_is_made_of() -> None:
    domain = SchemaObject(kind="type", schema="public", name="doc", definition="CREATE DOMAIN public.doc AS json")
    database = snapshot(table("x", column("a", "doc"), column("b", "public.doc")), objects=[domain])
    assert targets(found("SELECT * FROM x WHERE a = '1' OR b = '1'", database)) == []


def test_a_unique_column_needs_no_second_key() -> None:
    keyed = table("t", *T.columns, indexes=[index("t_pkey", "id", primary=True)])
    result = found("SELECT * FROM t WHERE id = 1 AND few = 2", snapshot(keyed))
    assert [each for each in targets(result) if "WHERE" not in each] == ["t (few)", "t (few, id)"]

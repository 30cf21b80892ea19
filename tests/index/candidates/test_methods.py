"""GIN, GiST, hash and BRIN."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbtune.snapshot.value import SchemaObject
from tests.index.candidates.build import candidate, column, found, query, snapshot, table, targets

T = table(
    "t",
    column("id", "bigint", distinct=-1),
    column("doc", "jsonb"),
    column("tags", "text[]"),
    column("words", "tsvector"),
    column("body", "text"),
    column("title", "character varying(90)"),
    column("during", "tstzrange"),
    column("key", "uuid", distinct=-1),
    column("link", "text", distinct=-0.9, width=120),
    column("colour", "text", distinct=12),
    column("pairs", "hstore"),
    pages=9_000,
)
ONE = snapshot(T)
TRGM = SchemaObject(kind="extension", schema="public", name="pg_trgm", definition="CREATE EXTENSION pg_trgm")


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("doc @> '{}'", "t USING gin (doc jsonb_path_ops)"),
        ("doc @> $1", "t USING gin (doc jsonb_path_ops)"),
        ("'{}' <@ doc", "t USING gin (doc jsonb_path_ops)"),
        ("doc @? '$.a'", "t USING gin (doc jsonb_path_ops)"),
        ("doc @@ '$.a > 1'", "t USING gin (doc jsonb_path_ops)"),
        ("doc ? 'a'", "t USING gin (doc)"),
        ("doc ?| ARRAY['a']", "t USING gin (doc)"),
        ("doc ?& $1", "t USING gin (doc)"),
        ("doc->'a' @> '[1]'", "t USING gin ((doc -> 'a') jsonb_path_ops)"),
        ("tags @> ARRAY['a']", "t USING gin (tags)"),
        ("tags && $1", "t USING gin (tags)"),
        ("ARRAY['a'] <@ tags", "t USING gin (tags)"),
        ("tags <@ ARRAY['a']", "t USING gin (tags)"),
        ("words @@ to_tsquery($1)", "t USING gin (words)"),
        ("to_tsquery($1) @@ words", "t USING gin (words)"),
        ("to_tsvector('english', body) @@ $1", "t USING gin ((to_tsvector('english', body)))"),
        ("body LIKE '%abc%'", "t USING gin (body gin_trgm_ops)"),
        ("body ILIKE $1", "t USING gin (body gin_trgm_ops)"),
        ("title ILIKE '%abc%'", "t USING gin (title gin_trgm_ops)"),
        ("body ~* 'abc+'", "t USING gin (body gin_trgm_ops)"),
        ("body SIMILAR TO '%abc%'", "t USING gin (body gin_trgm_ops)"),
        ("lower(body) LIKE '%abc%'", "t USING gin ((lower(body)) gin_trgm_ops)"),
        ("doc->>'name' ILIKE '%abc%'", "t USING gin ((doc ->> 'name') gin_trgm_ops)"),
        ("body LIKE ANY (ARRAY['%abc%', '%def%'])", "t USING gin (body gin_trgm_ops)"),
        ("body % 'abc'", "t USING gin (body gin_trgm_ops)"),
        ("pairs ? 'a'", "t USING gin (pairs)"),
        ("during && $1", "t USING gist (during)"),
        ("during @> now()", "t USING gist (during)"),
        ("doc @> '{}' AND tags && $1", "t USING gin (doc jsonb_path_ops, tags)"),
    ],
)
def test_the_operator_finds_its_method(condition: str, wanted: str) -> None:
    assert wanted in targets(found(f"SELECT * FROM t WHERE {condition}", ONE))


@pytest.mark.parametrize(
    "condition",
    [
        "body LIKE '%ab%'",  # too short for a trigram
        "body NOT ILIKE '%abc%'",
        "'a' = ANY (tags)",
        "to_tsvector(body) @@ $1",  # depends on default_text_search_config
        "id % 7 = 3",
        "doc @> doc",
        "words @@ words::text::tsquery",
        "doc = '{}'",
    ],
)
def test_no_method_serves_it(condition: str) -> None:
    assert [each for each in targets(found(f"SELECT * FROM t WHERE {condition}", ONE)) if "gin" in each] == []


def test_what_no_index_serves_is_told() -> None:
    result = found("SELECT * FROM t WHERE 'a' = ANY (tags)", ONE)
    assert result.notes["q"] == ("value = ANY (tags) is served by no index: write tags @> ARRAY[value]",)
    short = found("SELECT * FROM t WHERE body LIKE '%ab%'", ONE)
    assert "too short" in short.notes["q"][0]


def test_the_arms_of_or_have_an_index_each_and_one_together() -> None:
    result = found("SELECT * FROM t WHERE doc->>'name' ILIKE $1 OR doc->>'other' ILIKE $1 OR title ILIKE $1", ONE)
    assert {
        "t USING gin ((doc ->> 'name') gin_trgm_ops)",
        "t USING gin ((doc ->> 'other') gin_trgm_ops)",
        "t USING gin (title gin_trgm_ops)",
        "t USING gin ((doc ->> 'name') gin_trgm_ops, (doc ->> 'other') gin_trgm_ops, title gin_trgm_ops)",
    } <= set(targets(result))


def test_an_or_across_tables_is_told_and_gives_nothing() -> None:
    other = table("o", column("t_id", "bigint"), column("name", "text"))
    statement = "SELECT * FROM t JOIN o ON o.t_id = t.id WHERE t.body ILIKE '%abc%' OR o.name ILIKE '%abc%'"
    result = found(statement, snapshot(T, other))
    assert [each for each in targets(result) if "gin" in each] == []
    assert result.notes["q"][0].startswith("OR across the tables o, t")


def test_the_extension_is_named_where_it_is_missing() -> None:
    statement = "SELECT * FROM t WHERE body ILIKE '%abc%'"
    target = "t USING gin (body gin_trgm_ops)"
    assert candidate(found(statement, ONE), target).needs_extension == "pg_trgm"
    assert candidate(found(statement, snapshot(T, objects=[TRGM])), target).needs_extension is None
    elsewhere = snapshot(T, objects=[replace(TRGM, schema="Extra")])
    assert targets(found(statement, elsewhere)) == ['t USING gin (body "Extra".gin_trgm_ops)']


def test_a_prefix_alone_wants_no_trigrams() -> None:
    assert targets(found("SELECT id, doc, tags FROM t WHERE link LIKE 'abc%' FOR UPDATE", ONE)) == [
        "t (link text_pattern_ops)"
    ]


def test_hash_is_for_long_values_that_are_only_compared() -> None:
    assert "t USING hash (link)" in targets(found("SELECT * FROM t WHERE link = $1", ONE))
    assert "t USING hash (key)" not in targets(found("SELECT * FROM t WHERE key = $1", ONE))
    assert "t USING hash (id)" not in targets(found("SELECT * FROM t WHERE id = $1", ONE))
    assert "t USING hash (colour)" not in targets(found("SELECT * FROM t WHERE colour = $1", ONE))
    both = [query("SELECT * FROM t WHERE link = $1", "a"), query("SELECT * FROM t ORDER BY link LIMIT 1", "b")]
    assert "t USING hash (link)" not in targets(found(both, ONE))


def test_brin_is_for_big_tables_in_order() -> None:
    def database(correlation: float, pages: int) -> object:
        return snapshot(table("log", column("at", "date", correlation=correlation), column("x", "text"), pages=pages))

    statement = "SELECT * FROM log WHERE at > $1"
    target = "log USING brin (at)"
    assert target in targets(found(statement, database(0.99, 20_000)))  # type: ignore[arg-type]
    assert target in targets(found(statement, database(-0.99, 20_000)))  # type: ignore[arg-type]
    assert target not in targets(found(statement, database(0.8, 20_000)))  # type: ignore[arg-type]
    assert target not in targets(found(statement, database(0.99, 9_000)))  # type: ignore[arg-type]

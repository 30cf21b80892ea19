"""What is never proposed, and what indexes that are there make of the proposals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbtune.snapshot.value import Constraint
from tests.index.candidates.build import candidate, column, found, index, query, snapshot, table, targets

COLUMNS = (
    column("id", "bigint", distinct=-1),
    column("a", distinct=500),
    column("b", distinct=500),
    column("c", distinct=500),
    column("name", "text"),
    column("body", "text", width=900),
)


def firsts(statement: str, *indexes: object, **more: object) -> list[str]:
    made = table("t", *COLUMNS, indexes=indexes, **more)  # type: ignore[arg-type]
    return [each for each in targets(found(statement, snapshot(made))) if "INCLUDE" not in each]


@pytest.mark.parametrize("kind", ["json", "xml", "point", "box", "jsonb", "tsvector"])
def test_types_without_an_order_are_no_keys(kind: str) -> None:
    database = snapshot(table("t", column("x", kind), "a"))
    result = found("SELECT a FROM t WHERE x = $1 ORDER BY x LIMIT 3", database)
    assert all(key.text != "x" for each in result.candidates for key in each.index.keys)


def test_small_tables_get_none() -> None:
    statement = "SELECT * FROM t WHERE a = 1"
    assert firsts(statement, pages=8) == []
    assert firsts(statement, pages=9) == ["t (a)"]


@pytest.mark.parametrize(("more", "told"), [({"kind": "f"}, "foreign table"), ({"persistence": "t"}, "temporary")])
def test_tables_that_can_have_none_are_told(more: dict[str, str], told: str) -> None:
    made = table("t", *COLUMNS, **more)  # type: ignore[arg-type]
    result = found("SELECT * FROM t WHERE a = 1", snapshot(made))
    assert not result.candidates
    assert not result.unreadable
    assert told in result.notes["q"][0]


def test_catalogs_are_passed_over() -> None:
    result = found("SELECT * FROM pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid", snapshot())
    assert not result.candidates
    assert not result.unreadable


def test_entries_that_may_not_fit_are_left_out() -> None:
    wide = snapshot(table("t", column("x", "text", width=2_100), column("y", "text", common=[("z" * 3_000, 0.1)]), "a"))
    assert [
        each for each in targets(found("SELECT a FROM t WHERE x = '1' OR y = '1'", wide)) if "hash" not in each
    ] == []


@pytest.mark.parametrize(
    "there",
    [
        index("x", "a"),
        index("x", "a", unique=True),
        index("x", "a", opclasses=("int4_ops",), options=(0,)),
    ],
)
def test_an_equal_index_is_not_proposed_again(there: object) -> None:
    assert firsts("SELECT * FROM t WHERE a = 1", there) == []


def test_the_beginning_of_a_constraints_index_is_not_proposed() -> None:
    assert firsts("SELECT * FROM t WHERE a = 1", index("x", "a", "b", primary=True)) == []
    assert firsts("SELECT * FROM t WHERE a = 1", index("x", "a", "b", unique=True)) == []


def test_hash_is_in_vain_where_a_btree_leads_with_the_column() -> None:
    made = table("t", column("key", "uuid", distinct=-1), "a", indexes=[index("x", "key", "a")])
    assert not [each for each in targets(found("SELECT * FROM t WHERE key = $1", snapshot(made))) if "hash" in each]


@pytest.mark.parametrize(
    "there",
    [
        index("x", "a", valid=False),
        index("x", "a", predicate="(b = 1)"),
        index("x", "a", options=(2,)),  # NULLS FIRST
        index("x", "a", method="hash"),
        index("x", "b"),
        index("x", "(a + 1)"),
    ],
)
def test_one_that_differs_is_in_no_way(there: object) -> None:
    assert "t (a)" in firsts("SELECT * FROM t WHERE a = 1", there)


def test_expressions_of_indexes_are_read_as_the_server_prints_them() -> None:
    statement = "SELECT * FROM t WHERE lower(name) = 'x'"
    assert firsts(statement, index("x", "lower((name)::text)")) == []
    assert firsts(statement, index("x", "lower(name)")) == []
    assert firsts(statement, index("x", "upper(name)")) == ["t ((lower(name)))"]
    assert firsts("SELECT * FROM t WHERE name LIKE 'a%'", index("x", "name", opclasses=("text_pattern_ops",))) == []
    assert firsts("SELECT * FROM t WHERE name LIKE 'a%'", index("x", "name", opclasses=("varchar_pattern_ops",))) == []
    assert firsts("SELECT * FROM t WHERE name LIKE 'a%'", index("x", "name")) == ["t (name text_pattern_ops)"]


def test_an_index_that_is_read_backwards_is_the_same() -> None:
    statement = "SELECT * FROM t ORDER BY a, b DESC LIMIT 5"
    assert "t (a, b DESC)" not in firsts(statement, index("x", "a", "b", options=(3, 0)))  # a DESC, b
    assert "t (a, b DESC)" not in firsts(statement, index("x", "a", "b", options=(0, 3)))
    assert "t (a, b DESC)" in firsts(statement, index("x", "a", "b", options=(0, 0)))
    assert "t (a, b DESC)" in firsts(statement, index("x", "a", "b", options=(1, 0)))  # a DESC NULLS LAST, b


def test_an_index_on_the_beginning_alone_is_still_asked_about() -> None:
    assert "t (a)" in firsts("SELECT * FROM t WHERE a = 1", index("x", "a", "b"))


def test_keys_behind_unique_ones_are_in_vain_unless_they_cover() -> None:
    unique = index("t_pkey", "id", primary=True)
    assert firsts("SELECT * FROM t WHERE id = 1 AND a = 2 AND b > 3", unique).count("t (id, a)") == 0
    partial = index("t_some", "id", unique=True, predicate="(a = 1)")
    assert "t (id, a)" in firsts("SELECT * FROM t WHERE id = 1 AND a = 2", partial)
    assert "t (id, a)" in firsts("SELECT t.a FROM t JOIN t u ON u.b = t.id", unique)


def test_two_queries_are_served_by_one_merged_index() -> None:
    queries = [query("SELECT * FROM t WHERE a = 1 AND b > 2", "one"), query("SELECT c FROM t WHERE a = 1", "two")]
    made = candidate(found(queries, snapshot(table("t", *COLUMNS))), "t (a, b) INCLUDE (c)")
    assert made.kind == "merged"
    assert made.queries == {"one", "two"}
    assert made.reasons == ("(a, b) and (a) in one",)


def test_an_index_that_is_there_is_extended() -> None:
    made = table("t", *COLUMNS, indexes=[index("t_a_b", "a", "b")])
    result = found("SELECT * FROM t WHERE a = 1 AND c = 2", snapshot(made))
    extended = candidate(result, "t (a, b, c)")
    assert extended.kind == "merged"
    assert extended.reasons[0].startswith("t_a_b (a, b) and ")
    assert extended.queries == {"q"}


def test_indexes_of_constraints_are_not_extended() -> None:
    made = table("t", *COLUMNS, indexes=[index("t_key", "a", "b", unique=True)])
    assert "merged" not in [c.kind for c in found("SELECT * FROM t WHERE a = 1 AND c = 2", snapshot(made)).candidates]


def test_partial_indexes_are_merged_with_none_but_their_own_kind() -> None:
    made = table("t", *COLUMNS, indexes=[index("t_a_b", "a", "b", predicate="(c = 1)")])
    kinds = [c.kind for c in found("SELECT * FROM t WHERE a = $1 AND name = $2", snapshot(made)).candidates]
    assert "merged" not in kinds


FOREIGN = Constraint(
    name="t_a_fkey", kind="f", definition="", columns=("a",), references=("public", "u"), referenced_columns=("id",)
)


def test_a_foreign_key_without_an_index_gets_one() -> None:
    made = table("t", *COLUMNS, constraints=[FOREIGN])
    result = found([], snapshot(made, table("u", "id")))
    (each,) = result.candidates
    assert (each.kind, each.index.target, each.queries) == ("foreign key", "public.t (a)", frozenset())
    assert each.reasons == ("foreign key t_a_fkey: when a row of public.u goes, its rows are looked for here",)


def test_a_foreign_key_that_queries_look_up_is_for_them_too() -> None:
    made = table("t", *COLUMNS, constraints=[FOREIGN])
    each = candidate(found("SELECT * FROM t WHERE a = 1", snapshot(made)), "t (a)")
    assert each.kind == "plain"
    assert each.queries == {"q"}
    assert each.reasons[0].startswith("foreign key t_a_fkey")


@pytest.mark.parametrize("there", [index("x", "a"), index("x", "a", "b")])
def test_a_foreign_key_with_an_index_is_left_alone(there: object) -> None:
    made = table("t", *COLUMNS, constraints=[FOREIGN], indexes=[there])  # type: ignore[list-item]
    assert not found([], snapshot(made)).candidates


@pytest.mark.parametrize(
    "there", [index("x", "b", "a"), index("x", "a", predicate="(b = 1)"), index("x", "a", method="hash")]
)
def test_a_foreign_key_is_not_served_by_that(there: object) -> None:
    made = table("t", *COLUMNS, constraints=[FOREIGN], indexes=[there])  # type: ignore[list-item]
    assert targets(found([], snapshot(made))) == ["t (a)"]


def test_a_foreign_key_declared_twice_has_one_index() -> None:
    made = table("t", *COLUMNS, constraints=[FOREIGN, replace(FOREIGN, name="t_a_fkey1")])
    assert targets(found([], snapshot(made))) == ["t (a)"]

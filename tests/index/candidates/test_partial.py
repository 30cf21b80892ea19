"""Partial indexes: from conditions that are the same in every call and keep a part of the rows."""

from __future__ import annotations

import pytest

from tests.index.candidates.build import candidate, column, found, index, query, snapshot, table, targets

T = table(
    "t",
    column("id", "bigint", distinct=-1),
    column("owner", distinct=-0.2),
    column("status", "text", distinct=4, common=[("done", 0.85), ("new", 0.05), ("it's", 0.05), ("old", 0.05)]),
    column("gone_at", "timestamp with time zone", nulls=0.3),
    column("seen_at", "timestamp with time zone", nulls=0.95),
    column("live", "boolean", distinct=2, common=[("t", 0.9), ("f", 0.1)]),
    column("code", "text", distinct=-0.9, common=[("x", 0.001)]),
    column("at", "timestamp with time zone"),
    column("body", "text", width=600),
    indexes=[index("t_pkey", "id", primary=True)],
)
ONE = snapshot(T)


def parts(statement: str) -> list[str]:
    return [each for each in targets(found(statement, ONE)) if "WHERE" in each]


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("status = 'new' AND owner = $1", "t (owner) WHERE status = 'new'"),
        ("status = 'it''s' AND owner = $1", "t (owner) WHERE status = 'it''s'"),
        ("status IN ('new', 'old') AND owner = $1", "t (owner) WHERE status IN ('new', 'old')"),
        ("status <> 'done' AND owner = $1", "t (owner) WHERE status <> 'done'"),
        ("status NOT IN ('done', 'old') AND owner = $1", "t (owner) WHERE NOT status IN ('done', 'old')"),
        ("gone_at IS NULL AND owner = $1", "t (owner) WHERE gone_at IS NULL"),
        ("seen_at IS NOT NULL AND owner = $1", "t (owner) WHERE seen_at IS NOT NULL"),
        ("NOT live AND owner = $1", "t (owner) WHERE NOT live"),
        ("live = false AND owner = $1", "t (owner) WHERE live = FALSE"),
        ("live IS FALSE AND owner = $1", "t (owner) WHERE live IS FALSE"),
        ("status = 'new' AND NOT live AND owner = $1", "t (owner) WHERE status = 'new' AND NOT live"),
        ("status = 'new' AND at > $1", "t (at) WHERE status = 'new'"),
        ("status = 'new' ORDER BY at LIMIT 5", "t (at) WHERE status = 'new'"),
        ("status = 'new'", "t (id) WHERE status = 'new'"),
        ("(status = 'new' AND owner = $1 OR at > $2)", "t (owner) WHERE status = 'new'"),
    ],
)
def test_a_constant_condition_makes_one(condition: str, wanted: str) -> None:
    assert wanted in parts(f"SELECT * FROM t WHERE {condition}")


@pytest.mark.parametrize(
    "condition",
    [
        "status = $1 AND owner = 3",
        "status = 'done' AND owner = $1",  # nearly all rows
        "live AND owner = $1",
        "seen_at IS NULL AND owner = $1",
        "code = 'abc' AND owner = $1",  # one of very many values
        "at > '2025-01-01' AND owner = $1",  # moves on
        "status = lower('NEW') AND at < now()",
    ],
)
def test_other_conditions_make_none(condition: str) -> None:
    assert parts(f"SELECT * FROM t WHERE {condition}") == []


def test_a_parameter_that_never_differs_is_told() -> None:
    one = query("SELECT * FROM t WHERE status = $1 AND owner = $2", sets=[["new", "1"], ["new", "2"]])
    result = found([one], ONE)
    assert not [each for each in targets(result) if "WHERE" in each]
    assert len(result.notes["q"]) == 1
    assert "$1 was 'new' in every captured call" in result.notes["q"][0]
    assert "generic plan" in result.notes["q"][0]


def test_it_carries_what_is_read_but_for_what_it_is_made_of() -> None:
    result = found("SELECT owner FROM t WHERE status = 'new' AND at > $1", ONE)
    assert "t (at) INCLUDE (owner) WHERE status = 'new'" in targets(result)
    assert candidate(result, "t (at) INCLUDE (owner) WHERE status = 'new'").kind == "partial"


def test_its_part_of_the_rows_is_told() -> None:
    result = found("SELECT * FROM t WHERE status = 'new' AND owner = $1", ONE)
    assert "(0.05 of all)" in candidate(result, "t (owner) WHERE status = 'new'").reasons[0]


def test_one_that_is_there_is_not_proposed_again() -> None:
    there = index("t_new", "owner", predicate="(status = 'new'::text)")
    database = snapshot(table("t", *T.columns, indexes=[there]))
    statement = "SELECT * FROM t WHERE status = 'new' AND owner = $1"
    assert "t (owner) WHERE status = 'new'" not in targets(found(statement, database))

"""What PostgreSQL prints as conditions, and which of them an index could serve."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from dbtune.plan.predicate import index_elements, indexable_columns, terms


@pytest.mark.parametrize(
    ("condition", "columns"),
    [
        ("(owner = 17)", ["owner"]),
        ("((id > 0) AND (owner = 17) AND (code < '02'::text))", ["owner", "id", "code"]),
        ("(business_attributes.business_id = 'f'::uuid)", ["business_id"]),
        ("(t.email IS NULL)", ["email"]),
        ("(17 = t.owner)", ["owner"]),
        ("(status = ANY ('{a,b}'::text[]))", ["status"]),
        ("((code)::text = 'x'::text)", ["code"]),  # varchar = text: the cast changes nothing
        ('("t"."Mixed Case" = 1)', ["Mixed Case"]),
        ("((a = 1) AND (a = 1))", ["a"]),
        ("(active)", ["active"]),
        ("(lower(email) = 'x'::text)", []),
        ("((number)::numeric = 77.0)", []),
        ("((number + 1) = 78)", []),
        ("(email ~~* '%x%'::text)", []),
        ("(email ~~ '%x'::text)", []),
        ("(email <> 'x'::text)", []),
        ("((a = 1) OR (b = 2))", []),
        ("((details ->> 'name'::text) = 'x'::text)", []),
        ("(started = ended)", []),
        ("(t.started < t.ended)", []),
        ("(child.parent_id = parent.id)", ["parent_id"]),  # a lookup for each row of the other table
    ],
)
def test_columns_that_an_index_could_lead_with(condition: str, columns: list[str]) -> None:
    assert indexable_columns(condition) == columns


def test_a_pattern_with_a_constant_beginning_needs_an_operator_class() -> None:
    assert index_elements("((email ~~ 'x%'::text) AND (owner = 1))") == ["owner", "email text_pattern_ops"]


@pytest.mark.parametrize(
    ("condition", "obstacle"),
    [
        ("(lower(t.email) = 'x'::text)", "function lower() over the column"),
        ("((number)::numeric = 77.0)", "column cast to numeric"),
        ("((details ->> 'name'::text) = 'x'::text)", "expression over a JSON column"),
        ("(email ~~* '%x%'::text)", "pattern match that does not begin with a constant"),
        ("((a = 1) OR (b = 2))", "OR of several conditions"),
    ],
)
def test_the_obstacle_is_named(condition: str, obstacle: str) -> None:
    (term,) = terms(condition)
    assert term.obstacle == obstacle


def test_text_in_strings_is_not_taken_for_a_condition() -> None:
    assert indexable_columns("(name = ' AND (other = 1) OR '::text)") == ["name"]


def test_alternatives_of_patterns_are_a_pattern() -> None:
    (term,) = terms("((name ~~* '%a%'::text) OR ((details ->> 'x'::text) ~~* '%a%'::text))")
    assert term.is_pattern
    assert [one.operand for one in term.alternatives] == ["name", "details ->> 'x'::text"]


def test_operands_are_named_as_create_index_takes_them() -> None:
    (term,) = terms("(lower((person.email)::text) = 'a.b'::text)")
    assert term.operand == "lower((email)::text)"
    (term,) = terms("""(public.fold("Odd Table"."Name", 'x.y'::text) = 'z'::text)""")
    assert term.operand == """public.fold("Name", 'x.y'::text)"""


def test_conditions_as_the_server_prints_them(db: Connection) -> None:
    db.exec_driver_sql('CREATE TABLE t (id int, code varchar(9), "Odd ""Name" int, made timestamptz)')
    statement = (
        """SELECT * FROM t WHERE id BETWEEN 1 AND 9 AND code = 'x' AND "Odd ""Name" IN (1, 2) AND made >= now()"""
    )
    (document,) = db.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}").one()
    condition = document[0]["Plan"]["Filter"]
    assert sorted(indexable_columns(condition)) == ['Odd "Name', "code", "id", "made"]

"""An index as a value: its statement is what CREATE INDEX takes, and its name tells it from others."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from dbtune.index.definition import LONGEST_NAME, Index, Key, default_name, quoted


def index(*keys: Key, **more: object) -> Index:
    return Index(schema="public", table="item", keys=keys, **more)  # type: ignore[arg-type]


SHAPES = [
    index(Key("owner")),
    index(Key("owner"), Key("code", descending=True)),
    index(Key("code", descending=True, nulls_first=False), Key("owner", nulls_first=True)),
    index(Key("lower(code)", is_column=False), include=("owner",)),
    index(Key("code", opclass="text_pattern_ops"), predicate="owner IS NOT NULL"),
    index(Key("code", collation='"C"')),
    index(Key("owner"), method="brin"),
    index(Key("owner"), method="hash"),
    index(Key("owner"), Key("code"), unique=True),
]


@pytest.mark.parametrize("wanted", SHAPES, ids=lambda each: each.target)
def test_the_server_makes_what_the_statement_says(db: Connection, wanted: Index) -> None:
    db.exec_driver_sql("CREATE TABLE item (owner integer, code text)")
    db.exec_driver_sql(wanted.ddl())
    there = db.exec_driver_sql(
        "SELECT count(*) FROM pg_indexes WHERE tablename = 'item' AND indexname = %s", (wanted.chosen_name,)
    ).scalar()
    assert there == 1


def test_names_are_quoted_only_where_they_need_it() -> None:
    odd = Index(schema="public", table='We"ird', keys=(Key("Order"), Key("code")), include=("select",))
    assert odd.target == 'public."We""ird" ("Order", code) INCLUDE ("select")'


def test_a_plain_name_says_table_and_keys() -> None:
    assert default_name(index(Key("owner"), Key("code"))) == "ix_item_owner_code"


def test_names_differ_where_definitions_do() -> None:
    assert len({default_name(each) for each in SHAPES}) == len(SHAPES)


def test_a_long_name_is_cut_and_still_its_own() -> None:
    one = index(*(Key(f"a_rather_long_column_{n}") for n in range(5)))
    other = index(*(Key(f"a_rather_long_column_{n}") for n in (0, 1, 2, 3, 5)))
    assert len(default_name(one).encode()) <= LONGEST_NAME
    assert default_name(one) != default_name(other)


def test_the_same_index_under_another_name_is_equal() -> None:
    assert index(Key("owner"), name="a") == index(Key("owner"), name="b")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("plain_1", "plain_1"),
        ("Mixed", '"Mixed"'),
        ("100%", '"100%"'),
        ('a"b', '"a""b"'),
        ("select", '"select"'),
        ("concurrently", '"concurrently"'),
        ("tablesample", '"tablesample"'),
    ],
)
def test_names_are_in_quotes_where_the_server_wants_them(name: str, written: str, db: Connection) -> None:
    assert quoted(name) == written
    db.exec_driver_sql(f"CREATE TABLE {written} ({written} int)", execution_options={"no_parameters": True})
    db.exec_driver_sql(f"CREATE INDEX ON {written} ({written})", execution_options={"no_parameters": True})

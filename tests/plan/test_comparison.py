"""What changed between two plans of one statement, on a real server."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sqlalchemy import Connection

from dbtune.plan.access import access_paths, shape
from dbtune.plan.arithmetic import Analysis, analyse
from dbtune.plan.comparison import Direction, compare, work
from dbtune.plan.explain import Options, alternatives, explain, index_paths
from dbtune.workload.query import ParameterSet, Query


@pytest.fixture
def items(db: Connection) -> Connection:
    db.exec_driver_sql("CREATE TABLE item (id int PRIMARY KEY, owner int, code text)")
    db.exec_driver_sql("INSERT INTO item SELECT g, mod(g, 500), md5(g::text) FROM generate_series(1, 20000) AS g")
    db.exec_driver_sql("CREATE TABLE firm (id int PRIMARY KEY, name text)")
    db.exec_driver_sql("INSERT INTO firm SELECT g, 'firm ' || g FROM generate_series(1, 500) AS g")
    db.exec_driver_sql("ANALYZE")
    db.commit()
    return db


def analysed(connection: Connection, statement: str, **settings: str) -> Analysis:
    options = Options(settings=tuple(settings.items()))
    plan = explain(connection, Query(name="q", statement=statement), None, options).plan
    assert plan is not None
    return analyse(plan)


def kinds(before: Analysis, after: Analysis) -> Mapping[str, Direction]:
    return {change.kind: change.direction for change in compare(before, after)}


def test_the_same_plan_with_other_numbers_is_no_change(items: Connection) -> None:
    first = analysed(items, "SELECT * FROM item WHERE owner = 7")
    second = analysed(items, "SELECT * FROM item WHERE owner = 9")
    assert shape(first.plan) == shape(second.plan)
    assert compare(first, second) == []


def test_an_index_gained_and_lost(items: Connection) -> None:
    before = analysed(items, "SELECT * FROM item WHERE owner = 7")
    items.exec_driver_sql("CREATE INDEX item_owner ON item (owner)")
    items.commit()
    after = analysed(items, "SELECT * FROM item WHERE owner = 7")
    better = {"index-gained": Direction.BETTER, "buffers": Direction.BETTER, "rows-read": Direction.BETTER}
    assert kinds(before, after) == better
    assert kinds(after, before) == {
        "index-lost": Direction.WORSE, "buffers": Direction.WORSE, "rows-read": Direction.WORSE
    }  # fmt: skip
    (change,) = [c for c in compare(before, after) if c.kind == "index-gained"]
    assert change.text == "public.item: Seq Scan → Bitmap Heap Scan using item_owner"


def test_joins_and_sorts(items: Connection) -> None:
    statement = "SELECT * FROM item AS i JOIN firm AS f ON f.id = i.owner WHERE i.id < 2000"
    hashed = analysed(items, statement, enable_mergejoin="off", enable_nestloop="off")
    merged = analysed(items, statement, enable_hashjoin="off", enable_nestloop="off")
    changes = kinds(hashed, merged)
    assert changes["join"] is Direction.OTHER
    assert changes["sort"] is Direction.WORSE
    assert kinds(merged, hashed)["sort"] is Direction.BETTER


def test_work_is_per_row_returned(items: Connection) -> None:
    done = work(analysed(items, "SELECT * FROM item WHERE owner = 7"))
    assert done.rows == 40
    assert done.rows_read == 20_000
    assert done.read_per_row == 500
    assert done.blocks_per_row == pytest.approx((done.blocks or 0) / 40)


def query(statement: str, *values: str) -> Query:
    return Query(name="q", statement=statement, sets=(ParameterSet(name="one", values=values),))


def test_an_index_path_exists_also_where_the_planner_prefers_a_scan(items: Connection) -> None:
    items.exec_driver_sql("CREATE TABLE tiny (id int PRIMARY KEY, name text)")
    items.exec_driver_sql("INSERT INTO tiny VALUES (1, 'a'), (2, 'b')")
    items.exec_driver_sql("ANALYZE tiny")
    items.commit()
    asked = query("SELECT * FROM tiny WHERE id = $1", "1")
    plan = explain(items, asked, asked.sets[0]).plan
    assert plan is not None
    assert [p.scan for p in access_paths(plan)] == ["Seq Scan"]
    assert index_paths(items, asked, asked.sets[0], Options()) == {"public.tiny": True}
    by_name = query("SELECT * FROM tiny WHERE name = $1", "a")
    assert index_paths(items, by_name, by_name.sets[0], Options()) == {"public.tiny": False}


def test_an_index_path_through_a_join(items: Connection) -> None:
    asked = query("SELECT * FROM firm AS f LEFT JOIN item AS i ON i.owner = f.id WHERE f.name = $1", "firm 7")
    assert index_paths(items, asked, asked.sets[0], Options()) == {"public.firm": False, "public.item": False}
    items.exec_driver_sql("CREATE INDEX item_owner ON item (owner)")
    items.commit()
    assert index_paths(items, asked, asked.sets[0], Options()) == {"public.firm": False, "public.item": True}


def test_plans_for_every_set_and_the_generic_one(items: Connection) -> None:
    sets = (ParameterSet(name="one", values=("5",)), ParameterSet(name="many", values=("19000",)))
    asked = Query(name="q", statement="SELECT * FROM item WHERE id < $1", sets=sets)
    plans = alternatives(items, asked, Options())
    assert list(plans) == ["one", "many", "generic"]
    assert plans["one"].root.plan_rows < 50 < 18_000 < plans["many"].root.plan_rows
    assert "$1" in str(plans["generic"].root.raw)
    assert alternatives(items, Query(name="q", statement="SELECT 1"), Options()) == {}

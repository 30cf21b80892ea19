"""What indexes cost writes: rows that statements and counters tell of, HOT lost where an index has a changed column."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dbtune.index.advisor.writes import Upkeep, Write, writes
from dbtune.index.definition import Index, Key
from dbtune.index.whatif.protocol import Question
from dbtune.plan.parse import parse
from dbtune.plan.tree import Plan
from dbtune.snapshot.value import Column, Counters, ExistingIndex, Snapshot, Table
from dbtune.workload.period import period
from dbtune.workload.query import Query

NOW = datetime(2026, 1, 11, tzinfo=UTC)
PRIMARY = ExistingIndex(
    schema="public", name="t_pkey", definition="", method="btree", keys=("id",), key_columns=("id",), pages=300,
    reltuples=100_000, is_unique=True, is_primary=True, constraint="p",
)  # fmt: skip
TABLE = Table(
    schema="public",
    name="t",
    pages=1000,
    reltuples=100_000,
    columns=tuple(
        Column(name=name, number=n, type="integer", length=4, align="i") for n, name in enumerate("abc", start=1)
    ),
    indexes=(PRIMARY,),
)


def snapshot(table: Table = TABLE) -> Snapshot:
    return Snapshot(
        server_version_num=180000, server_version="18.0", database="d", taken_at=NOW, tables=(table,)
    )  # fmt: skip


def index(*columns: str, method: str = "btree", predicate: str | None = None) -> Index:
    return Index(
        schema="public", table="t", keys=tuple(Key(c) for c in columns), method=method, predicate=predicate
    )  # fmt: skip


def question(statement: str, weight: float, **more: Any) -> Question:
    return Question(name="q", query=Query(name="q", statement=statement, **more), weight=weight)


def plan(operation: str, rows: float, **more: Any) -> Plan:
    child = {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Plan Rows": rows, "Relation Name": "t"}
    node = {"Node Type": "ModifyTable", "Operation": operation, "Schema": "public", "Relation Name": "t"}
    return parse({"Plan": {**node, **more, "Plans": [child]}})[0]


def test_statements_tell_rows_and_changed_columns() -> None:
    found = writes([question("UPDATE t SET a = $1, b = b + 1 WHERE id = $2", 50)], {"q": plan("Update", 3)}, snapshot())
    relation = ("public", "t")
    assert found == [Write(relation=relation, operation="Update", rows=150, columns=frozenset("ab"))]


def test_an_upsert_inserts_and_updates() -> None:
    statement = "INSERT INTO t (id, a) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET a = excluded.a"
    made = plan("Insert", 1, **{"Conflict Resolution": "UPDATE"})
    found = writes([question(statement, 10)], {"q": made}, snapshot())
    assert [(each.operation, each.rows, each.columns) for each in found] == [
        ("Insert", 10, frozenset()),
        ("Update", 10, frozenset("a")),
    ]


def test_reading_writes_nothing() -> None:
    read = parse({"Plan": {"Node Type": "Seq Scan", "Relation Name": "t", "Schema": "public"}})[0]
    assert writes([question("SELECT * FROM t", 10)], {"q": read}, snapshot()) == []


def test_counters_count_where_both_periods_are_known() -> None:
    counted = replace(TABLE, counters=Counters(n_tup_ins=8640, n_tup_upd=864, since=NOW - timedelta(days=10)))
    hour = period(NOW - timedelta(hours=1), NOW)
    asked = [question("SELECT 1", 1, periods=(hour,))]
    found = {each.operation: each.rows for each in writes(asked, {}, snapshot(counted))}
    assert found == {"Insert": pytest.approx(36.0), "Update": pytest.approx(3.6)}
    assert writes([question("SELECT 1", 1)], {}, snapshot(counted)) == []


def cost(write: Write, made: Index, table: Table = TABLE) -> float:
    return Upkeep(snapshot(table), [write]).cost(made, 300, 100_000)


def test_every_inserted_row_costs_an_entry_a_part_of_them_where_it_is_partial() -> None:
    insert = Write(relation=("public", "t"), operation="Insert", rows=100)
    whole = cost(insert, index("a"))
    part = Upkeep(snapshot(), [insert]).cost(index("a", predicate="b = 1"), 300, 10_000)
    assert 10 < whole < 1000
    assert part == pytest.approx(whole / 10, rel=0.2)
    assert cost(insert, index("a", method="brin")) < whole / 10
    other = Write(relation=("public", "u"), operation="Insert", rows=100)
    assert cost(other, index("a")) == 0.0


def test_an_index_with_a_changed_column_ends_hot_updates() -> None:
    hot = replace(TABLE, counters=Counters(n_tup_upd=100, n_tup_hot_upd=100))
    update = Write(relation=("public", "t"), operation="Update", rows=100, columns=frozenset("a"))
    assert cost(update, index("b"), hot) == 0.0
    own = cost(update, index("a"), replace(TABLE, indexes=()))
    assert cost(update, index("a"), hot) == pytest.approx(2 * own, rel=0.2)
    assert cost(update, index("b", predicate="a > 3"), hot) > 0
    assert cost(update, Index(schema="public", table="t", keys=(Key("a + 1", is_column=False),)), hot) > 0


def test_updates_that_are_not_hot_cost_every_index() -> None:
    cold = replace(TABLE, counters=Counters(n_tup_upd=100, n_tup_hot_upd=0))
    update = Write(relation=("public", "t"), operation="Update", rows=100, columns=frozenset("c"))
    assert cost(update, index("b"), cold) > 0


def test_partitions_write_to_the_indexes_of_their_parent() -> None:
    parent = replace(TABLE, kind="p", pages=0)
    child = replace(TABLE, name="t1", partition_bound="DEFAULT", inherits=(("public", "t"),))
    both = replace(snapshot(), tables=(parent, child))
    insert = Write(relation=("public", "t1"), operation="Insert", rows=100)
    assert Upkeep(both, [insert]).cost(index("a"), 300, 100_000) > 0

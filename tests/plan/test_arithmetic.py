"""The sums of real plans: what every node did alone adds up to what the statement did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, make_url

from dbtune.plan.arithmetic import Analysis, Count, analyse
from dbtune.plan.parse import NotAPlan, parse
from dbtune.plan.tree import Buffers, Node, Plan
from dbtune.server.connection import Target, connect, server_version_num
from dbtune.server.embedded import EmbeddedServer

SETUP = """
CREATE TABLE parent (id int PRIMARY KEY, name text, grp int);
INSERT INTO parent SELECT g, md5(g::text), g % 50 FROM generate_series(1, 5000) AS g;
CREATE TABLE child (id int PRIMARY KEY, parent_id int REFERENCES parent (id) ON DELETE CASCADE, v int, t text);
INSERT INTO child SELECT g, 1 + g % 5000, g % 1000, md5(g::text) FROM generate_series(1, 40000) AS g;
CREATE INDEX child_v ON child (v);
CREATE TABLE part (id int, at int) PARTITION BY RANGE (at);
CREATE TABLE part_0 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (100) TO (200);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (200) TO (300);
INSERT INTO part SELECT g, g % 300 FROM generate_series(1, 20000) AS g;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM count(*) FROM parent; RETURN NEW; END $$;
CREATE TABLE logged (id int, v int);
CREATE TRIGGER before_it BEFORE INSERT ON logged FOR EACH ROW EXECUTE FUNCTION slow();
CREATE TRIGGER after_it AFTER INSERT ON logged FOR EACH ROW EXECUTE FUNCTION slow();
ANALYZE
"""

# Statements by the shape they give the plan; {n} is a number from 1 to 400.
SHAPES = {
    "loops": "SELECT * FROM parent AS p JOIN child AS c ON c.id = p.id WHERE p.grp < {n} % 50",
    "unindexed loops": "SELECT count(*) FROM parent AS p JOIN child AS c ON c.v = p.id WHERE p.id < {n}",
    "CTE read twice": "WITH x AS MATERIALIZED (SELECT v, count(*) AS n FROM child GROUP BY v) "
    "SELECT * FROM x AS a JOIN x AS b ON a.v = b.v + {n}",
    "CTE inside a CTE": "WITH x AS MATERIALIZED (SELECT * FROM child WHERE v < {n}), "
    "y AS MATERIALIZED (SELECT parent_id, count(*) FROM x GROUP BY 1) SELECT * FROM y, (SELECT max(v) FROM x) AS m",
    "same name in two scopes": "WITH x AS MATERIALIZED (SELECT * FROM child WHERE v < {n}) "
    "SELECT (WITH x AS MATERIALIZED (SELECT * FROM parent WHERE grp < {n}) SELECT count(*) FROM x), count(*) FROM x",
    "recursive": "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {n} * 10) "
    "SELECT sum(n) FROM r",
    "InitPlan": "SELECT count(*) FROM child WHERE v = (SELECT max(grp) FROM parent WHERE id < {n} * 10)",
    "InitPlan below a join": "SELECT count(*) FROM parent AS p JOIN child AS c ON c.parent_id = p.id "
    "WHERE c.v > (SELECT avg(v) FROM child WHERE id < {n} * 50) AND p.grp > (SELECT min(grp) FROM parent)",
    "SubPlan": "SELECT p.id, (SELECT count(*) FROM child AS c WHERE c.v = p.id) FROM parent AS p WHERE p.id < {n}",
    "hashed SubPlan": "SELECT count(*) FROM child WHERE v NOT IN (SELECT grp FROM parent WHERE id < {n})",
    "partitions": "SELECT at, count(*) FROM part WHERE at >= {n} % 300 GROUP BY at ORDER BY at",
    "never executed": "SELECT * FROM parent WHERE id < 0 AND EXISTS (SELECT 1 FROM child WHERE v = parent.id)",
    "sort and limit": "SELECT * FROM child ORDER BY t DESC LIMIT {n}",
    "window": "SELECT id, sum(v) OVER (PARTITION BY parent_id ORDER BY id) FROM child WHERE id < {n} * 90",
    "set operation": "SELECT v FROM child WHERE id < {n} * 50 EXCEPT SELECT grp FROM parent",
    "bitmap or": "SELECT count(*) FROM child WHERE v = {n} OR v = 5",
    "insert with triggers": "INSERT INTO logged SELECT g, g FROM generate_series(1, 1 + {n} / 20) AS g",
    "cascading delete": "DELETE FROM parent WHERE id < 1 + {n} / 40",
    "CTE that changes data": "WITH d AS (UPDATE child SET v = v + 1 WHERE v = {n} RETURNING *) SELECT count(*) FROM d",
    "CTE that changes data unread": "WITH d AS (UPDATE child SET v = v + 1 WHERE v < {n}) SELECT 1",
}

SETTINGS = {
    "plain": {},
    "nested loops": {"enable_hashjoin": "off", "enable_mergejoin": "off"},
    "merge joins": {"enable_hashjoin": "off", "enable_nestloop": "off"},
    "little memory": {"work_mem": "64kB"},
    "parallel": {
        "parallel_setup_cost": "0",
        "parallel_tuple_cost": "0",
        "min_parallel_table_scan_size": "0",
        "min_parallel_index_scan_size": "0",
        "max_parallel_workers_per_gather": "2",
    },
}


@pytest.fixture(scope="module")
def filled(server: EmbeddedServer) -> Iterator[Connection]:
    with connect(Target(make_url(server.url()).set(drivername="postgresql+psycopg2"), "test")) as admin:
        admin.exec_driver_sql("CREATE SCHEMA sums")
        admin.exec_driver_sql("SET search_path = sums")
        admin.exec_driver_sql(SETUP, execution_options={"no_parameters": True})
        admin.commit()
        yield admin
        admin.rollback()
        admin.exec_driver_sql("DROP SCHEMA sums CASCADE")
        admin.commit()


def explained(connection: Connection, statement: str, how: dict[str, str], *, timing: bool = True) -> Plan:
    try:
        for name, value in how.items():
            connection.exec_driver_sql(f"SET LOCAL {name} = '{value}'")
        options = "ANALYZE, BUFFERS, VERBOSE, FORMAT JSON" + ("" if timing else ", TIMING OFF")
        (document,) = connection.exec_driver_sql(
            f"EXPLAIN ({options}) {statement}", execution_options={"no_parameters": True}
        ).one()
    finally:
        connection.rollback()
        connection.exec_driver_sql("SET search_path = sums")
    (plan,) = parse(document)
    return plan


def own_ms(analysis: Analysis) -> float:
    return sum(m.self_ms or 0.0 for m in analysis.measures)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=st.sampled_from(sorted(SHAPES)), how=st.sampled_from(sorted(SETTINGS)), n=st.integers(1, 400))
def test_what_nodes_did_alone_adds_up_to_the_whole(filled: Connection, shape: str, how: str, n: int) -> None:
    plan = explained(filled, SHAPES[shape].format(n=n), SETTINGS[how])
    analysis = analyse(plan)
    execution = analysis.execution_ms
    assert execution is not None
    assert all(m.self_ms is not None and m.self_ms >= 0 for m in analysis.measures)
    assert sum(m.share for m in analysis.measures) <= 1 + 1e-9
    tops = sum(analysis.measures[n.number].inclusive_ms or 0.0 for n in (plan.root, *_outside(plan)))
    assert own_ms(analysis) == pytest.approx(tops - _before_triggers(analysis, tops), rel=1e-6, abs=1e-6)
    # Starting and ending the executor is no node's time, so the sum never exceeds the whole.
    assert own_ms(analysis) + analysis.trigger_ms <= execution * 1.0001 + 0.01
    _check_blocks(plan, analysis)


def _outside(plan: Plan) -> list[Node]:
    """CTEs that change data and that nothing reads run after the root."""
    return [n for n in plan.nodes if n.cte and not any(s.raw.get("CTE Name") == n.cte for s in plan.nodes)]


def _before_triggers(analysis: Analysis, tops: float) -> float:
    """BEFORE triggers run inside ModifyTable; what of all triggers does not fit after the root was inside."""
    if not any("Constraint Name" not in t for t in analysis.plan.triggers):
        return 0.0
    assert own_ms(analysis) <= tops + 1e-6
    return tops - own_ms(analysis)


def _check_blocks(plan: Plan, analysis: Analysis) -> None:
    for counter in fields(Buffers):
        own = [getattr(m.self_blocks, counter.name) for m in analysis.measures]
        tops = [getattr(n.buffers, counter.name) for n in (plan.root, *_outside(plan))]
        assert min(own) >= 0, counter.name
        assert sum(own) == sum(tops), counter.name


def test_without_timing_shares_come_from_blocks(filled: Connection) -> None:
    analysis = analyse(explained(filled, SHAPES["SubPlan"].format(n=50), {}, timing=False))
    assert all(m.self_ms is None for m in analysis.measures)
    assert sum(m.share for m in analysis.measures) == pytest.approx(1)
    (heaviest,) = [n for n in analysis.plan.nodes if n.relation == "sums.child" and "Bitmap Index" not in n.node_type]
    assert analysis.of(heaviest).share == max(m.share for m in analysis.measures)


def test_matches_that_are_rare_among_many_loops_are_not_lost(filled: Connection) -> None:
    """Twelve matches over three hundred loops print as 0 before PostgreSQL 18."""
    how = {"enable_hashjoin": "off", "enable_mergejoin": "off", "enable_material": "off", "enable_bitmapscan": "off"}
    joined = "(SELECT id FROM parent WHERE id <= 300) AS p JOIN child AS c ON c.id = p.id AND c.v + 0 < 13"
    plan = explained(filled, f"SELECT * FROM {joined}", how | {"join_collapse_limit": "1"})
    analysis = analyse(plan)
    inner = next(n for n in plan.nodes if n.relation == "sums.child" and n.parent_relationship == "Inner")
    rows = analysis.of(inner).rows
    assert inner.loops == 300
    assert rows is not None
    assert rows.value == pytest.approx(12, abs=1.5)
    if server_version_num(filled) < 180_000:
        assert inner.rows_per_loop == 0


def test_totals_carry_the_error_that_rounding_left() -> None:
    node = {
        "Node Type": "Seq Scan",
        "Plan Rows": 1,
        "Actual Loops": 300,
        "Actual Rows": 0,
        "Rows Removed by Filter": 7,
        "Actual Total Time": 0.002,
        "Parent Relationship": "SubPlan",
    }
    (old,) = parse(
        [
            {
                "Plan": {
                    "Node Type": "Result",
                    "Actual Loops": 1,
                    "Actual Rows": 300,
                    "Actual Total Time": 1.0,
                    "Plan Rows": 300,
                    "Plans": [node],
                },
                "Execution Time": 1.0,
            }
        ]
    )
    measure = analyse(old).measures[1]
    assert measure.rows == Count(0, 150)
    assert measure.removed == Count(2100, 150)
    (new,) = parse([{"Plan": {**old.root.raw, "Plans": [{**node, "Actual Rows": 0.04}]}, "Execution Time": 1.0}])
    assert analyse(new).measures[1].rows == Count(12, pytest.approx(1.5))  # type: ignore[arg-type]


def test_a_perfect_estimate_in_a_parallel_plan_looks_perfect(filled: Connection) -> None:
    plan = explained(filled, "SELECT * FROM part_1 WHERE id > 0", SETTINGS["parallel"])
    analysis = analyse(plan)
    scan = next(n for n in plan.nodes if n.node_type == "Seq Scan")
    measure = analysis.of(scan)
    assert scan.parallel_aware
    assert measure.rows is not None
    assert measure.rows.value == pytest.approx(6_700, abs=3)
    assert measure.estimated_rows == pytest.approx(6_700, rel=0.01)


def test_an_unknown_node_type_is_kept_and_counted() -> None:
    (plan,) = parse(
        '[{"Plan": {"Node Type": "Quantum Scan", "Actual Loops": 1, "Actual Rows": 3, "Plan Rows": 1, '
        '"Actual Total Time": 2.0, "Entangled": true}, "Execution Time": 2.0}]'
    )
    assert plan.root.label == "Quantum Scan"
    assert plan.root.raw["Entangled"] is True
    assert analyse(plan).measures[0].self_ms == 2.0


@pytest.mark.parametrize(
    "text", ["[{", "[1]", "{}", '[{"Plan": 3}]', '[{"Plan": {"Plans": [1]}}]', '[{"Plan": {"Plans": 7}}]']
)
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(NotAPlan):
        parse(text)


def test_deep_and_large_plans() -> None:
    """10,000 nodes, and a nesting deeper than Python's stack."""
    deep: dict[str, object] = {"Node Type": "Result", "Plan Rows": 1, "Actual Loops": 1, "Actual Total Time": 1.0}
    for _ in range(5_000):
        deep = {"Node Type": "Result", "Plan Rows": 1, "Actual Loops": 1, "Actual Total Time": 1.0, "Plans": [deep]}
    (plan,) = parse([{"Plan": deep}])
    assert plan.nodes[-1].depth == 5_000
    assert sum(m.self_ms or 0 for m in analyse(plan).measures) == pytest.approx(1.0)
    assert plan.nodes[0].end == 5_001
    while "Plans" in deep:  # the interpreter would free so deep a nesting by recursion
        (deep,) = deep.pop("Plans")  # type: ignore[misc]

"""The twin has what the source has: the same statistics in the same places, and therefore the same plans."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from dbtune.index.whatif.comparison import compare
from dbtune.index.whatif.planning import send
from dbtune.index.whatif.protocol import Question
from dbtune.index.whatif.twin import Twin
from dbtune.server.connection import server_version_num
from dbtune.workload.query import Query
from tests.index.whatif.twin import source

STATISTICS = """
SELECT * FROM pg_stats WHERE schemaname IN ('public', 'Odd Schema')
 ORDER BY schemaname, tablename, attname, inherited
"""
OPERATORS = """
SELECT c.oid::regclass::text, staattnum, stainherit, stakind1, stakind2, stakind3, stakind4, stakind5,
       staop1::regoperator::text, staop2::regoperator::text, staop3::regoperator::text, staop4::regoperator::text,
       staop5::regoperator::text, stacoll1, stacoll2, stacoll3, stacoll4, stacoll5, stavalues1::text, stavalues2::text,
       stanumbers1, stanumbers2, stanumbers3
  FROM pg_statistic s JOIN pg_class c ON c.oid = s.starelid
 WHERE c.relnamespace IN ('public'::regnamespace, '"Odd Schema"'::regnamespace) ORDER BY 1, 2, 3
"""
EXTENDED = """
SELECT s.stxname, to_jsonb(d) - 'stxoid' - 'stxdexpr' - 'stxdmcv' AS data,
       (SELECT json_agg(m) FROM pg_mcv_list_items(d.stxdmcv) AS m) AS common
  FROM pg_statistic_ext s JOIN pg_statistic_ext_data d ON d.stxoid = s.oid
 WHERE s.stxname <> 'customer_enum' ORDER BY 1
"""
EXPRESSIONS = "SELECT * FROM pg_stats_ext_exprs ORDER BY statistics_name, expr"
SIZES = """
SELECT c.oid::regclass::text, c.relpages, c.reltuples, c.relallvisible, pg_relation_size(c.oid)
  FROM pg_class c WHERE c.relnamespace IN ('public'::regnamespace, '"Odd Schema"'::regnamespace)
   AND c.relkind IN ('r', 'p', 'm') ORDER BY 1
"""
INDEX_SIZES = """
SELECT c.oid::regclass::text, pg_relation_size(c.oid)
  FROM pg_class c WHERE c.relnamespace IN ('public'::regnamespace, '"Odd Schema"'::regnamespace)
   AND c.relkind = 'i' AND c.relname NOT LIKE 'dbtune_twin%' ORDER BY 1
"""
NOT_THE_SAME_COST = {"citext", "text search"}
"""An index that grew row by row is a level lower than one that was built; GIN's own counts are not in the catalogs."""


@pytest.mark.parametrize(
    "asked",
    [STATISTICS, OPERATORS, EXTENDED, SIZES, INDEX_SIZES],
    ids=["statistics", "operators", "extended", "sizes", "indexes"],
)
def test_catalogs_say_the_same(twin: Twin, production: Connection, asked: str) -> None:
    here, there = rows(twin.connection, asked), rows(production, asked)
    assert len(there) > 2 or asked == EXTENDED
    assert here == there


def test_expressions_of_extended_statistics_are_the_same(twin: Twin, production: Connection) -> None:
    if server_version_num(production) < 140_000:
        pytest.skip("since PostgreSQL 14")
    here, there = rows(twin.connection, EXPRESSIONS), rows(production, EXPRESSIONS)
    production.rollback()
    assert len(there) == 2
    assert here == there


def rows(connection: Connection, asked: str) -> list[tuple[object, ...]]:
    try:
        return [tuple(map(str, row)) for row in connection.exec_driver_sql(asked.replace("%", "%%"))]
    finally:
        connection.rollback()


def questions() -> list[Question]:
    return [Question(name=n, query=Query(name=n, statement=s)) for n, s in source.QUERIES.items()]


def test_plans_are_the_same(twin: Twin, production: Connection) -> None:
    agreement = compare(twin, questions(), production)
    assert [each for each in agreement.compared if each.reason is not None] == []
    assert [each.question for each in agreement.compared if not each.same] == []
    unlike = {each.question for each in agreement.compared if abs(each.ratio - 1) > 0.001}
    assert unlike <= NOT_THE_SAME_COST
    assert all(0.95 < each.ratio < 1.05 for each in agreement.compared)
    assert agreement.same == 1


def test_a_difference_is_found(twin: Twin, production: Connection) -> None:
    name = str(production.exec_driver_sql("SELECT current_database()").scalar())
    production.rollback()
    send(production, "SET enable_indexscan = off")
    send(production, "SET enable_bitmapscan = off")
    send(production, "SET enable_indexonlyscan = off")
    production.commit()
    (key,) = [question for question in questions() if question.name == "key"]
    agreement = compare(twin, [key], production)
    assert name
    assert agreement.same == 0.0
    assert agreement.same == 0
    assert agreement.extremes[1] < 1
    assert agreement.summary.startswith("0.0% of 1 plans are the same")


def test_a_question_that_one_of_them_refuses_is_no_pair(twin: Twin, production: Connection) -> None:
    send(production, "CREATE TABLE newer (id integer)")
    production.commit()
    try:
        asked = [
            Question(name="newer", query=Query(name="newer", statement="SELECT * FROM newer")),
            Question(name="nowhere", query=Query(name="nowhere", statement="SELECT * FROM nowhere")),
        ]
        agreement = compare(twin, asked, production)
        assert [each.reason is not None for each in agreement.compared] == [True, True]
        assert agreement.pairs == ()
        assert "2 could not be compared" in agreement.summary
    finally:
        send(production, "DROP TABLE newer")
        production.commit()


def test_what_is_missing_or_not_planned_is_told(twin: Twin) -> None:
    said = "\n".join(twin.warnings)
    assert "row-level security of public.guarded is not planned" in said
    assert "common values of statistics public.customer_enum" in said
    assert len(twin.warnings) == 2


def test_production_only_hears_explain_in_read_only_transactions(twin: Twin, production: Connection) -> None:
    sent: list[str] = []
    from sqlalchemy import event

    event.listen(production, "before_cursor_execute", lambda *a: sent.append(a[2]))
    compare(twin, questions()[:3], production)
    assert len(sent) == 3 * 6
    assert all(
        s.removeprefix("/* dbtune */ ").startswith(("SET TRANSACTION READ ONLY", "SET LOCAL", "EXPLAIN (VERBOSE"))
        for s in sent
    )

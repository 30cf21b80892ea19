"""Explaining a workload: sampled values, proofs by running again, honest negatives."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from dbtune.plan.finding import Confidence
from dbtune.plan.report import Outcome
from dbtune.plan.survey import Wanted, survey
from dbtune.workload.query import ParameterSet, Query
from dbtune.workload.sampling import Column, Place, places, sampled


@pytest.fixture
def events(db: Connection) -> Connection:
    db.exec_driver_sql("CREATE TABLE event (id int PRIMARY KEY, kind text, tags int[], what text)")
    db.exec_driver_sql(
        "INSERT INTO event SELECT g, CASE WHEN mod(g, 10) < 9 THEN 'usual' ELSE 'kind ' || g END, '{1,2}', md5(g::text)"
        " FROM generate_series(1, 30000) AS g"
    )
    db.exec_driver_sql("ANALYZE event")
    db.commit()
    return db


def one(connection: Connection, query: Query, wanted: Wanted | None = None) -> Outcome:
    (outcome,) = survey(connection, [query], wanted or Wanted(), server="here").outcomes
    return outcome


def test_values_are_sampled_where_none_were_captured_and_marked_so(events: Connection) -> None:
    outcome = one(events, Query(name="q", statement="SELECT * FROM event WHERE kind = $1 LIMIT $2"))
    assert outcome.is_measured
    assert outcome.explained.provenance == "sampled"
    assert outcome.explained.parameter_set == "common"
    assert outcome.query.sets[0].values == ("usual", "10")
    assert outcome.query.sets[1].name == "rare"
    assert (outcome.query.sets[1].values[0] or "").startswith("kind ")


def test_findings_are_as_sure_as_the_values(events: Connection) -> None:
    statement = "SELECT * FROM event WHERE what = $1"
    guessed = one(events, Query(name="q", statement=statement))
    assert {f.confidence for f in guessed.findings if f.rule == "A1"} == {Confidence.SAMPLED}
    sets = (ParameterSet(name="mine", values=("x",)),)
    captured = one(events, Query(name="q", statement=statement, sets=sets))
    assert {f.confidence for f in captured.findings if f.rule == "A1"} == {Confidence.MEASURED}
    planned = one(events, Query(name="q", statement="DELETE FROM event WHERE what = 'x'"))
    assert {f.confidence for f in planned.findings if f.rule == "A1"} == {Confidence.ESTIMATED}


def test_captured_values_stay(events: Connection) -> None:
    sets = (ParameterSet(name="mine", values=("kind 9",)),)
    query = Query(name="q", statement="SELECT * FROM event WHERE kind = $1", sets=sets)
    assert sampled(events, query) is query
    assert one(events, query).explained.provenance == "captured"


def test_what_statistics_cannot_tell_stays_generic(events: Connection) -> None:
    outcome = one(events, Query(name="q", statement="SELECT $1::int + id FROM event WHERE kind = $2"))
    assert outcome.explained.provenance == "generic"
    assert not outcome.is_measured


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("SELECT * FROM s.t WHERE a = $1", {1: Place(Column("s", "t", "a"))}),
        (
            "SELECT * FROM t AS x JOIN u ON u.id = x.id WHERE u.a IN ($1,$2)",
            dict.fromkeys((1, 2), Place(Column("", "u", "a"))),
        ),
        ("SELECT * FROM t WHERE lower(a) = $1::text", {1: Place(Column("", "t", "a"))}),
        ("SELECT * FROM t WHERE a = ANY ($1::int[])", {1: Place(Column("", "t", "a"), wraps=("{", "}"))}),
        (
            "SELECT * FROM t WHERE a LIKE $1 OFFSET $2",
            {1: Place(Column("", "t", "a"), wraps=("", "%")), 2: Place(None, "0")},
        ),
        ("UPDATE t SET a = $1 WHERE id = $2", {1: Place(Column("", "t", "a")), 2: Place(Column("", "t", "id"))}),
        ("SELECT * FROM t, u WHERE a = $1", {}),  # whose column is it?
        ("SELECT '$1', $tag$ $2 $tag$", {}),
        ("not SQL $1 at all (", {}),
    ],
)
def test_places_of_parameters(statement: str, found: dict[int, Place]) -> None:
    assert places(statement) == found


def test_a_spill_is_cured_by_running_again(events: Connection) -> None:
    events.exec_driver_sql("SET work_mem = '256kB'")
    events.commit()
    outcome = one(events, Query(name="q", statement="SELECT * FROM event ORDER BY what"))
    (finding,) = [f for f in outcome.findings if f.rule == "C1"]
    assert finding.advice.startswith("SET LOCAL work_mem = '")
    assert "it took no temporary file" in finding.advice
    assert isinstance(finding.evidence["proved_ms"], float)
    assert finding.saves_ms is not None
    unproved = one(events, Query(name="q", statement="SELECT * FROM event ORDER BY what"), Wanted(prove=False))
    assert "proved_ms" not in unproved.findings[0].evidence
    assert events.exec_driver_sql("SHOW work_mem").scalar() == "256kB"


def test_what_is_fine_is_told_too(events: Connection) -> None:
    outcome = one(events, Query(name="q", statement="SELECT * FROM event WHERE id < 50 ORDER BY what"))
    assert any(fine.startswith("sort in memory, ") for fine in outcome.checked)
    assert "no sequential scan" in outcome.checked
    assert outcome.unchecked == ()
    planned = one(events, Query(name="q", statement="DELETE FROM event"))
    assert planned.unchecked == ("times, rows and spills: the statement was not run (EXPLAIN ANALYZE)",)


def test_parameter_sensitivity_is_found(events: Connection) -> None:
    events.exec_driver_sql("CREATE INDEX event_kind ON event (kind)")
    events.commit()
    outcome = one(events, Query(name="q", statement="SELECT * FROM event WHERE kind = $1"))
    assert set(outcome.alternatives) == {"common", "rare", "generic"}
    assert "B8" in {f.rule for f in outcome.findings}

"""One root cause, one finding."""

from __future__ import annotations

from sqlalchemy import Connection

from dbtune.plan.survey import Wanted, survey
from dbtune.workload.query import Query


def test_stale_statistics_explain_the_spill_that_they_cause(db: Connection) -> None:
    db.exec_driver_sql("CREATE TABLE reading (id int, at int, what text) WITH (autovacuum_enabled = off)")
    db.exec_driver_sql("INSERT INTO reading SELECT g, g, md5(g::text) FROM generate_series(1, 2000) AS g")
    db.exec_driver_sql("ANALYZE reading")
    db.commit()
    db.exec_driver_sql("INSERT INTO reading SELECT g, g, md5(g::text) FROM generate_series(1, 60000) AS g")
    db.exec_driver_sql("SET work_mem = '256kB'")
    db.commit()
    db.exec_driver_sql("SELECT pg_sleep(1.2)")  # the server tells its counters at most once a second
    db.commit()
    query = Query(name="q", statement="SELECT * FROM reading WHERE at > 1990 ORDER BY what")
    (outcome,) = survey(db, [query], Wanted(), server="here").outcomes
    by_rule = {finding.rule: finding for finding in outcome.findings}
    assert by_rule["B6"].because_of is None
    assert "C1" in by_rule["B6"].leads_to
    assert by_rule["C1"].because_of == "B6"
    assert "C1" not in {finding.rule for finding in outcome.roots}
    assert outcome.saves_ms(by_rule["B6"]) >= (by_rule["C1"].saves_ms or 0)


def test_a_spill_of_well_known_size_stands_for_itself(db: Connection) -> None:
    db.exec_driver_sql(
        "CREATE TABLE reading AS SELECT g AS id, md5(g::text) AS what FROM generate_series(1, 60000) AS g"
    )
    db.exec_driver_sql("ANALYZE reading")
    db.exec_driver_sql("SET work_mem = '256kB'")
    db.commit()
    query = Query(name="q", statement="SELECT * FROM reading ORDER BY what")
    (outcome,) = survey(db, [query], Wanted(), server="here").outcomes
    (spill,) = [finding for finding in outcome.findings if finding.rule == "C1"]
    assert spill.because_of is None
    assert spill in outcome.roots

"""Tables, sequences and vacuum: each situation made for real."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg2
import pytest

from dbtune.health.finding import Confidence, Severity, Sql
from tests.health.conftest import Look, found, settle
from tests.migration.conftest import Run, session, wait_for


@pytest.fixture
def item(run: Run) -> None:
    run("CREATE TABLE item (id int PRIMARY KEY, owner int, note text)")
    run("INSERT INTO item SELECT g, mod(g, 100), repeat('x', 50) FROM generate_series(1, 20000) AS g")
    settle(run)
    run("VACUUM ANALYZE item")


def test_a_table_that_is_read_as_a_whole(run: Run, look: Look, item: None) -> None:
    def scan() -> None:
        for _ in range(10):
            run("SELECT count(*) FROM item WHERE owner = 5")
        settle(run)

    report = look("tables", interval=0.5, during=scan)
    (finding,) = found(report, "hot-seq-scan").values()
    assert (finding.object, finding.evidence["seq_tup_read"], finding.confidence) == (
        "public.item",
        200_000,
        Confidence.LOW,
    )
    assert found(report, "missing-index") == {}, "it yields"
    assert found(look("tables", interval=0.2), "hot-seq-scan") == {}, "what was before the interval does not count"
    report = look("tables", interval=0.5, during=scan, limits=("hot-seq-scan.rows_per_second=10000000",))
    assert found(report, "missing-index").keys() == {"public.item"}
    report = look("hot-seq-scan", interval=0.5, during=scan, limits=("hot-seq-scan.pages=10000",))
    assert report.findings == ()


def test_many_scans_of_a_small_table_are_fine(run: Run, look: Look) -> None:
    run("CREATE TABLE small AS SELECT g FROM generate_series(1, 2000) AS g; ANALYZE small")

    def scan() -> None:
        for _ in range(50):
            run("SELECT count(*) FROM small")
        settle(run)

    assert look("hot-seq-scan", "missing-index", interval=0.2, during=scan).findings == ()


def test_rates_need_time(look: Look, item: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dbtune.health.span.LEAST_SECONDS", 1e9)
    report = look("hot-seq-scan")
    assert report.findings == () == report.sound
    (unchecked,) = report.unchecked
    assert "take two readings (--interval)" in unchecked.why


def test_sequences(run: Run, look: Look) -> None:
    run("CREATE TABLE a (id serial, small smallint GENERATED ALWAYS AS IDENTITY, big bigserial)")
    run("SELECT setval('a_id_seq', 2000000000), setval('a_small_seq', 25000), setval('a_big_seq', 8000000000000)")
    run("CREATE SEQUENCE wide; CREATE TABLE b (id int DEFAULT nextval('wide')); SELECT setval('wide', 1700000000)")
    run("CREATE SEQUENCE down INCREMENT -1 MINVALUE -100 START -1; SELECT setval('down', -95)")
    run("CREATE SEQUENCE round MAXVALUE 10 CYCLE; SELECT setval('round', 10)")
    run("CREATE SEQUENCE fresh MAXVALUE 10; CREATE SEQUENCE full_up MAXVALUE 10; SELECT setval('full_up', 10)")
    run("CREATE SEQUENCE high START 9000000000000000000; SELECT nextval('high')")
    told = found(look("sequence-exhaustion"), "sequence-exhaustion")
    assert {name: each.severity for name, each in told.items()} == {
        "public.a_id_seq": Severity.CRITICAL,
        "public.a_small_seq": Severity.WARNING,
        "public.wide": Severity.WARNING,
        "public.down": Severity.CRITICAL,
        "public.full_up": Severity.CRITICAL,
    }
    assert told["public.a_id_seq"].evidence["left"] == 2**31 - 1 - 2_000_000_000
    assert told["public.down"].evidence["left"] == 5
    assert told["public.wide"].evidence["type"] == "integer"
    assert "integer column public.b.id" in told["public.wide"].message


def test_when_a_sequence_ends(run: Run, look: Look) -> None:
    run("CREATE SEQUENCE s AS int INCREMENT 10; SELECT setval('s', 2000000001)")

    def use() -> None:
        run("SELECT nextval('s') FROM generate_series(1, 1000)")

    (finding,) = look("sequence-exhaustion", interval=1.0, during=use).findings
    assert finding.evidence["left"] == (2**31 - 1 - 2_000_010_001) // 10
    assert "at today's rate" in finding.message


def test_dead_rows(run: Run, look: Look) -> None:
    run("CREATE TABLE lazy (id int) WITH (autovacuum_enabled = false)")
    run("INSERT INTO lazy SELECT generate_series(1, 20000)")
    settle(run)
    run("ANALYZE lazy")
    settle(run)
    assert look("dead-rows").findings == ()
    run("DELETE FROM lazy WHERE id > 5000")
    settle(run)
    (finding,) = look("dead-rows").findings
    assert (finding.object, finding.severity, finding.evidence["n_dead_tup"]) == (
        "public.lazy",
        Severity.WARNING,
        15000,
    )
    assert "RESET (autovacuum_enabled)" in finding.action
    assert finding.evidence["autovacuum_at"] == 4050
    run("ALTER TABLE lazy SET (autovacuum_vacuum_threshold = 10000)")
    assert look("dead-rows").findings == (), "its own threshold counts"
    assert look("dead-rows", limits=("dead-rows.factor=1", "dead-rows.critical=10000")).findings[0].severity is (
        Severity.CRITICAL
    )
    assert isinstance(finding.remedy, Sql)
    run(finding.remedy.statement)
    settle(run)
    assert look("dead-rows", limits=("dead-rows.factor=0", "dead-rows.rows=1")).findings == ()


def test_statistics_that_are_missing_or_old(run: Run, look: Look) -> None:
    run("CREATE TABLE fresh (id int) WITH (autovacuum_enabled = false)")
    run("INSERT INTO fresh SELECT generate_series(1, 5000)")
    run("CREATE TABLE whole (id int) PARTITION BY RANGE (id)")
    run("CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (10000) WITH (autovacuum_enabled = false)")
    run("INSERT INTO whole SELECT generate_series(1, 5000)")
    settle(run)
    run("ANALYZE part")
    settle(run)
    told = found(look("stale-statistics"), "stale-statistics")
    tells_of_partitioned = int(run("SHOW server_version_num")[0][0]) >= 140_000
    assert {name: each.severity for name, each in told.items()} == {
        "public.fresh": Severity.WARNING,
        **({"public.whole": Severity.INFO} if tells_of_partitioned else {}),
    }
    run("ANALYZE fresh, whole")
    settle(run)
    assert look("stale-statistics").findings == ()
    run("UPDATE fresh SET id = id + 1")
    settle(run)
    (finding,) = look("stale-statistics").findings
    assert finding.evidence["n_mod_since_analyze"] == 5000


def test_updates_that_are_not_hot(run: Run, look: Look, item: None) -> None:
    limits = ("cold-updates.updates=1000",)
    run("UPDATE item SET note = 'y' WHERE id < 3000")
    settle(run)
    if int(run("SHOW server_version_num")[0][0]) >= 160_000:
        (finding,) = look("cold-updates", limits=limits).findings
        assert "fillfactor" in finding.action
    run("CREATE INDEX item_owner ON item (owner)")

    def update() -> None:
        run("VACUUM item")
        run("UPDATE item SET owner = owner + 1 WHERE id BETWEEN 3000 AND 6000")
        settle(run)

    (finding,) = look("cold-updates", limits=limits, interval=0.1, during=update).findings
    assert (finding.evidence["n_tup_upd"], finding.evidence["n_tup_hot_upd"]) == (3001, 0)


def test_who_keeps_old_rows(run: Run, look: Look, database_url: str) -> None:
    assert look("held-horizon", limits=("held-horizon.warning=0",)).findings == ()
    limits = ("held-horizon.warning=1s", "held-horizon.critical=1h")
    with session(database_url) as idle:
        idle("SET application_name = 'forgetful'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        (pid,) = idle("SELECT pg_backend_pid()")[0]
        wait_for(lambda: run(f"SELECT now() - xact_start > '1s' FROM pg_stat_activity WHERE pid = {pid}")[0][0])
        (finding,) = look("held-horizon", limits=limits).findings
        assert (finding.object, finding.severity) == (f"session {pid}", Severity.WARNING)
        assert (finding.evidence["application"], finding.evidence["state"]) == ("forgetful", "idle in transaction")
        assert look("held-horizon").findings == (), "an hour is the usual limit"
        assert isinstance(finding.remedy, Sql)
        run(finding.remedy.statement)
        wait_for(lambda: not run(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"))
    assert look("held-horizon", limits=limits).findings == ()


def test_a_vacuum_at_work_is_seen_and_holds_nothing(run: Run, look: Look, item: None, database_url: str) -> None:
    run("DELETE FROM item WHERE mod(id, 2) = 0")
    with session(database_url) as vacuuming:
        vacuuming("SET vacuum_cost_delay = '100ms'; SET vacuum_cost_limit = 1")
        (pid,) = vacuuming("SELECT pg_backend_pid()")[0]
        thread = threading.Thread(target=_until_cancelled, args=(vacuuming, "VACUUM item"))
        thread.start()
        try:
            wait_for(lambda: bool(run("SELECT 1 FROM pg_stat_progress_vacuum WHERE heap_blks_scanned > 0")))
            report = look("vacuum-passes", "held-horizon", limits=("vacuum-passes.passes=0", "held-horizon.warning=0"))
            assert {(each.check, each.object) for each in report.findings} == {("vacuum-passes", "public.item")}
            assert look("vacuum-passes").findings == ()
        finally:
            run(f"SELECT pg_cancel_backend({pid})")
            thread.join()


def _until_cancelled(run: Run, statement: str) -> None:
    with pytest.raises(psycopg2.errors.QueryCanceled):
        run(statement)


def test_wraparound_names_the_oldest_tables(run: Run, look: Look, item: None) -> None:
    assert look("wraparound").findings == ()
    report = look("wraparound", limits=("wraparound.warning=0",))
    own = [each for each in report.findings if each.object == f"database {report.server.database}"]
    ages = {each.evidence["kind"]: each for each in own}
    assert ages.keys() == {"transaction", "multixact"}
    (age,) = run("SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()")[0]
    assert ages["transaction"].evidence["age"] <= age
    oldest = ages["transaction"].evidence["oldest"]
    assert isinstance(oldest, list) and oldest[0].startswith("public.item (")


def test_bloat_by_statistics(run: Run, look: Look) -> None:
    run("CREATE TABLE full_up (id int PRIMARY KEY, code text) WITH (autovacuum_enabled = false)")
    run("INSERT INTO full_up SELECT g, md5(g::text) FROM generate_series(1, 20000) AS g")
    run("CREATE INDEX code ON full_up (code)")
    run("VACUUM ANALYZE full_up")
    limits = ("bloated-index.bytes=300kB", "bloated-table.bytes=300kB")
    assert look("bloated-index", "bloated-table", limits=limits).findings == ()
    run("DELETE FROM full_up WHERE mod(id, 5) > 0")
    run("VACUUM ANALYZE full_up")
    report = look("bloated-index", "bloated-table", limits=limits)
    assert {each.object for each in report.findings} == {"public.full_up", "public.code", "public.full_up_pkey"}
    for finding in report.findings:
        share = finding.evidence["wasted_share"]
        assert isinstance(share, float) and 0.7 < share < 0.85, finding
        assert finding.confidence is not Confidence.HIGH
    for index in found(report, "bloated-index").values():
        assert isinstance(index.remedy, Sql)
        run(index.remedy.statement)
    assert found(look("bloated-index", limits=limits), "bloated-index") == {}


def test_bloat_that_pgstattuple_counts(run: Run, look: Look) -> None:
    run("CREATE EXTENSION pgstattuple")
    run("CREATE TABLE wide (id int, code text) WITH (autovacuum_enabled = false)")
    run("INSERT INTO wide SELECT g, md5(g::text) FROM generate_series(1, 20000) AS g; CREATE INDEX code ON wide (code)")
    run("DELETE FROM wide WHERE mod(id, 5) > 0")
    run("VACUUM ANALYZE wide")
    limits = ("bloated-index.bytes=300kB", "bloated-table.bytes=300kB")
    report = look("bloated-index", "bloated-table", limits=limits, measure_bloat=True)
    assert {each.object for each in report.findings} == {"public.wide", "public.code"}
    for finding in report.findings:
        assert (finding.confidence, finding.evidence["measured"]) == (Confidence.HIGH, True)
        share = finding.evidence["wasted_share"]
        assert isinstance(share, float) and 0.7 < share < 0.85, finding


def test_the_clock_of_findings_is_the_servers(run: Run, look: Look, item: None) -> None:
    report = look("dead-rows")
    (now,) = run("SELECT clock_timestamp()")[0]
    assert timedelta(0) <= now - report.server.at < timedelta(seconds=30)

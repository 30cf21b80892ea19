"""dbtune scans: counters from the server, joined with the captured queries that cause them."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from sqlalchemy import Connection, make_url

from dbtune.server.connection import Target, connect
from tests.cli.conftest import Run, settle


def test_scans_since_the_reset_and_their_causes(run: Run, items: Connection) -> None:
    for _ in range(3):
        items.exec_driver_sql("SELECT count(*) FROM item WHERE owner = 5")
    settle(items)
    done = run("scans")
    assert done.returncode == 0, done.stderr
    assert "public.item" in done.stdout
    assert "by by-owner" in done.stdout
    assert "by-id" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_only_the_interval_is_counted(run: Run, items: Connection, database_url: str) -> None:
    items.exec_driver_sql("SELECT count(*) FROM item WHERE owner = 5")
    settle(items)

    def scan_twice() -> None:
        time.sleep(1.5)
        with connect(Target(make_url(database_url), "test")) as other:
            for _ in range(2):
                other.exec_driver_sql("SELECT count(*) FROM item WHERE owner = 5")
            settle(other)

    busy = threading.Thread(target=scan_twice)
    busy.start()
    done = run("scans", "--interval", "4s", "--format", "json")
    busy.join()
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (table,) = report["tables"]
    assert (table["seq_scan"], table["seq_tup_read"], table["rows_per_scan"]) == (2, 100_000, 50_000)
    assert table["queries"] == ["by-owner"]
    assert 3.9 < report["seconds"] < 10


def test_nothing_is_run_to_find_the_causes(run: Run, items: Connection) -> None:
    statement = "SELECT seq_scan, n_tup_upd FROM pg_stat_user_tables WHERE relname = 'item'"
    settle(items)
    before = items.exec_driver_sql(statement).one()
    items.rollback()
    assert run("scans").returncode == 0
    time.sleep(0.2)
    items.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
    assert items.exec_driver_sql(statement).one() == before


def test_without_captured_queries_there_are_still_counters(run: Run, items: Connection) -> None:
    settle(items)
    done = run("scans", "--query-dir", "nowhere", "--format", "markdown")
    assert done.returncode == 0
    assert "| public.item" in done.stdout


def test_wrong_intervals_and_bad_files(run: Run, queries: Path, items: Connection) -> None:
    settle(items)
    assert run("scans", "--interval", "0").returncode == 2
    assert run("scans", "--interval", "often").returncode == 2
    (queries / "broken.sql").write_text("SELECT 1; SELECT 2")
    done = run("scans")
    assert done.returncode == 2
    assert "queries/broken.sql:1: holds 2 statements" in done.stderr
    assert "public.item" in done.stdout

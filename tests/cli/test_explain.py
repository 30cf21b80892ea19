"""dbtune explain on good input, on none, on wrong input, stopped in the middle, in a pipe and at 80 columns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url

from dbtune.server.embedded import EmbeddedServer
from tests.cli.conftest import Run


def test_the_report_says_what_is_scanned_and_what_would_help(run: Run) -> None:
    done = run("explain")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "seq scan public.item: 50,000 → 10 rows" in done.stdout
    assert "GET /items?owner=" in done.stdout
    assert "2 queries measured, 1 planned only" in done.stdout
    assert "public.item is scanned by 1 query, 50,000 rows read: by-owner" in done.stdout
    assert "an index on public.item (owner)" in " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_an_index_ends_the_finding(run: Run, items: Connection) -> None:
    items.exec_driver_sql("CREATE INDEX item_owner ON item (owner)")
    items.commit()
    done = run("explain")
    assert done.returncode == 0
    assert "No sequential scans." in done.stdout
    assert "Most valuable" not in done.stdout


def test_wide_output_has_a_line_a_query(run: Run) -> None:
    lines = run("explain", COLUMNS="160").stdout.splitlines()
    (line,) = [line for line in lines if line.startswith("by-owner")]
    assert "GET /items?owner=" in line
    assert "50,000 → 10" in line


def test_json_keeps_numbers_as_numbers(run: Run, tmp_path: Path) -> None:
    done = run("explain", "--format", "json", "--output", "report.json")
    assert (done.returncode, done.stdout) == (0, "")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["schema_version"] == 1
    by_name = {query["name"]: query for query in report["queries"]}
    (scan,) = by_name["by-owner"]["sequential_scans"]
    assert scan["rows_read"]["value"] == 50_000
    assert scan["rows_kept"]["value"] == 10
    assert by_name["by-owner"]["findings"][0]["rule"] == "A1"
    assert by_name["by-owner"]["findings"][0]["saves_ms"] > 0
    assert by_name["change-owner"]["status"] == "planned"
    assert by_name["by-id"]["plan"]["Plan"]["Node Type"] == "Index Scan"


def test_markdown_is_a_table(run: Run) -> None:
    lines = run("explain", "--format", "markdown").stdout.splitlines()
    assert lines[0].startswith("| query")
    assert sum(line.startswith("| ") for line in lines) == 4
    assert {line.count("|") for line in lines if line.startswith("| ")} == {lines[0].count("|")}


def test_a_tree_of_one_query(run: Run) -> None:
    done = run("explain", "--tree", "by-owner")
    assert done.returncode == 0
    assert "Seq Scan on public.item" in done.stdout
    assert "rows 10 → 10" in done.stdout
    assert "Filter: (item.owner = 3)" in done.stdout
    assert "by-id" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_plan_only_runs_nothing(run: Run, items: Connection) -> None:
    statement = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'item'"
    before = items.exec_driver_sql(statement).scalar()
    items.rollback()
    done = run("explain", "--plan-only")
    assert done.returncode == 0
    assert "seq scan public.item: ~ 50,000 → 10 rows" in done.stdout
    assert "(estimated)" in done.stdout
    time.sleep(0.2)
    items.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
    assert items.exec_driver_sql(statement).scalar() == before


def test_another_parameter_set(run: Run) -> None:
    done = run("explain", "by-owner", "--param-set", "absent")
    assert "50,000 → 0 rows" in done.stdout
    wrong = run("explain", "--param-set", "nosuch")
    assert wrong.returncode == 2
    assert wrong.stderr == "dbtune: no query has a parameter set nosuch; known: absent, frequent, one\n"


def test_fail_on_is_a_gate(run: Run, items: Connection) -> None:
    assert run("explain", "--fail-on", "high").returncode == 1
    items.exec_driver_sql("CREATE INDEX item_owner ON item (owner)")
    items.commit()
    assert run("explain", "--fail-on", "info").returncode == 0


def test_write_ok_runs_changes_and_rolls_back(run: Run, items: Connection) -> None:
    done = run("explain", "change-owner", "--write-ok")
    assert done.returncode == 0
    assert "1 query measured" in done.stdout
    assert items.exec_driver_sql("SELECT owner FROM item WHERE id = 7").scalar() == 7


def test_write_ok_is_refused_in_production(run: Run, items: Connection) -> None:
    items.exec_driver_sql(f'ALTER DATABASE "{items.engine.url.database}" SET dbtune.production = on')
    items.commit()
    done = run("explain", "--write-ok")
    assert done.returncode == 4
    assert done.stderr.startswith("dbtune: this server is marked as production")
    assert run("explain").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["by-ownr"], "queries holds no query by-ownr; did you mean by-owner?"),
        (["--query-dir", "empty"], "empty: holds no .sql file"),
        (["--query-dir", "nowhere"], "nowhere: no such folder"),
        (["--timeout", "soon"], "'soon' is not a duration"),
        (["--output", "no/such/folder/x.txt"], "cannot write no/such/folder/x.txt: No such file or directory"),
        (["--format", "xml"], "'xml' is not one of"),
        (["--url", "mysql://root:hunter2@h/d"], "--url: names mysql"),
        (["--url", "not a url hunter2"], "--url: not a URL"),
    ],
)
def test_wrong_usage_is_one_clear_line(run: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "empty").mkdir()
    done = run("explain", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT 1;\nSELECT 2\n", "queries/broken.sql:2: holds 2 statements"),
        ("SELECT *\nFRM item\n", 'queries/broken.sql:2: syntax error at or near "FRM"'),
        ("SELECT *\nFROM item\nWHERE colour = 1", 'queries/broken.sql:3: column "colour" does not exist'),
        (
            "-- dbtune: 1\n-- sets:\n--   a: []\nSELECT * FROM item WHERE id = $1",
            "queries/broken.sql:1: parameter set 'a' has 0 values, but the statement has 1 parameter",
        ),
        (
            "-- dbtune: 1\n-- sets:\n--   a: [seven]\nSELECT * FROM item WHERE id = $1",
            "queries/broken.sql:4: parameter set 'a': invalid input syntax for type integer",
        ),
        ("SELECT 'abc", "queries/broken.sql:1: unterminated"),
        ("-- nothing\n", "queries/broken.sql: holds no statement"),
    ],
)
def test_a_bad_file_is_named_and_the_others_run(run: Run, queries: Path, text: str, said: str) -> None:
    (queries / "broken.sql").write_text(text)
    done = run("explain")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"dbtune: {said}")
    assert "2 queries measured" in done.stdout


def test_a_file_that_is_not_text_is_named(run: Run, queries: Path) -> None:
    (queries / "broken.sql").write_bytes(b"SELECT '\xff'")
    done = run("explain", "broken")
    assert done.returncode == 2
    assert done.stderr == "dbtune: queries/broken.sql: is not UTF-8 (byte 8)\n"


def test_a_server_that_is_down(run: Run) -> None:
    done = run("explain", "--url", "postgresql://someone:hunter2@127.0.0.1:1/x")
    assert done.returncode == 3
    assert done.stderr.startswith("dbtune: someone@127.0.0.1:1/x: ")
    assert len(done.stderr.splitlines()) == 1
    assert "hunter2" not in done.stderr


def test_a_wrong_password_is_never_printed(run: Run, server: EmbeddedServer) -> None:
    url = make_url(server.url(tcp=True)).set(password="hunter2", query={}).render_as_string(hide_password=False)
    done = run("explain", "--url", url)
    assert done.returncode == 3
    assert "password authentication failed" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


def test_a_role_without_rights_skips_what_it_may_not_read(run: Run, items: Connection, database_url: str) -> None:
    items.exec_driver_sql("CREATE TABLE other AS SELECT 1 AS id")
    items.exec_driver_sql("DROP ROLE IF EXISTS half_blind")
    items.exec_driver_sql("CREATE ROLE half_blind LOGIN")
    items.exec_driver_sql("GRANT SELECT ON item TO half_blind")
    items.commit()
    url = make_url(database_url).set(username="half_blind").render_as_string()
    try:
        done = run("explain", "--url", url)
    finally:
        items.exec_driver_sql("DROP OWNED BY half_blind")
        items.exec_driver_sql("DROP ROLE half_blind")
        items.commit()
    assert done.returncode == 0, done.stderr
    assert "2 queries measured, 1 skipped" in done.stdout
    assert "skipped: permission denied for table item" in done.stdout


def test_a_timeout_is_named_and_the_rest_is_told(run: Run, queries: Path) -> None:
    (queries / "slow.sql").write_text("SELECT pg_sleep(30)")
    done = run("explain", "--timeout", "300ms")
    assert done.returncode == 5
    assert "gave up on slow" in done.stderr
    assert "took longer than 0.3 s" in done.stdout
    assert "2 queries measured" in done.stdout


def test_a_database_without_the_tables_is_one_line(run: Run, items: Connection) -> None:
    items.exec_driver_sql("DROP TABLE item")
    items.commit()
    done = run("explain")
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "has none of the tables of 3 queries" in done.stderr


def test_ctrl_c_prints_what_is_done(environment: dict[str, str], queries: Path, tmp_path: Path) -> None:
    (queries / "zz-slow.sql").write_text("SELECT pg_sleep(30)")
    process = subprocess.Popen(
        [sys.executable, "-m", "dbtune", "explain"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_until_asleep(environment["DBTUNE_URL"])
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert time.monotonic() - started < 15
    assert "2 queries measured, 1 planned only, stopped before 1 more" in out
    assert "Traceback" not in err


def _wait_until_asleep(url: str) -> None:
    import psycopg2

    watcher = psycopg2.connect(url.replace("+psycopg2", ""))
    watcher.autocommit = True
    try:
        with watcher.cursor() as cursor:
            for _ in range(300):
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
                if cursor.fetchone() == (1,):
                    return
                time.sleep(0.05)
    finally:
        watcher.close()
    raise AssertionError("the statement never ran")


def test_a_closed_pipe_ends_it_quietly(environment: dict[str, str], queries: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "dbtune", "explain"],
        cwd=tmp_path,
        env=environment,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert process.returncode == 141
    assert process.stderr == ""


def test_a_full_disk_is_one_line(environment: dict[str, str], queries: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dbtune", "explain"]
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert process.returncode == 2
    assert process.stderr == "dbtune: cannot write the output: No space left on device\n"


def test_an_output_file_is_replaced_as_a_whole_or_not_at_all(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "report.txt"
    target.write_text("before")
    assert run("explain", "--output", target, "--url", "postgresql://x@127.0.0.1:1/x").returncode == 3
    assert target.read_text() == "before"
    assert run("explain", "--output", target).returncode == 0
    assert "by-owner" in target.read_text()
    assert list(tmp_path.glob("*.part-*")) == []

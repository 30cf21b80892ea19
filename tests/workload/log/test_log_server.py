"""What a real server logs, in each of its formats, becomes the executions that were sent."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import psycopg2.extensions
import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner

from dbtune.cli import capture
from dbtune.server.embedded import EmbeddedServer
from dbtune.workload.capture.collect import collect
from dbtune.workload.capture.execution import Execution
from dbtune.workload.capture.log import Kind, Reading, events, executions, prefix, read

PREFIX = "%m [%p] %q%u@%d %a "
NASTY = ["', $2 = 'x", "two\nlines\n\tand a tab", "a\\b", "𝄞 äöü", "", "NULL", "it''s", "x, y: (z)"]
BY_NAME = "SELECT count(*) FROM item WHERE name = $1 AND id > $2"

psycopg = pytest.importorskip("psycopg")


@pytest.fixture(scope="module")
def logging_server(server: EmbeddedServer, data_dir: Path) -> Iterator[EmbeddedServer]:
    """A server that logs everything, in every format that it knows."""
    folder = data_dir / "logging"
    folder.mkdir(mode=0o755)
    own = EmbeddedServer(folder, server.programs)
    own.start()
    formats = "stderr,csvlog" + (",jsonlog" if own.programs.major >= 15 else "")
    settings = {
        "logging_collector": "on",
        "log_destination": formats,
        "log_filename": "all.log",
        "log_directory": "logs",
        "log_line_prefix": PREFIX,
        "log_min_duration_statement": "0",
        "log_lock_waits": "on",
        "deadlock_timeout": "50ms",
        "log_temp_files": "0",
        "auto_explain.log_min_duration": "0",
        "auto_explain.log_analyze": "on",
        "auto_explain.log_nested_statements": "on",
        "log_error_verbosity": "default",
    }
    connection = psycopg2.connect(own.url())
    connection.autocommit = True
    with connection.cursor() as cursor:
        for name, value in settings.items():
            cursor.execute(f"ALTER SYSTEM SET {name} = %s", (value,))
    connection.close()
    own.stop()
    own.start()
    yield own
    own.reset()


@pytest.fixture(scope="module")
def logs(logging_server: EmbeddedServer) -> dict[str, Path]:
    """The log of a small application, by format."""
    url = logging_server.url()
    with psycopg2.connect(url) as simple, simple.cursor() as cursor:
        cursor.execute("CREATE TABLE item (id int PRIMARY KEY, name text)")
        cursor.execute(
            "CREATE FUNCTION twice(int) RETURNS bigint LANGUAGE plpgsql AS"
            " $$ BEGIN RETURN (SELECT count(*) FROM item WHERE id < $1); END $$"
        )
        for number, name in enumerate(NASTY):
            cursor.execute("INSERT INTO item (id, name) VALUES (%s, %s)", (number, name))
        cursor.execute("SELECT twice(4)")
        cursor.execute("PREPARE named (text, int) AS SELECT id FROM item WHERE name = $1 AND id < $2")
        cursor.execute("EXECUTE named ('it''s', 77)")
    simple.close()
    with psycopg.connect(url) as extended:
        for name in NASTY:
            extended.execute("SELECT count(*) FROM item WHERE name = %s AND id > %s", (name, 1)).fetchall()
        extended.execute("SELECT count(*) FROM item WHERE name IS NOT DISTINCT FROM %s::text", (None,)).fetchall()
        with extended.cursor(name="portal") as portal:
            assert len(portal.execute("SELECT id FROM item ORDER BY id").fetchmany(3)) == 3
    with psycopg2.connect(url) as own, own.cursor() as cursor:
        cursor.execute("/* dbtune */ SELECT id FROM item WHERE id = 999")
    own.close()
    trouble(url)
    folder = logging_server.data / "logs"
    found = {"stderr": folder / "all.log", "csvlog": folder / "all.csv"}
    if logging_server.programs.major >= 15:
        found["jsonlog"] = folder / "all.json"
    for path in found.values():  # the collector is a process of its own
        for _ in range(100):
            if "unexpected EOF on client" in path.read_text():
                break
            time.sleep(0.05)
    return found


def trouble(url: str) -> None:
    """Make a lock wait that ends in a cancellation, a temporary file and a client that is lost."""
    with psycopg2.connect(url) as one, psycopg2.connect(url) as other:
        one.cursor().execute("LOCK TABLE item")
        cursor = other.cursor()
        cursor.execute("SET statement_timeout = '300ms'")
        with pytest.raises(psycopg2.errors.QueryCanceled):
            cursor.execute("UPDATE item SET name = 'late' WHERE id = 1")
        other.rollback()
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL work_mem = '64kB'")
        cursor.execute("SELECT count(*) FROM (SELECT g FROM generate_series(1, 50000) AS g ORDER BY g DESC) AS s")
    one.close()
    other.close()
    lost = (
        "import os, sys, psycopg2\n"
        "connection = psycopg2.connect(sys.argv[1])\n"
        "connection.cursor().execute('SELECT 1')\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", lost, url], check=True)


@pytest.fixture(params=["stderr", "csvlog", "jsonlog"])
def log(request: pytest.FixtureRequest, logs: dict[str, Path]) -> Path:
    if request.param not in logs:
        pytest.skip("this server has no such format")
    return logs[request.param]


def found_in(path: Path) -> list[Execution]:
    return list(executions(read(path, prefix(PREFIX))))


def test_every_statement_counts_once_with_its_values(log: Path) -> None:
    found = found_in(log)
    by_name = [each for each in found if each.statement == BY_NAME]
    assert [each.values for each in by_name] == [(name, "1") for name in NASTY]
    inserted = [each.values for each in found if each.statement == "INSERT INTO item (id, name) VALUES ($1, $2)"]
    assert inserted == [(str(number), name) for number, name in enumerate(NASTY)]
    (null,) = [each for each in found if "IS NOT DISTINCT FROM" in each.statement]
    assert null.values == (None,)


def test_execute_and_cursor_are_the_query_they_stand_for(log: Path) -> None:
    found = {each.statement: each.values for each in found_in(log)}
    assert found["SELECT id FROM item WHERE name = $1 AND id < $2"] == ("it's", "77")
    assert found["SELECT id FROM item ORDER BY id"] == ()


def test_nothing_of_functions_or_of_our_own(log: Path) -> None:
    found = [each.statement for each in found_in(log)]
    assert "SELECT twice($1)" in found
    assert not [statement for statement in found if "id < $1" in statement or "999" in statement]
    assert not [statement for statement in found if statement.startswith(("BEGIN", "CREATE", "SET", "LOCK"))]


def test_plans_join_their_statements(log: Path) -> None:
    found = found_in(log)
    by_name = [each for each in found if each.statement == BY_NAME]
    assert [each.plan is not None for each in by_name[:3]] == [True] * 3
    assert by_name[0].plan is not None
    assert by_name[0].plan["Plan"]["Node Type"] == "Aggregate"
    (inserted, *_) = [each for each in found if each.statement.startswith("INSERT")]
    assert inserted.plan is not None
    assert inserted.plan["Plan"]["Node Type"] == "ModifyTable"


def test_who_and_when(log: Path) -> None:
    (first, *_) = [each for each in found_in(log) if each.statement == BY_NAME]
    assert first.process is not None
    assert first.time is not None
    assert first.time.utcoffset() is not None
    assert abs(time.time() - first.time.timestamp()) < 3600
    assert 0 < first.duration_ms < 10_000


def test_events(log: Path) -> None:
    found = list(events(read(log, prefix(PREFIX))))
    kinds = Counter(each.kind for each in found)
    assert kinds[Kind.LOST_IN_TRANSACTION] == 1
    assert kinds[Kind.CANCELLED] == 1
    assert kinds[Kind.LOCK_WAIT] >= 1
    assert kinds[Kind.TEMPORARY_FILE] >= 1
    (cancelled,) = [each for each in found if each.kind is Kind.CANCELLED]
    assert cancelled.statement == "UPDATE item SET name = 'late' WHERE id = 1"
    assert cancelled.user == "dbtune"
    wait = next(each for each in found if each.kind is Kind.LOCK_WAIT)
    assert wait.amount is not None
    assert 50 <= wait.amount < 10_000
    file = next(each for each in found if each.kind is Kind.TEMPORARY_FILE)
    assert file.amount is not None
    assert file.amount > 100_000


def test_all_lines_are_read_and_the_prefix_is_found(logs: dict[str, Path]) -> None:
    for path in logs.values():
        reading = Reading()
        assert len(list(read(path, reading=reading))) > 50
        assert (reading.unread.lines, reading.unread.first) == (0, "")
    assert [len(found_in(path)) for path in logs.values()] == [len(found_in(logs["csvlog"]))] * len(logs)


def test_formats_agree(logs: dict[str, Path]) -> None:
    workloads = [
        [(query.name, query.statement, query.calls, query.sets[:1]) for query in collect(found_in(path), source="log")]
        for path in logs.values()
    ]
    assert all(workload == workloads[0] for workload in workloads)
    assert len(workloads[0]) >= 5


def test_what_is_written_can_be_explained(log: Path, logging_server: EmbeddedServer, tmp_path: Path) -> None:
    queries = tmp_path / "queries"
    plans = tmp_path / "plans"
    environment = {"DBTUNE_URL": make_url(logging_server.url()).render_as_string()}
    dbtune = [sys.executable, "-m", "dbtune"]
    arguments = ["log", str(log), "--query-dir", str(queries), "--keep-plans", str(plans), "--format", "json"]
    done = CliRunner().invoke(capture.app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert {each["kind"] for each in report["events"]} >= {"lock wait", "cancelled statement", "temporary file"}
    explained = subprocess.run(
        [*dbtune, "explain", "--query-dir", str(queries), "--format", "json"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert explained.returncode in (0, 1), explained.stderr
    outcomes = json.loads(explained.stdout)["queries"]
    assert len(outcomes) == len(report["queries"])
    assert {each["status"] for each in outcomes} <= {"measured", "planned"}
    (plan,) = plans.glob("select-item-by-name-id*.json")
    read_plan = subprocess.run([*dbtune, "explain", "--plan", str(plan)], capture_output=True, text=True, check=False)
    assert read_plan.returncode in (0, 1), read_plan.stderr

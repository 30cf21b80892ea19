"""dbtune capture: what pg_stat_statements counted becomes query files, and the workload is listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url
from typer.testing import CliRunner, Result

from dbtune.cli.capture import app
from dbtune.errors import ServerError, UsageError
from dbtune.server.connection import Target, connect
from dbtune.workload import files
from tests.cli.conftest import Run


@pytest.fixture(autouse=True)
def key_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key for hashes is made in a folder of the test's own."""
    monkeypatch.setenv("DBTUNE_DATA_DIR", str(tmp_path / "data"))


def capture(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def busy(items: Connection, database_url: str) -> str:
    """A database whose application has asked two things."""
    items.exec_driver_sql("CREATE EXTENSION pg_stat_statements")
    items.commit()
    with connect(Target(make_url(database_url), "test")) as other:
        for owner in range(3):
            other.exec_driver_sql(f"SELECT code FROM item WHERE owner = {owner}")
        other.exec_driver_sql("SELECT code FROM item WHERE code = 'secret of Ada'")
        other.commit()
    return database_url


def test_statements_are_written_and_explained(busy: str, tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "captured"
    done = capture("statements", "--url", busy, "--query-dir", folder, "--min-calls", 2)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "1 query ran since" in done.stdout
    assert "1 new, 0 changed, 0 kept, 0 removed" in done.stdout
    assert "with fewer calls than --min-calls" in done.stdout
    (query,) = files.load_folder(folder).workload.queries
    assert (query.name, query.calls, query.source) == ("select-item-by-owner", 3, "pg_stat_statements")
    assert query.sets[0].provenance == "sampled"
    explained = run("explain", "--query-dir", folder)
    assert explained.returncode == 0, explained.stderr
    assert "sampled" in explained.stdout


def test_a_second_capture_merges(busy: str, tmp_path: Path) -> None:
    folder = tmp_path / "captured"
    capture("statements", "--url", busy, "--query-dir", folder)
    done = capture("statements", "--url", busy, "--query-dir", folder, "--merge")
    assert "0 new, 2 changed" in done.stdout
    calls = {query.name: query.calls for query in files.load_folder(folder).workload.queries}
    assert calls == {"select-item-by-owner": 6, "select-item-by-code": 2}


@pytest.mark.parametrize("mode", ["types", "hash"])
def test_no_value_is_written_when_redacted(busy: str, tmp_path: Path, mode: str, items: Connection) -> None:
    items.exec_driver_sql("UPDATE item SET code = 'secret of Ada' WHERE id < 20000")
    items.exec_driver_sql("ANALYZE item")
    items.commit()
    folder = tmp_path / "captured"
    assert capture("statements", "--url", busy, "--query-dir", folder, "--redact", mode).exit_code == 0
    texts = "".join(path.read_text() for path in folder.iterdir())
    assert "secret" not in texts
    assert ("values: redacted" in texts) == (mode == "hash")
    if mode == "hash":
        key = tmp_path / "data" / "redaction-key"
        assert (key.stat().st_mode & 0o777, len(key.read_bytes())) == (0o600, 32)


def test_an_interval_without_traffic_writes_nothing(busy: str, tmp_path: Path) -> None:
    folder = tmp_path / "captured"
    done = capture("statements", "--url", busy, "--query-dir", folder, "--interval", "100ms")
    assert done.exit_code == 0
    assert "0 queries ran within 0 s" in done.stdout
    assert list(folder.iterdir()) == []


def test_mistakes_are_told(items: Connection, database_url: str) -> None:
    missing = capture("statements", "--url", database_url)
    assert isinstance(missing.exception, ServerError)
    assert "CREATE EXTENSION" in str(missing.exception)
    nothing = capture("statements", "--url", database_url, "--interval", "0")
    assert isinstance(nothing.exception, UsageError)
    assert capture("statements", "--url", database_url, "--interval", "often").exit_code == 2
    assert isinstance(capture("list", "--query-dir", "/nowhere").exception, UsageError)


WORKLOAD = {
    "seldom": "-- dbtune: 1\n-- calls: 2\n-- mean_ms: 400.0\n-- source: log\nSELECT 1\n",
    "often": (
        "-- dbtune: 1\n-- route: GET /a\n-- calls: 1000\n-- mean_ms: 2.5\n-- source: log, sqlalchemy\n"
        "-- values: sampled\n-- sets:\n--   common: [1]\nSELECT $1::int\n"
    ),
    "own": "SELECT 2\n",
}


@pytest.fixture
def workload(tmp_path: Path) -> Path:
    folder = tmp_path / "workload"
    folder.mkdir()
    for name, text in WORKLOAD.items():
        (folder / f"{name}.sql").write_text(text)
    return folder


def test_the_list_is_by_total_time(workload: Path) -> None:
    done = capture("list", "--query-dir", workload)
    assert done.exit_code == 0
    head, *lines = [line for line in done.stdout.splitlines() if line]
    assert head == "3 queries, 1,002 calls, 3,300 ms altogether"
    names = [line.split()[0] for line in lines if line.split()[0] in WORKLOAD]
    assert names == ["often", "seldom", "own"]
    assert "common (sampled)" in done.stdout


def test_a_narrow_list_fits(workload: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    done = capture("list", "--query-dir", workload)
    assert max(map(len, done.stdout.splitlines())) <= 60
    assert "GET /a; sets common (sampled); by log, sqlalchemy" in done.stdout


def test_the_list_for_programs_and_for_reports(workload: Path, tmp_path: Path) -> None:
    done = capture("list", "--query-dir", workload, "--format", "json")
    often, seldom, own = json.loads(done.stdout)["queries"]
    assert (often["name"], often["total_ms"], often["sets"]) == (
        "often",
        2500.0,
        [{"name": "common", "values": "sampled"}],
    )
    assert (seldom["source"], own["calls"], own["total_ms"]) == ("log", None, None)
    report = tmp_path / "workload.md"
    assert capture("list", "--query-dir", workload, "--format", "markdown", "-o", report).exit_code == 0
    assert "| often" in report.read_text()


def test_a_file_that_cannot_be_read_is_told_after_the_list(workload: Path) -> None:
    (workload / "broken.sql").write_text("SELECT 1; SELECT 2")
    done = capture("list", "--query-dir", workload)
    assert done.exit_code == 2
    assert "broken.sql:1: holds 2 statements" in done.stderr
    assert "often" in done.stdout

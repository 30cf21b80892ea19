"""dbtune capture log: from files, standard input and a file that grows to query files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dbtune.cli import capture
from dbtune.errors import BadFile, UsageError
from dbtune.workload import files, requests
from dbtune.workload.capture.execution import Execution
from dbtune.workload.capture.log import Reading, follow, gathered, prefix

PREFIX = "%m [%p] "


def line(number: int, message: str = "", process: int = 7) -> str:
    told = message or f"duration: {number}.000 ms  statement: SELECT * FROM t WHERE a = {number % 50}"
    return f"2026-01-31 10:00:{number % 60:02}.000 UTC [{process}] LOG:  {told}\n"


def run(*arguments: str | Path, given: bytes | None = None) -> Result:
    return CliRunner().invoke(capture.app, ["log", *map(str, arguments)], input=given, catch_exceptions=True)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "postgresql.log"
    waited = "process 7 acquired ShareLock on transaction 9 after 1500.000 ms"
    path.write_text("".join(line(number) for number in range(1, 101)) + line(1, waited) + line(2, waited))
    return path


def test_queries_and_events(log: Path, tmp_path: Path) -> None:
    done = run(log, "--query-dir", tmp_path / "queries")
    assert done.exit_code == 0, done.output
    assert "1 new, 0 changed, 0 kept, 0 removed" in done.stdout
    assert "lock wait" in done.stdout
    assert "3,000 ms" in done.stdout
    (path,) = (tmp_path / "queries").glob("*.sql")
    query = files.load(path)
    assert (query.statement, query.calls, query.mean_ms) == ("SELECT * FROM t WHERE a = $1", 100, 50.5)
    assert (query.source, query.types) == ("log", ("integer",))
    assert query.parameter_set("frequent") is not None
    slowest = query.parameter_set("slowest")
    assert slowest is not None
    assert slowest.values == ("0",)


def test_as_json(log: Path, tmp_path: Path) -> None:
    done = run(log, "--query-dir", tmp_path / "queries", "--format", "json")
    report = json.loads(done.stdout)
    assert report["schema_version"] == 1
    (file,) = report["files"]
    assert (file["format"], file["prefix"], file["unread_lines"]) == ("stderr", PREFIX, 0)
    assert file["bytes"] == log.stat().st_size
    assert report["queries"][0]["calls"] == 100
    assert report["events"] == [
        {
            "kind": "lock wait",
            "count": 2,
            "amount": 3000.0,
            "most": 1500.0,
            "first": "2026-01-31T10:00:01+00:00",
            "last": "2026-01-31T10:00:02+00:00",
        }
    ]


def test_several_jobs_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered, "PART_BYTES", 3000)
    path = tmp_path / "postgresql.log"
    path.write_text("".join(line(n, process=n % 5) for n in range(500)) + line(1, "deadlock detected"))
    reports = []
    for jobs in (1, 2):
        done = run(path, "--query-dir", tmp_path / str(jobs), "--format", "json", "--jobs", str(jobs))
        assert done.exit_code == 0, done.output
        reports.append(json.loads(done.stdout))
    assert reports[0] == reports[1]
    assert reports[0]["queries"][0]["calls"] == 500


def test_condensing_loses_no_call_and_no_slowest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered, "_VALUES_KEPT", 3)
    given = [
        Execution(statement="SELECT $1", values=(str(n % 8),), duration_ms=ms, rows=None)
        for n, ms in enumerate([1.0, 2.0, 1.0, 3.0, 1.0, 1.0, 1.0, 9.0, 5.0])
    ]
    found = {each.values: (each.calls, each.duration_ms) for each in gathered.condensed(given)}
    assert found == {
        ("0",): (2, 3.0),
        ("1",): (1, 2.0),
        ("2",): (1, 1.0),
        ("3",): (1, 3.0),
        ("7",): (1, 9.0),
        None: (3, 1.0),
    }


def test_standard_input_and_merging(log: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries"
    assert run("-", "--query-dir", queries, given=log.read_bytes()).exit_code == 0
    assert run("-", "--query-dir", queries, "--merge", given=log.read_bytes()).exit_code == 0
    (path,) = queries.glob("*.sql")
    assert files.load(path).calls == 200


def test_requests_are_kept(log: Path, tmp_path: Path) -> None:
    kept = tmp_path / "requests.jsonl"
    assert run(log, "--query-dir", tmp_path / "queries", "--keep-requests", kept).exit_code == 0
    stream = list(requests.read(kept))
    assert len(stream) == 100
    assert len({each.parameters for each in stream}) == 50


def test_a_log_without_statements_changes_no_file(log: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries"
    run(log, "--query-dir", queries)
    empty = tmp_path / "empty.log"
    empty.write_text(line(1, "checkpoint starting: time"))
    done = run(empty, "--query-dir", queries)
    assert done.exit_code == 0
    assert "log_min_duration_statement" in done.stderr
    assert len(list(queries.glob("*.sql"))) == 1


def test_lines_that_belong_nowhere_are_told(log: Path, tmp_path: Path) -> None:
    with log.open("a") as file:
        file.write("\x1b[1mSegmentation fault\n")
    done = run(log, "--query-dir", tmp_path / "queries")
    assert r"1 lines belong to no entry, the first: \x1b[1mSegmentation fault" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["missing.log"], BadFile, "missing.log: cannot be read"),
        (["LOG", "--prefix", "%t %u "], BadFile, r"'%m \[%p\] ' fits"),
        (["LOG", "--prefix", "%y"], UsageError, "%y is none of PostgreSQL's"),
        (["LOG", "LOG", "--follow"], UsageError, "takes one file"),
        (["-", "-"], UsageError, "only once"),
        (["LOG", "--jobs", "2", "--keep-requests", "x"], UsageError, "needs --jobs 1"),
        (["LOG", "--redact", "hash", "--keep-plans", "x"], UsageError, "plans hold values"),
    ],
)
def test_wrong_usage(arguments: list[str], error: type[Exception], words: str, log: Path, tmp_path: Path) -> None:
    given = [str(log) if each == "LOG" else each for each in arguments]
    done = run(*given, "--query-dir", tmp_path / "queries")
    assert isinstance(done.exception, error)
    with pytest.raises(error, match=words):
        raise done.exception


@pytest.fixture
def following(tmp_path: Path) -> Iterator[tuple[Path, list[str], Callable[[int], None]]]:
    """A file that is followed, what was read of it, and a function that waits for so many entries."""
    path = tmp_path / "growing.log"
    path.write_text(line(1))
    seen: list[str] = []
    done = threading.Event()

    def read() -> None:
        entries = follow(path, prefix(PREFIX), reading=Reading(), stopped=done.is_set, poll_seconds=0.01)
        seen.extend(entry.message for entry in entries)

    def wait(count: int) -> None:
        deadline = time.monotonic() + 10
        while len(seen) < count and time.monotonic() < deadline:
            time.sleep(0.01)

    thread = threading.Thread(target=read)
    thread.start()
    yield path, seen, wait
    done.set()
    thread.join()


def test_what_is_written_later_is_read(following: tuple[Path, list[str], Callable[[int], None]]) -> None:
    path, seen, wait = following
    wait(1)
    with path.open("a") as file:
        file.write(line(2, "in two")[:-4])
        file.flush()
        time.sleep(0.05)
        file.write("two\n")
    wait(2)
    assert seen[1:] == ["in two"]


@pytest.mark.parametrize("way", ["rename", "truncate"])
def test_a_log_that_is_rotated(following: tuple[Path, list[str], Callable[[int], None]], way: str) -> None:
    path, seen, wait = following
    wait(1)
    if way == "rename":
        old = path.with_suffix(".1")
        path.rename(old)
        with old.open("a") as file:  # the server goes on writing until it is told
            file.write(line(2, "late"))
        time.sleep(0.05)
        path.write_text(line(3, "new"))
        expected = ["late", "new"]
    else:
        os.truncate(path, 0)
        time.sleep(0.1)
        path.write_text(line(3, "new"))
        expected = ["new"]
    wait(1 + len(expected))
    assert seen[1:] == expected


def test_ctrl_c_ends_following_and_writes_the_queries(tmp_path: Path) -> None:
    path = tmp_path / "growing.log"
    path.write_text(line(1))
    begun = tmp_path / "requests"
    arguments = ["log", str(path), "--follow", "--query-dir", str(tmp_path / "queries"), "--format", "json"]
    arguments += ["--keep-requests", str(begun)]
    code = "import sys; from dbtune.cli import capture; capture.app(sys.argv[1:])"
    running = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(1000):
            if begun.exists():
                break
            time.sleep(0.02)
        with path.open("a") as file:
            file.write(line(2))
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=20)
    finally:
        running.kill()
    assert running.returncode == 0
    assert json.loads(output)["queries"][0]["calls"] == 2
    assert len(list((tmp_path / "queries").glob("*.sql"))) == 1

"""What ``dbtune migrate apply`` tells programs, terminals, and whoever presses Ctrl-C twice."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import make_url

from dbtune.migration.attempt import WAITS_FOR_WRITERS
from tests.migration.conftest import Host, Run, indexes, session, wait_for
from tests.migration.faults import noted

INDEX = "item_owner_idx"
STATEMENT = f"CREATE INDEX {INDEX} ON shop.item (owner)"
WRITES = "BEGIN; UPDATE shop.item SET name = name"
SLEEPS = (
    "import time\nfrom pathlib import Path\n"
    "revision, down_revision, branch_labels, depends_on = 'sleeps', None, None, None\n"
    "def upgrade():\n    Path(__file__).with_name('asleep').touch()\n    time.sleep(60)\ndef downgrade(): pass\n"
)


@contextlib.contextmanager
def apply(host: Host, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The command, which does not outlive a test that fails."""
    command = [sys.executable, "-m", "dbtune", "migrate", "apply", "--config", str(host.ini), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    with subprocess.Popen(command, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def end(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, Any]], str]:
    """The exit code, the events and what else is said."""
    out, err = process.communicate(timeout=60)
    return process.returncode, [json.loads(line) for line in out.splitlines()], err


def test_a_stream_of_events(host: Host, run: Run) -> None:
    (written,) = host.new(STATEMENT)
    with session(host.url) as writer:
        writer(WRITES)
        ((pid,),) = writer("SELECT pg_backend_pid()")
        with apply(host, "--format", "json") as process:
            assert process.stdout is not None
            first = [json.loads(process.stdout.readline()) for _ in range(3)]  # while it goes on
            writer("COMMIT")
            code, events, err = end(process)
    assert (code, err) == (0, "")
    begin, revision, progress = first
    assert [each["event"] for each in first] == ["begin", "revision", "progress"]
    assert begin["heads"] == []
    assert [each["revision"] for each in begin["pending"]] == [revision["revision"]] == [written.revision]
    assert {each["schema_version"] for each in first + events} == {1}
    assert (progress["phase"], progress["index"]) == (WAITS_FOR_WRITERS, f"shop.{INDEX}")
    assert f"pid {pid} (" in progress["waits_for"][0]
    assert (progress["done"], progress["rate"], progress["eta_s"]) == (None, None, None)
    made, result = events[-2:]
    assert (made["event"], made["index"], made["is_valid"]) == ("made", f"shop.{INDEX}", True)
    assert made["bytes"] > 0
    assert (result["event"], result["exit_code"], result["reason"]) == ("result", 0, None)
    assert (result["heads"], result["revisions"][0]["revision"]) == ([written.revision], written.revision)
    with apply(host, "--format", "json") as process:
        code, events, _ = end(process)
    assert (code, [each["event"] for each in events], events[0]["revisions"]) == (0, ["result"], [])


def test_it_ends_with_a_result_when_a_budget_ran_out(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    with session(host.url) as writer:
        writer(WRITES)
        with apply(host, "--format", "json", "--lock-budget", "500ms") as process:
            code, events, err = end(process)
    assert (code, events[-1]["event"], events[-1]["exit_code"]) == (5, "result", 5)
    assert "nothing is left of it" in events[-1]["reason"]
    assert err == f"dbtune: {events[-1]['reason']}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere",), "nowhere"),
        (("--max-replica-lag", "far"), "--max-replica-lag far"),
        (("--lock-budget", "soon"), "not a duration"),
    ],
)
def test_it_ends_with_a_result_after_a_mistake(host: Host, run: Run, arguments: tuple[str, ...], says: str) -> None:
    host.new(STATEMENT)
    with apply(host, "--format", "json", *arguments) as process:
        code, events, err = end(process)
    assert (code, [each["event"] for each in events], events[0]["exit_code"]) == (2, ["result"], 2)
    assert says in events[0]["reason"]
    assert says in err


def test_what_would_be_run_as_events(host: Host, run: Run) -> None:
    (written,) = host.new(STATEMENT)
    with apply(host, "--format", "json", "--dry-run") as process:
        code, events, _ = end(process)
    assert (code, [each["event"] for each in events]) == (0, ["begin", "result"])
    assert events[0]["pending"][0]["revision"] == written.revision
    assert indexes(run) == {}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_ends_with_a_result_after_a_signal(host: Host, run: Run, number: signal.Signals, code: int) -> None:
    host.new(STATEMENT)
    with session(host.url) as writer, apply(host, "--format", "json") as process:
        writer(WRITES)
        assert process.stdout is not None
        wait_for(lambda: WAITS_FOR_WRITERS in process.stdout.readline())  # type: ignore[union-attr]
        process.send_signal(number)
        got, events, err = end(process)
    assert (got, events[-1]["event"], events[-1]["exit_code"]) == (code, "result", code), err
    assert events[-2]["text"] == "nothing is left of it"
    assert "Traceback" not in err
    assert indexes(run) == {}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("stream", ["table", "json"])
def test_a_second_signal_leaves_at_once(host: Host, run: Run, number: signal.Signals, code: int, stream: str) -> None:
    versions = host.folder / "alembic" / "versions"
    (versions / "sleeps.py").write_text(SLEEPS)
    url = make_url(host.url).set(password="secret").render_as_string(hide_password=False)
    with apply(host, "--format", stream, "--url", url) as process:
        wait_for(lambda: (versions / "asleep").exists())
        process.send_signal(number)
        time.sleep(0.3)  # two at once are one
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    resume = f"dbtune migrate apply --config {host.ini} --format {stream} --url"
    assert resume in err
    assert "secret" not in err + out
    if stream == "json":
        result = json.loads(out.splitlines()[-1])
        assert (result["event"], result["exit_code"]) == ("result", code)
        assert resume in result["reason"]
    assert noted(run) is None


def test_a_reader_that_goes_away_ends_it_and_cancels_the_build(host: Host, run: Run) -> None:
    host.new(STATEMENT)
    with session(host.url) as writer, session(host.url) as reader:
        writer(WRITES)
        reader("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
        with apply(host, "--format", "json", "--at-once", stderr=subprocess.DEVNULL) as process:
            wait_for(lambda: bool(run("SELECT 1 FROM pg_stat_progress_create_index")))
            assert process.stdout is not None
            process.stdout.close()
            writer("COMMIT")  # another phase is something to tell of
            assert process.wait(60) == 141
        assert (run("SELECT 1 FROM pg_stat_progress_create_index"), noted(run)) == ([], None)


def test_a_live_line_on_a_terminal_is_gone_in_the_end(host: Host, run: Run) -> None:
    (written,) = host.new(STATEMENT)
    ours, theirs = pty.openpty()
    shown = b""
    with session(host.url) as writer:
        writer(WRITES)
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
        with apply(host, stderr=theirs, env=environment) as process:
            os.close(theirs)
            while b"for 1 s: pid" not in shown:
                shown += os.read(ours, 65536)
            writer("COMMIT")
            out, _ = process.communicate(timeout=60)
    with contextlib.suppress(OSError):
        while more := os.read(ours, 65536):
            shown += more
    os.close(ours)
    assert process.returncode == 0
    assert out.startswith(f"{written.revision}  ")
    text = shown.decode()
    assert f"dbtune: {written.revision} shop.{INDEX} (pid " in text
    assert text.count("dbtune: ") <= 6, text  # the live line is redrawn, the log has what is new
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "\x1b[2K" in text[text.rindex("for 1 s: pid") :]

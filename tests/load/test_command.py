"""dbtune hammer, run as users run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dbtune.cli import app
from dbtune.load import record
from tests.load.service import Service, running

COMMAND = [sys.executable, "-m", "dbtune", "hammer"]


@pytest.fixture
def service() -> Iterator[Service]:
    with running() as made:
        yield made


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "COLUMNS": "100", **environment},
    )


def test_tables_and_page(service: Service, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = run(
        service.url, "--get", "/item/1", "--get", "/status/500", "--rate", "40", "--for", "1s", "--html", str(page)
    )
    assert done.returncode in (0, 1), done.stderr
    assert "50.00% of 40 requests" in done.stdout
    assert "GET /status/500" in done.stdout
    assert page.read_text().count("<svg") == 3


def test_numbers_for_programs(service: Service) -> None:
    done = run(service.url, "--get", "/item/1", "--sets", "5,10:10,20", "--format", "json")
    told = json.loads(done.stdout)
    assert told["planned"] == told["sent"] == 30
    assert told["all"]["outcomes"] == {"200": 30}
    assert {name: cell["count"] for name, cell in told["cells"].items()} == {
        "5 × 10 ms": 5, "5 × 20 ms": 5, "10 × 10 ms": 10, "10 × 20 ms": 10,
    }  # fmt: skip


def test_processes_that_cannot_begin_say_so(service: Service) -> None:
    done = run(service.url, "--get", "/item/1", "--rate", "9", "--processes", "2", "--start-at", "1")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "--start-at: that was" in line


def test_processes_and_shards_send_what_one_sends(service: Service, tmp_path: Path) -> None:
    load = (service.url, "--get", "/item/1", "--get", "/item/2", "--rate", "60", "--for", "0.5s")
    CliRunner().invoke(app, ["hammer", *load])
    paths = sorted(path for _, path, _, _ in service.asked)
    service.asked.clear()
    shared = run(*load, "--processes", "2", "--raw", str(tmp_path / "raw"), "--format", "json")
    assert json.loads(shared.stdout)["sent"] == 30
    assert sorted(path for _, path, _, _ in service.asked) == paths
    assert sorted(row.number for row in record.rows(tmp_path / "raw")) == list(range(30))
    service.asked.clear()
    for k in (1, 2, 3):
        CliRunner().invoke(app, ["hammer", *load, "--shard", f"{k}/3", "--raw", str(tmp_path / f"raw{k}")])
    assert sorted(path for _, path, _, _ in service.asked) == paths
    files = [tmp_path / f"raw{k}" for k in (1, 2, 3)]
    assert sorted(row.number for row in record.merged(files)) == list(range(30))
    told = CliRunner().invoke(app, ["hammer", "--merge", *map(str, files), "--format", "json"])
    assert told.exit_code in (0, 1), told.output
    assert json.loads(told.stdout)["sent"] == json.loads(told.stdout)["planned"] == 30
    assert json.loads(told.stdout)["shard"] == "1/1"


def test_machines_whose_files_are_missing_are_named(service: Service, tmp_path: Path) -> None:
    load = (service.url, "--get", "/item/1", "--rate", "60", "--for", "0.2s")
    for k in (1, 3):
        CliRunner().invoke(app, ["hammer", *load, "--shard", f"{k}/3", "--raw", str(tmp_path / f"raw{k}")])
    told = CliRunner().invoke(app, ["hammer", "--merge", *(str(tmp_path / f"raw{k}") for k in (1, 3))])
    assert told.stderr == "dbtune: no file has the shard 2/3: these are the others alone\n"
    assert "of 8 requests" in told.stdout
    assert "shard 1/3, 3/3" in told.stdout


@pytest.mark.parametrize("processes", ["1", "2"])
def test_ctrl_c_tells_what_was_sent(service: Service, processes: str) -> None:
    started = subprocess.Popen(
        [*COMMAND, service.url, "--get", "/item/1", "--rate", "20", "--for", "60s", "--processes", processes],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while len(service.asked) < 5:
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGINT)
    out, err = started.communicate(timeout=20)
    assert started.returncode == 130
    assert "requests to" in out
    assert "NO VERDICT" in out
    assert "Traceback" not in err


def test_nobody_there_is_exit_3() -> None:
    with running() as gone:
        pass
    done = CliRunner().invoke(app, ["hammer", gone.url, "--get", "/item/1", "--rate", "10", "--for", "0.2s"])
    assert done.exit_code == 3
    assert done.stderr == f"dbtune: {gone.url} refuses every connection: is the service there?\n"


def test_success_below_the_threshold_is_exit_1(service: Service) -> None:
    load = ["hammer", service.url, "--get", "/status/500", "--rate", "10", "--for", "0.2s", "--fail-under", "0.9"]
    assert CliRunner().invoke(app, load).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("here", "--get", "/", "--rate", "1"), "no URL"),
        (("http://me:secret@localhost", "--get", "/", "--rate", "1"), "--user"),
        (("http://localhost", "--rate", "1"), "nothing to ask"),
        (("http://localhost", "--get", "/"), "one of them"),
        (("http://localhost", "--get", "/", "--rate", "1", "--ramp", "1:2"), "one of them"),
        (("http://localhost", "--get", "/", "--ramp", "1"), "--ramp"),
        (("http://localhost", "--get", "/", "--sets", "5"), "--sets"),
        (("http://localhost", "--get", "/", "--rate", "-1"), "rate"),
        (("http://localhost", "--get", "/", "--rate", "1", "--speed", "2"), "--speed is of --replay only"),
        (("http://localhost", "--get", "/", "--rate", "1", "--faster", "2"), "--faster is of --sets only"),
        (("http://localhost", "--get", "/", "--rate", "1", "--isolated"), "--isolated is of --sets only"),
        (("http://localhost", "--get", "/", "--ramp", "1:2", "--poisson"), "--poisson is of --rate only"),
        (("http://localhost", "--get", "/", "--sets", "report", "--for", "9s"), "--for does not go with --sets"),
        (("http://localhost", "--get", "/", "--rate", "1", "--shard", "3"), "K/M"),
        (("http://localhost", "--get", "/", "--rate", "1", "--shard", "3/2"), "1/2 to 2/2"),
        (("http://localhost", "--get", "/", "--rate", "1", "--user", "me"), "DBTUNE_HAMMER_PASSWORD"),
        (("http://localhost", "--get", "/", "--rate", "1", "--header", "odd"), "NAME:VALUE"),
        (("http://localhost", "--routes", "none.json", "--rate", "1"), "none.json"),
        (("http://localhost", "http://other", "--get", "/", "--rate", "1"), "one URL"),
        (("--merge", "none.jsonl"), "none.jsonl"),
    ],
)
def test_nonsense_is_one_line(arguments: tuple[str, ...], words: str) -> None:
    done = CliRunner().invoke(app, ["hammer", *arguments])
    assert done.exit_code == 2, done.output
    (line,) = done.stderr.splitlines()
    assert words in line
    assert "secret" not in line


def test_what_was_asked_before_is_asked_again(service: Service, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(
        "".join(f'h - - [26/Nov/2026:10:00:0{n // 10} +0000] "GET /item/{n} HTTP/1.1" 200 1\n' for n in range(20))
    )
    done = run(service.url, "--replay", str(log), "--speed", "2", "--format", "json", "--raw", str(tmp_path / "raw"))
    told = json.loads(done.stdout)
    assert (told["sent"], told["schedule"]) == (20, "access.log again, 2 times as fast")
    assert sorted(path for _, path, _, _ in service.asked) == sorted(f"/item/{n}" for n in range(20))
    rows = sorted(record.rows(tmp_path / "raw"), key=lambda row: row.number)
    assert [row.due for row in rows] == pytest.approx([n * 0.05 for n in range(20)])
    assert {row.route for row in rows} == {"GET /item/{id}"}
    assert "whole seconds" in done.stderr
    service.asked.clear()
    shared = run(service.url, "--replay", str(log), "--speed", "4", "--processes", "2", "--format", "json")
    assert json.loads(shared.stdout)["sent"] == len(service.asked) == 20


@pytest.mark.parametrize(
    "option", ["--rate=1", "--get=/", "--ramp=1:2", "--steps=1", "--sets=1:1", "--for=1s", "--poisson", "--isolated"]
)
def test_a_replay_has_its_own_requests_and_times(tmp_path: Path, option: str) -> None:
    done = CliRunner().invoke(app, ["hammer", "http://localhost:1", "--replay", str(tmp_path / "x"), option])
    assert done.exit_code == 2
    assert f"{option.partition('=')[0]} does not go with --replay" in done.stderr

"""dbtune capture sqlalchemy: any command is recorded, whatever it forks, and its own exit code and output stay."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from dbtune.workload import files
from dbtune.workload.query import Query
from tests.cli.conftest import Run

SCRIPT = """
import os, sys
import sqlalchemy as sa
engine = sa.create_engine(os.environ["DBTUNE_URL"])
def find(owner):
    with engine.connect() as connection:
        return connection.execute(sa.text("SELECT code FROM item WHERE owner = :owner"), {"owner": owner}).all()
find(3)
find(-1)
print("the application's own words")
sys.exit(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
"""

WEB = """
import os
import sqlalchemy as sa
from flask import Flask
engine = sa.create_engine(os.environ["DBTUNE_URL"])
app = Flask("web")

@app.get("/items/<int:number>")
def item(number):
    with engine.connect() as connection:
        return str(connection.execute(sa.text("SELECT code FROM item WHERE id = :id"), {"id": number}).scalar())
"""


def captured(folder: Path) -> dict[str, Query]:
    loaded = files.load_folder(folder)
    assert not loaded.problems
    return {query.name: query for query in loaded.workload.queries}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "shop.py"
    path.write_text(SCRIPT)
    return path


def test_a_script_s_queries_are_written_and_explained(run: Run, script: Path, tmp_path: Path) -> None:
    done = run("capture", "sqlalchemy", "--query-dir", "found", "--", sys.executable, script)
    assert (done.returncode, done.stderr) == (0, "")
    words, summary, waited, kept, written = done.stdout.splitlines()
    assert words == "the application's own words"
    assert summary == "1 query, 2 calls from 1 process"
    assert waited.startswith("  waited for a connection 2 times: ")
    assert kept.startswith("  kept a connection 2 times: ")
    assert written == "found: 1 new, 0 changed, 0 kept, 0 removed"
    (query,) = captured(tmp_path / "found").values()
    assert (query.route, query.calls, query.source) == ("__main__:find", 2, "sqlalchemy")
    assert {each.name: each.values for each in query.sets} == {"frequent": ("3",), "absent": ("-1",)}
    explained = run("explain", "--query-dir", "found")
    assert explained.returncode == 0, explained.stderr
    assert query.name in explained.stdout


def test_the_command_s_exit_code_is_ours(run: Run, script: Path, tmp_path: Path) -> None:
    done = run("capture", "sqlalchemy", "--query-dir", "found", "--", sys.executable, script, 7)
    assert done.returncode == 7
    assert len(captured(tmp_path / "found")) == 1


def test_an_interpreter_without_dbtune_is_recorded_too(run: Run, script: Path, tmp_path: Path) -> None:
    """What it has of SQLAlchemy is its own; dbtune comes from where the command came from."""
    elsewhere = tmp_path / "packages"
    elsewhere.mkdir()
    for folder in map(Path, sys.path):
        for name in ("sqlalchemy", "psycopg2", "psycopg2_binary.libs", "typing_extensions.py", "greenlet"):
            if (folder / name).exists() and not (elsewhere / name).exists():
                (elsewhere / name).symlink_to(folder / name)
    command = [sys.executable, "-S", "-c"]
    code = f"import sys, runpy; sys.path.append({str(elsewhere)!r}); import sitecustomize; sys.argv = [1]; "
    code += f"runpy.run_path({str(script)!r}, run_name='__main__')"
    done = run("capture", "sqlalchemy", "--query-dir", "found", "--", *command, code)
    assert "is not recorded" not in done.stderr
    assert "1 query, 2 calls" in done.stdout


def test_pytest_runs_and_its_tests_are_recorded(run: Run, tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text(
        "import os\nimport sqlalchemy as sa\n"
        "def test_one():\n"
        '    engine = sa.create_engine(os.environ["DBTUNE_URL"])\n'
        "    with engine.connect() as connection:\n"
        '        assert connection.execute(sa.text("SELECT count(*) FROM item")).scalar() == 50000\n'
        "    engine.dispose()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py"]
    done = run("capture", "sqlalchemy", "--query-dir", "found", "--", *command)
    assert "1 passed" in done.stdout
    (query,) = captured(tmp_path / "found").values()
    assert query.route == "test_shop:test_one"


def test_gunicorn_s_workers_are_recorded_and_stop_on_a_signal(environment: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    (tmp_path / "web.py").write_text(WEB)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    bind = f"127.0.0.1:{port}"
    gunicorn = [sys.executable, "-m", "gunicorn", "--workers", "2", "--preload", "--bind", bind, "web:app"]
    options = ["--query-dir", "found", "--keep-requests", "all.jsonl"]
    running = subprocess.Popen(
        [sys.executable, "-m", "dbtune", "capture", "sqlalchemy", *options, "--", *gunicorn],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for number in range(1, 13):
            assert answer(f"http://{bind}/items/{number}") == "x" * 60
    finally:
        running.send_signal(signal.SIGTERM)
        output, errors = running.communicate(timeout=30)
    assert running.returncode == 0, errors
    (query,) = captured(tmp_path / "found").values()
    assert (query.route, query.calls) == ("GET /items/<int:number>", 12), output
    requests = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert {each["route"] for each in requests} == {"GET /items/<int:number>"}
    assert len({each["parameters"] for each in requests}) == 12


def answer(url: str) -> str:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return str(response.read().decode())
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_the_sitecustomize_that_was_there_is_loaded(run: Run, script: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("print('loaded')\n")
    command = [sys.executable, script]
    done = run("capture", "sqlalchemy", "--query-dir", "found", "--", *command, PYTHONPATH=str(site))
    of_the_script, words, *_ = done.stdout.splitlines()
    assert (of_the_script, words) == ("loaded", "the application's own words")
    assert "1 query, 2 calls" in done.stdout


def test_a_recording_is_kept_and_read_again(run: Run, script: Path, tmp_path: Path) -> None:
    command = [sys.executable, script]
    run("capture", "sqlalchemy", "--recording", "kept.rec", "--query-dir", "found", "--", *command)
    once = run("capture", "sqlalchemy", "--from", "kept.rec", "--query-dir", "again", "--merge")
    assert "again: 1 new" in once.stdout
    twice = run("capture", "sqlalchemy", "--from", "kept.rec", "--query-dir", "again", "--merge")
    assert "again: 0 new, 1 changed" in twice.stdout
    assert [query.calls for query in captured(tmp_path / "again").values()] == [4]


def test_a_recording_that_cannot_be_written_leaves_the_application_alone(
    run: Run, script: Path, tmp_path: Path
) -> None:
    command = [sys.executable, script]
    done = run("capture", "sqlalchemy", "--max-size", "10", "--query-dir", "found", "--", *command)
    assert "the application's own words" in done.stdout
    assert done.stderr.count("the recording ends here: it would grow over") == 1


def test_without_a_server_of_ours_types_are_as_stated(run: Run, script: Path, tmp_path: Path) -> None:
    command = [sys.executable, script]
    run("capture", "sqlalchemy", "--recording", "kept.rec", "--query-dir", "found", "--", *command)
    done = run(
        "capture", "sqlalchemy", "--from", "kept.rec", "--query-dir", "other", DBTUNE_URL="postgresql://127.0.0.1:1"
    )
    assert done.returncode == 0
    assert "types of parameters are as the application stated them" in done.stderr
    assert len(captured(tmp_path / "other")) == 1


def test_mistakes_are_told(run: Run, script: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("words\n")
    for arguments, said in [
        (["--", "no-such-command"], "no-such-command: there is no such command"),
        ([], "nothing to run; write dbtune capture sqlalchemy -- COMMAND"),
        (["--sample", "2", "--", "true"], "--sample is the part of the statements to record"),
        (["--max-size", "much", "--", "true"], "--max-size 'much' is no size; write 256MB"),
        (["--from", "other.txt"], "other.txt: is no recording"),
        (["--from", "missing.rec"], "missing.rec: cannot be read"),
        (["--from", "other.txt", "--", "true"], "--from reads what was recorded before"),
        (["--recording", "missing/kept.rec", "--", "true"], "missing/kept.rec"),
    ]:
        done = run("capture", "sqlalchemy", *arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    nothing = run("capture", "sqlalchemy", "--query-dir", "found", "--", "true")
    assert (nothing.returncode, nothing.stderr) == (
        0,
        "dbtune: true sent nothing through SQLAlchemy, so no file was written\n",
    )
    assert not list(tmp_path.glob("found/*"))


def test_no_value_is_written_when_redacted(run: Run, script: Path, tmp_path: Path) -> None:
    command = [sys.executable, script]
    run("capture", "sqlalchemy", "--redact", "types", "--query-dir", "found", "--", *command)
    (query,) = captured(tmp_path / "found").values()
    assert query.sets == ()
    assert query.types == ("integer",)

"""dbtune connections: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import extensions
from sqlalchemy import Connection, make_url

from dbtune.server import binaries
from dbtune.server.connection import server_version_num
from dbtune.server.embedded import EmbeddedServer
from tests.cli.conftest import Run

APPLICATION_LOG = """\
2026-01-31 10:00:01,123 ERROR app: sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, \
connection timed out, timeout 30.00 (Background on this error at: https://sqlalche.me/e/20/3o7r)
"""
SERVER_LOG = """\
2026-01-31 10:00:04.123 UTC [101] FATAL:  sorry, too many clients already
2026-01-31 10:00:05.123 UTC [102] LOG:  unexpected EOF on client connection with an open transaction
"""


@contextmanager
def session(url: str, **arguments: Any) -> Iterator[extensions.connection]:
    whole = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    opened: extensions.connection = psycopg2.connect(whole, **arguments)
    try:
        yield opened
    finally:
        opened.close()


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def role(items: Connection, database_url: str) -> Iterator[str]:
    """A role without rights, which goes with the database."""
    name = f"role_{make_url(database_url).database}"
    items.exec_driver_sql(f"CREATE ROLE {name} LOGIN")
    items.commit()
    yield name
    items.rollback()
    items.exec_driver_sql(f"DROP ROLE {name}")
    items.commit()


def waits_for_lock(items: Connection) -> bool:
    items.rollback()
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'item'::regclass"
    return bool(items.exec_driver_sql(waiting).scalar())


def test_one_look_shows_who_blocks_whom(run: Run, items: Connection, database_url: str) -> None:
    with (
        session(database_url, application_name="head") as head,
        session(database_url, application_name="next") as other,
    ):
        head.cursor().execute("UPDATE item SET owner = 1 WHERE id = 1 AND 'password' <> 'tiger'")
        waiting = threading.Thread(target=lambda: other.cursor().execute("ALTER TABLE item ADD note text"))
        waiting.start()
        until(lambda: waits_for_lock(items))
        done = run("connections")
        markdown = run("connections", "--format", "markdown")
        head.rollback()
        waiting.join()
    assert done.returncode == 0, done.stderr
    assert "tiger" not in done.stdout
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    at = lines.index("Who blocks whom")
    assert re.match(r"pid \d+ \(head, \S+\) idle in transaction for ", lines[at + 1])
    assert re.match(r"└─ pid \d+ \(next, \S+\) waits", lines[at + 3])
    assert "ALTER TABLE item ADD note text" in lines[at + 4]
    assert any(line.startswith("head, ") for line in lines)
    assert "--interval" in done.stdout  # what one look does not tell
    assert "## Who blocks whom" in markdown.stdout and "| head, " in markdown.stdout


def test_an_interval_tells_rates(run: Run, items: Connection, database_url: str) -> None:
    stop = threading.Event()

    def work() -> None:
        with session(database_url, application_name="web") as opened:
            while not stop.is_set():
                opened.cursor().execute("SELECT count(*) FROM item WHERE id < 100")
                stop.wait(0.1)
                opened.rollback()

    items.rollback()
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        done = run("connections", "--interval", "3s", "--format", "json")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["schema_version"], report["command"]) == (1, "connections")
    traffic = report["traffic"][0]
    assert traffic["database"] == make_url(database_url).database
    assert traffic["added"]["xact_rollback"] > 20
    assert traffic["hold_s"] > 0.05
    assert 0.5 < traffic["app_share"] <= 1
    assert 0 < traffic["busy"] < 3
    web = next(each for each in report["holders"] if each["application_name"] == "web")
    assert web["open"] == 2 and web["busy"] > 0
    checks = {each["check"]: each for each in report["findings"]}
    assert checks["idle-in-transaction-share"]["severity"] == "warning"
    assert checks["rollbacks"]["object"] == f"database {traffic['database']}"
    assert (
        report["limits"]["max_connections"]["value"] == report["connections"]["usable"] + report["limits"]["reserved"]
    )
    assert "one look" not in json.dumps(report["unseen"])


def test_nothing_goes_on(run: Run, items: Connection) -> None:
    items.rollback()
    done = run("connections", "--interval", "500ms", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert "no transaction was counted in" in done.stdout


def test_statistics_that_were_reset_just_now(run: Run, items: Connection) -> None:
    items.exec_driver_sql("SELECT pg_stat_reset()")
    items.commit()
    done = run("connections", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert re.search(r"what is usual here: the statistics were reset .* ago", done.stdout)


def test_findings_over_the_threshold_end_with_1(run: Run, items: Connection, role: str, database_url: str) -> None:
    items.exec_driver_sql(f"ALTER ROLE {role} CONNECTION LIMIT 1")
    items.commit()
    with session(database_url, user=role):
        found = run("connections", "--fail-on", "critical")
        assert found.returncode == 1, found.stderr
        assert f"CRITICAL role-limit-used (role {role})" in found.stdout
        assert run("connections").returncode == 0
        url = make_url(database_url).set(username=role).render_as_string()
        refused = run("connections", "--url", url)
        assert refused.returncode == 3
        assert "too many connections for role" in refused.stderr and "connect as a superuser" in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert run("connections", "--fail-on", "critical").returncode == 0


def test_a_role_without_rights_is_told_what_it_does_not_see(
    run: Run, items: Connection, role: str, database_url: str
) -> None:
    url = make_url(database_url).set(username=role).render_as_string()
    with session(database_url, application_name="web") as opened:
        opened.cursor().execute("SELECT 1")
        done = run("connections", "--url", url, "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["connections"]["hidden"] >= 2  # web, and the test's own
    (unseen,) = (each for each in report["unseen"] if "no member of pg_read_all_stats" in each["why"])
    assert unseen["remedy"] == f'GRANT pg_monitor TO "{role}"'
    items.exec_driver_sql(f"GRANT pg_monitor TO {role}")
    items.commit()
    assert json.loads(run("connections", "--url", url, "--format", "json").stdout)["connections"]["hidden"] == 0


def test_evidence_from_logs(run: Run, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(APPLICATION_LOG)
    (tmp_path / "server.log").write_text(SERVER_LOG)
    done = run("connections", "--log", "app.log", "--log", "server.log", "--fail-on", "critical")
    assert done.returncode == 1
    assert "CRITICAL connections-refused (log)" in done.stdout
    assert "WARNING pool-timeouts (pool of 5 + 10)" in done.stdout
    assert "WARNING lost-in-transaction (log)" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    report = json.loads(run("connections", "--log", "app.log", "--format", "json").stdout)
    assert report["logs"]["pools"][0]["timeouts"] == 1
    missing = run("connections", "--log", "nowhere.log")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr == "dbtune: nowhere.log: cannot be read: No such file or directory\n"


def test_a_pooler_that_is_not_there_hides_nothing_else(run: Run, items: Connection) -> None:
    done = run("connections", "--pgbouncer", "postgresql://a:tiger@127.0.0.1:1")
    assert done.returncode == 3
    assert "usable are taken" in done.stdout and "- PgBouncer's pools: " in done.stdout
    assert done.stderr == "dbtune: PgBouncer at a@127.0.0.1:1/pgbouncer: Connection refused\n"
    assert "tiger" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--interval", "0s"], 2, "longer than nothing"),
        (["--interval", "often"], 2, "not a duration"),
        (["--watch", "--output", "x"], 2, "leave out --output"),
        (["--watch", "--fail-on", "warning"], 2, "leave out --output and --fail-on"),
        (["--pgbouncer", "mysql://a:tiger@b/c"], 2, "works with PostgreSQL"),
        (["--output", "/nowhere/x"], 2, "cannot write"),
        (["--url", "postgresql://a:tiger@127.0.0.1:1/c"], 3, "Connection refused"),
        (["--watch", "--url", "postgresql://a:tiger@127.0.0.1:1/c"], 3, "Connection refused"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str], code: int, told: str) -> None:
    done = run("connections", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert "tiger" not in done.stderr and "Traceback" not in done.stderr


@pytest.fixture
def watched(data_dir: Path, pytestconfig: pytest.Config) -> Iterator[EmbeddedServer]:
    """A server of its own, to go and come again."""
    bindir = pytestconfig.getoption("--pg-bindir")
    server = EmbeddedServer(data_dir / "watched", binaries.at(bindir.absolute()) if bindir else None)
    server.start()
    yield server
    server.reset()


class Reader:
    """Collects what a process writes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.text = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._descriptor, 65_536)
            except OSError:  # the terminal's other end is closed
                return
            if not data:
                return
            self.text += data.decode(errors="replace")


COMMAND = [sys.executable, "-m", "dbtune", "connections", "--watch", "--interval", "300ms"]


def test_watching_outlives_the_server(watched: EmbeddedServer) -> None:
    environment = {**os.environ, "DBTUNE_URL": watched.url(), "COLUMNS": "80"}
    with subprocess.Popen(COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        told = Reader(process.stdout.fileno())
        until(lambda: told.text.count("usable are taken") >= 2)
        watched.stop()
        until(lambda: "server unreachable, trying again: " in told.text)
        before = told.text.count("usable are taken")
        watched.start()
        until(lambda: told.text.count("usable are taken") > before)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == b""


def test_watching_on_a_terminal(run: Run, database_url: str, items: Connection) -> None:
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    environment |= {"DBTUNE_URL": database_url, "TERM": "xterm"}
    with subprocess.Popen(COMMAND, env=environment, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE) as process:
        told = Reader(ours)
        os.close(theirs)
        until(lambda: told.text.count("usable are taken") >= 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
        assert process.stderr is not None and process.stderr.read() == b""
    until(lambda: "usable are taken" in told.text.rpartition("\x1b[?1049l")[2])  # the last page stays
    os.close(ours)


def test_programs_get_a_line_for_each_interval(run: Run, database_url: str, items: Connection) -> None:
    environment = {**os.environ, "DBTUNE_URL": database_url}
    command = [*COMMAND, "--format", "json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        documents = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert all(each["samples"] for each in documents)
    assert documents[0]["time"] < documents[1]["time"]


def test_before_14_it_says_what_is_not_counted(run: Run, items: Connection) -> None:
    report = json.loads(run("connections", "--interval", "300ms", "--format", "json").stdout)
    is_old = server_version_num(items) < 140_000
    assert (report["traffic"][0]["added"]["sessions"] is None) == is_old
    assert any("PostgreSQL 14 began" in each["why"] for each in report["unseen"]) == is_old

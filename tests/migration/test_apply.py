"""``dbtune migrate apply``: Alembic's upgrade with a watcher beside it, on a real server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner

from dbtune.cli import app
from dbtune.errors import GaveUp, Unsafe, UsageError
from dbtune.migration import apply as applying
from dbtune.migration.apply import Budget
from dbtune.migration.attempt import WAITS_FOR_WRITERS
from dbtune.migration.mutex import KEY
from dbtune.migration.project import Project
from tests.migration.conftest import Host, Run, indexes, make_host, session, state, version, wait_for
from tests.migration.faults import WRITERS
from tests.migration.told import Told

INDEX = "item_owner_idx"
STATEMENT = f"CREATE INDEX {INDEX} ON shop.item (owner)"
WAITS = "SELECT 1 FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'"


def test_runs_what_is_pending_and_then_has_nothing_to_do(host: Host, run: Run) -> None:
    (written,) = host.new(STATEMENT)
    done = applying.apply(Project(host.ini))
    assert [each.revision for each in done.revisions] == [written.revision]
    assert done.heads == (written.revision,)
    assert state(run, INDEX)[0]
    again = applying.apply(Project(host.ini))
    assert (again.revisions, again.heads) == ((), (written.revision,))
    assert run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


@pytest.mark.parametrize("at_once", [True, False], ids=["begun", "not_begun"])
def test_names_the_transaction_that_it_waits_for(host: Host, run: Run, database_url: str, at_once: bool) -> None:
    (written,) = host.new(STATEMENT)
    told = Told()
    with session(database_url) as writer:
        writer("BEGIN; UPDATE shop.item SET name = name")
        ((pid,),) = writer("SELECT pg_backend_pid()")

        def commit() -> None:
            wait_for(lambda: told.says(f"pid {pid} ("))
            writer("COMMIT")

        release = threading.Thread(target=commit)
        release.start()
        applying.apply(Project(host.ini), tell=told, at_once=at_once)
        release.join()
    (line,) = (line for line in told.lines if f"pid {pid} (" in line)
    assert line.startswith(f"{written.revision} shop.{INDEX} (pid ")
    assert (WRITERS if at_once else WAITS_FOR_WRITERS) in line
    assert "idle in transaction" in line
    assert state(run, INDEX)[0]


@pytest.mark.parametrize("budget", [Budget(lock=1.0), Budget(total=1.0)], ids=["lock", "total"])
def test_gives_up_when_a_budget_runs_out_and_is_done_by_the_next_run(
    host: Host, run: Run, database_url: str, budget: Budget
) -> None:
    (written,) = host.new(STATEMENT)
    with session(database_url) as writer:
        writer("BEGIN; UPDATE shop.item SET name = name")
        ((pid,),) = writer("SELECT pg_backend_pid()")
        with pytest.raises(GaveUp, match=rf"-budget\): .*pid {pid} \(.*INVALID until the next run.*run it again"):
            applying.apply(Project(host.ini), budget=budget, at_once=True)
        assert run("SELECT count(*) FROM pg_stat_progress_create_index") == [(0,)]
        assert version(run) is None
        writer("ROLLBACK")
    applying.apply(Project(host.ini))
    assert state(run, INDEX)[0]
    assert version(run) == written.revision
    assert list(indexes(run)) == [INDEX]


def test_what_was_built_is_dropped_where_nobody_stands_in_the_way(host: Host, run: Run, database_url: str) -> None:
    host.new(STATEMENT)
    with session(database_url) as reader:  # an old snapshot: waited for by the build, not by the drop of a moment ago
        reader("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
        with pytest.raises(GaveUp, match=r"waiting for old snapshots for \d s: pid") as failed:
            applying.apply(Project(host.ini), budget=Budget(lock=1.0))
        left = indexes(run)
        assert ("is dropped" in str(failed.value)) == (left == {})
        reader("COMMIT")
    applying.apply(Project(host.ini))
    assert state(run, INDEX)[0]


def test_deployers_take_turns_and_the_later_ones_have_nothing_to_do(host: Host, run: Run) -> None:
    (written,) = host.new(STATEMENT)
    command = [sys.executable, "-m", "dbtune", "migrate", "apply", "--config", str(host.ini)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    ended = [(*each.communicate(timeout=120), each.returncode) for each in started]
    assert [code for _, _, code in ended] == [0] * 4, ended
    assert sum("done in" in out for out, _, _ in ended) >= 1
    assert list(indexes(run)) == [INDEX]
    assert version(run) == written.revision


def test_gives_up_waiting_for_another_deployer(host: Host, database_url: str, run: Run) -> None:
    host.new(STATEMENT)
    with session(database_url) as other:
        other(f"SELECT pg_advisory_lock({KEY})")
        with pytest.raises(GaveUp, match=r"another deployer held the lock for \d s: pid"):
            applying.apply(Project(host.ini), budget=Budget(lock=0.5))
    assert indexes(run) == {}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_build_on_the_server(
    host: Host, run: Run, database_url: str, number: signal.Signals, code: int
) -> None:
    (written,) = host.new(STATEMENT)
    with session(database_url) as writer:
        writer("BEGIN; UPDATE shop.item SET name = name")
        command = [sys.executable, "-m", "dbtune", "migrate", "apply", "--at-once", "--config", str(host.ini)]
        started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: bool(run(WAITS)))
        os.kill(started.pid, number)
        _, said = started.communicate(timeout=30)
        assert (started.returncode, "Traceback" in said) == (code, False), said
        assert run("SELECT count(*) FROM pg_stat_progress_create_index") == [(0,)], said
    applying.apply(Project(host.ini))
    assert state(run, INDEX)[0]
    assert version(run) == written.revision


def test_a_killed_client_is_followed_by_one_that_finishes(host: Host, run: Run, database_url: str) -> None:
    (written,) = host.new(STATEMENT)
    with session(database_url) as writer:
        writer("BEGIN; UPDATE shop.item SET name = name")
        command = [sys.executable, "-m", "dbtune", "migrate", "apply", "--at-once", "--config", str(host.ini)]
        started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: bool(run(WAITS)))
        started.kill()
        started.wait()
        writer("ROLLBACK")
    applying.apply(Project(host.ini))
    assert state(run, INDEX)[0]
    assert version(run) == written.revision


def test_rows_that_are_not_unique_are_refused_at_once(host: Host, run: Run) -> None:
    run("INSERT INTO shop.item (id, owner, name) VALUES (9001, 7, 'a'), (9002, 7, 'b')")
    host.new("CREATE UNIQUE INDEX item_owner_key ON shop.item (owner)")
    with pytest.raises(Unsafe, match="unique"):
        applying.apply(Project(host.ini))
    assert indexes(run) == {}


def test_the_asynchronous_template_is_watched_too(tmp_path: Path, run: Run, database_url: str) -> None:
    pytest.importorskip("asyncpg")
    url = make_url(database_url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
    host = make_host(tmp_path / "async", url, template="async")
    host.new(STATEMENT)
    applying.apply(Project(host.ini))
    assert state(run, INDEX)[0]


def cli(*arguments: str) -> tuple[int, str, str]:
    """Run the command line."""
    result = CliRunner().invoke(app, ["migrate", "apply", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_command(host: Host, run: Run) -> None:
    (written,) = host.new(STATEMENT)
    code, out, _ = cli("--config", str(host.ini), "--dry-run")
    assert (code, indexes(run)) == (0, {})
    assert written.revision in out
    code, out, _ = cli("--config", str(host.ini))
    assert (code, "done in" in out) == (0, True)
    code, out, _ = cli("--config", str(host.ini))
    assert (code, out) == (0, f"nothing to do: the database is at {written.revision}\n")


@pytest.mark.parametrize(
    ("change", "arguments", "code", "says"),
    [
        (lambda host: None, ["nowhere"], 2, "nowhere"),
        (lambda host: host.ini.unlink(), [], 2, "--config"),
        (lambda host: host.set(**{"sqlalchemy.url": "postgresql+psycopg2://x:secret@127.0.0.1:1/x"}), [], 3, "refused"),
        (lambda host: None, ["--lock-budget", "soon"], 2, "not a duration"),
    ],
    ids=["revision", "config", "server", "duration"],
)
def test_mistakes_get_one_line(
    host: Host, run: Run, change: Callable[[Host], None], arguments: list[str], code: int, says: str
) -> None:
    host.new(STATEMENT)
    change(host)
    got, _, err = cli("--config", str(host.ini), *arguments)
    assert (got, says in err, "secret" in err) == (code, True, False), err


def test_a_revision_that_is_unknown_is_wrong_usage(host: Host, run: Run) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        applying.apply(Project(host.ini), "nowhere")

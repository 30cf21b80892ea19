"""Faults put into an upgrade: what is left, what it says, and that the next run is done with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dbtune.errors import ServerError
from dbtune.migration import apply as applying
from dbtune.migration.events import Again
from dbtune.migration.project import Project
from dbtune.server import binaries
from dbtune.server.embedded import EmbeddedServer
from tests.migration.conftest import SHOP, Host, Run, indexes, make_host, serves, session, state, version, wait_for
from tests.migration.told import Told

INDEX = "item_owner_idx"
STATEMENT = f"CREATE INDEX {INDEX} ON shop.item (owner)"


def test_limits_of_the_role_do_not_reach_the_build(host: Host, run: Run, database_url: str) -> None:
    (written,) = host.new(STATEMENT)
    run("ALTER DATABASE " + str(run("SELECT current_database()")[0][0]) + " SET lock_timeout = '500ms'")
    with session(database_url) as writer:
        writer("BEGIN; UPDATE shop.item SET name = name")
        command = [sys.executable, "-m", "dbtune", "migrate", "apply", "--at-once", "--config", str(host.ini)]
        started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_for(
            lambda: bool(
                run(
                    "SELECT 1 FROM pg_stat_progress_create_index JOIN pg_stat_activity USING (pid)"
                    " WHERE clock_timestamp() - query_start > '1s'"
                )
            )
        )
        writer("COMMIT")
        _, said = started.communicate(timeout=30)
    assert started.returncode == 0, said
    assert state(run, INDEX)[0]
    assert version(run) == written.revision


def test_no_room_for_sorting_leaves_nothing_and_is_not_tried_again(host: Host, run: Run) -> None:
    run("INSERT INTO shop.item (id, owner, name) SELECT n, n, repeat('x', 20) FROM generate_series(10000, 200000) AS n")
    (written,) = host.new(STATEMENT)
    name = run("SELECT current_database()")[0][0]
    run(f"ALTER DATABASE {name} SET temp_file_limit = '1MB'")
    run(f"ALTER DATABASE {name} SET maintenance_work_mem = '1MB'")
    told = Told()
    with pytest.raises(ServerError, match="temp_file_limit"):
        applying.apply(Project(host.ini), tell=told)
    assert not any(isinstance(each, Again) for each in told.events)
    assert indexes(run) == {}
    run(f"ALTER DATABASE {name} RESET ALL")
    applying.apply(Project(host.ini))
    assert state(run, INDEX)[0]
    assert version(run) == written.revision


def crash_backend(server: EmbeddedServer, pid: int) -> None:
    """Kill the server process that builds; the postmaster restarts all others."""
    os.kill(pid, signal.SIGKILL)


def crash_server(server: EmbeddedServer, pid: int) -> None:
    """Kill the postmaster."""
    running = server.status().pid
    assert running is not None
    os.kill(running, signal.SIGKILL)


@pytest.mark.parametrize("crash", [crash_backend, crash_server])
def test_a_server_that_crashes_in_the_build(
    data_dir: Path, pytestconfig: pytest.Config, crash: Callable[[EmbeddedServer, int], None]
) -> None:
    bindir = pytestconfig.getoption("--pg-bindir")
    server = EmbeddedServer(data_dir / crash.__name__, binaries.at(bindir.absolute()) if bindir else None)
    server.start()
    try:
        url = server.url().replace("postgresql://", "postgresql+psycopg2://")
        with session(url) as run:
            run(SHOP)
        host = make_host(data_dir / crash.__name__ / "host", url)
        (written,) = host.new(STATEMENT)
        with session(url) as writer, session(url) as looker:
            writer("BEGIN; UPDATE shop.item SET name = name")
            command = [sys.executable, "-m", "dbtune", "migrate", "apply", "--at-once", "--config", str(host.ini)]
            started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            building = "SELECT pid FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'"
            wait_for(lambda: bool(looker(building)))
            crash(server, looker(building)[0][0])
            wait_for(lambda: serves(server), 60)
            _, said = started.communicate(timeout=60)
        assert started.returncode == 0, said
        assert "the connection was lost" in said
        with session(url) as run:
            assert list(indexes(run)) == [INDEX]
            assert state(run, INDEX)[0]
            assert version(run) == written.revision
    finally:
        server.reset()

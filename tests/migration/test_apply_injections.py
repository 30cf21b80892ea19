"""Faults put into an upgrade: what is left, what it says, and that the next run is done with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dbtune.errors import DbtuneError, ServerError
from dbtune.migration import apply as applying
from dbtune.migration.project import Project
from dbtune.server import binaries
from dbtune.server.embedded import EmbeddedServer
from tests.migration.conftest import SHOP, Host, Run, indexes, make_host, session, state, version, wait_for

INDEX = "item_owner_idx"
STATEMENT = f"CREATE INDEX {INDEX} ON shop.item (owner)"


def test_limits_of_the_role_do_not_reach_the_build(host: Host, run: Run, database_url: str) -> None:
    (written,) = host.new(STATEMENT)
    run("ALTER DATABASE " + str(run("SELECT current_database()")[0][0]) + " SET lock_timeout = '500ms'")
    with session(database_url) as writer:
        writer("BEGIN; UPDATE shop.item SET name = name")
        command = [sys.executable, "-m", "dbtune", "migrate", "apply", "--config", str(host.ini)]
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
    lines: list[str] = []
    with pytest.raises(ServerError, match="temp_file_limit"):
        applying.apply(Project(host.ini), tell=lines.append)
    assert not any("once more" in line for line in lines)
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
            command = [sys.executable, "-m", "dbtune", "migrate", "apply", "--config", str(host.ini)]
            started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            building = "SELECT pid FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'"
            wait_for(lambda: bool(looker(building)))
            crash(server, looker(building)[0][0])
            _, said = started.communicate(timeout=60)
        assert started.returncode in (0, 3), said  # 0: back before it was tried again
        assert "Traceback" not in said
        wait_for(lambda: _starts(server), 60)
        with session(url) as run:
            assert set(indexes(run)) <= {INDEX}
            applying.apply(Project(host.ini))
            assert list(indexes(run)) == [INDEX]
            assert state(run, INDEX)[0]
            assert version(run) == written.revision
    finally:
        server.reset()


def _starts(server: EmbeddedServer) -> bool:
    try:
        server.start()
    except DbtuneError:
        return False
    return server.status().ready

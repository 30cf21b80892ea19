"""No room: a full disk, no memory, parallel workers that end or that there are none of."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_postgresql.janitor import DatabaseJanitor
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError

from dbtune.server.account import server_account
from tests.migration.conftest import SHOP, Host, Run, make_host, session, wait_for
from tests.migration.faults import (
    BESIDE,
    CLIENTS,
    INDEX,
    SCAN,
    SLOW,
    SLOW_STATEMENT,
    STATEMENT,
    converges,
    done,
    end,
    held,
    made,
    noted,
    others,
    start,
    upgrade,
    upgrading,
)

MANY = "INSERT INTO shop.item (id, owner) SELECT g, g FROM generate_series(1000, 200000) AS g"
FULL = "No space left on device"
CODES = {"alembic": 1, "apply": 3}


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A disk of so many bytes, in memory, that the server may write on; yields what makes it larger."""
    account = server_account()
    folder.mkdir(exist_ok=True)
    options = f"size={size},mode=0700,uid={account.uid},gid={account.gid}"
    tried = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"a small disk cannot be mounted: {tried.stderr.strip()}")

    def enlarge(size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)

    try:
        yield enlarge
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a server process may have a file open still


@pytest.fixture
def disk(data_dir: Path, run: Run) -> Iterator[Callable[[str], None]]:
    """A tablespace ``small`` of 1 MB; what it yields makes it larger."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk, on Linux")
    with mounted(data_dir / "small", "1m") as enlarge:
        run(f"CREATE TABLESPACE small LOCATION '{data_dir / 'small'}'")
        try:
            yield enlarge
        finally:
            run("DROP SCHEMA shop CASCADE")
            run("DROP TABLESPACE small")


@pytest.mark.parametrize(("client", "unique"), [("alembic", ""), ("apply", "UNIQUE ")], ids=CLIENTS)
def test_a_full_disk_leaves_no_index(
    host: Host, run: Run, disk: Callable[[str], None], client: str, unique: str
) -> None:
    run(BESIDE + MANY)
    before = others(run)
    (written,) = host.new(f"CREATE {unique}INDEX {INDEX} ON shop.item (owner, id) TABLESPACE small")
    for _ in range(2):
        code, said = end(start(host, client))
        assert (code, FULL in said) == (CODES[client], True), said
        assert (made(run), noted(run)) == (None, None)
        assert others(run) == before
    disk("32m")
    converges(host, run, written.revision, before, client)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_disk_that_is_full_for_the_whole_database(
    tmp_path: Path, data_dir: Path, disk: Callable[[str], None], database_url: str, client: str
) -> None:
    disk("32m")
    url = make_url(database_url).set(database="on_small_disk")
    janitor = DatabaseJanitor(
        user=url.username or "", host=str(url.query["host"]), port=str(url.query["port"]), dbname=url.database or ""
    )
    with session(database_url) as admin:
        admin("CREATE DATABASE on_small_disk TABLESPACE small")
    try:
        host = make_host(tmp_path / "full", url.render_as_string())
        with session(host.url) as run:
            run(SHOP + BESIDE + MANY)
            before = others(run)
            (written,) = host.new(STATEMENT)
            run("CREATE TABLE public.filler (a text); ALTER TABLE public.filler ALTER a SET STORAGE PLAIN")
            room = shutil.disk_usage(data_dir / "small").free
            run(f"INSERT INTO public.filler SELECT repeat('x', 8000) FROM generate_series(1, {room // 8192 - 300})")
            for _ in range(2):
                code, said = end(start(host, client))
                assert (code, FULL in said) == (CODES[client], True), said
                assert (made(run), noted(run)) == (None, None)
                assert others(run) == before
            disk("64m")
            converges(host, run, written.revision, before, client)
    finally:
        janitor.drop()


def test_a_full_disk_leaves_no_index_of_a_partition(
    host: Host, run: Run, db: Connection, disk: Callable[[str], None]
) -> None:
    run("CREATE TABLE shop.part (a int) PARTITION BY RANGE (a)")
    for number in (1, 2):
        run(f"CREATE TABLE shop.part_{number} PARTITION OF shop.part FOR VALUES FROM ({number}) TO ({number + 1})")
    run("INSERT INTO shop.part SELECT 1 FROM generate_series(1, 1000)")
    run("INSERT INTO shop.part SELECT 2 FROM generate_series(1, 400000)")
    (written,) = host.new("CREATE INDEX part_a ON shop.part (a) TABLESPACE small", db)
    with pytest.raises(DBAPIError, match=FULL):
        upgrade(host)
    tables = (
        "SELECT indrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid::regclass::text LIKE 'shop.part%'"
        " ORDER BY 1"
    )
    assert run(tables) == [("shop.part", False), ("shop.part_1", True)]
    disk("32m")
    upgrade(host)
    assert run(tables) == [("shop.part", True), ("shop.part_1", True), ("shop.part_2", True)]
    assert noted(run) == written.revision


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="no prlimit (util-linux) to limit the server's memory with")
@pytest.mark.parametrize("client", CLIENTS)
def test_a_build_without_memory_leaves_no_index(host: Host, run: Run, client: str) -> None:
    run(BESIDE + SLOW + MANY)
    run(f"ALTER DATABASE {run('SELECT current_database()')[0][0]} SET maintenance_work_mem = '256MB'")
    before = others(run)
    (written,) = host.new(SLOW_STATEMENT)
    with held(host.url, SCAN) as hold, upgrading(host, client) as process:
        hold.reach()
        ((pid,),) = run("SELECT pid FROM pg_stat_progress_create_index WHERE datname = current_database()")
        size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        account = server_account()
        user = {} if account.is_ourselves else {"user": account.uid, "group": account.gid}
        command = ["prlimit", f"--pid={pid}", f"--as={size + (1 << 20)}:"]
        subprocess.run(command, check=True, **user)  # type: ignore[call-overload]
        hold.release()
        code, said = end(process)
    assert (code, "out of memory" in said) == (CODES[client], True), said
    assert (made(run), noted(run)) == (None, None)
    converges(host, run, written.revision, before, client)


PARALLEL = """
ALTER DATABASE {0} SET min_parallel_table_scan_size = 0;
ALTER DATABASE {0} SET max_parallel_maintenance_workers = {1};
ALTER TABLE shop.item SET (parallel_workers = 2);
ALTER FUNCTION shop.slow PARALLEL SAFE;
"""


def test_a_parallel_worker_that_is_ended_ends_the_build(host: Host, run: Run) -> None:
    far = MANY.replace("1000, 200000", "20000, 1000, -1")  # the two rows that hold it are in pages far apart
    run(BESIDE + SLOW + PARALLEL.format(run("SELECT current_database()")[0][0], 2) + far)
    before = others(run)
    (written,) = host.new(SLOW_STATEMENT)
    with ThreadPoolExecutor(1) as pool, held(host.url, SCAN) as hold:
        first = pool.submit(upgrade, host)
        workers = (
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'parallel worker' AND wait_event_type = 'Lock'"
            " AND datname = current_database()"
        )
        wait_for(lambda: bool(run(workers)))
        run(f"SELECT pg_terminate_backend(pid) FROM ({workers}) AS w")
        assert first.exception(60) is not None
        assert (made(run), noted(run)) == (False, None)
        hold.release()
    converges(host, run, written.revision, before)


def test_a_build_without_parallel_workers(host: Host, run: Run) -> None:
    run(BESIDE + SLOW + PARALLEL.format(run("SELECT current_database()")[0][0], 0))
    before = others(run)
    (written,) = host.new(SLOW_STATEMENT)
    with ThreadPoolExecutor(1) as pool, held(host.url, SCAN) as hold:
        first = pool.submit(upgrade, host)
        hold.reach()
        assert run("SELECT 1 FROM pg_stat_activity WHERE backend_type = 'parallel worker'") == []
        hold.release()
        first.result(60)
    done(run, written.revision, before)

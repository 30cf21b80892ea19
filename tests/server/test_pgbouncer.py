"""PgBouncer's console, of a real one."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import make_url

from dbtune.errors import ServerError, UsageError
from dbtune.server import pgbouncer
from dbtune.server.account import server_account

pytestmark = pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="no PgBouncer on this machine")


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(url: str, folder: Path, *settings: str, pool_size: int = 1) -> Iterator[int]:
    """A PgBouncer in front of the database; yields its port."""
    server, port, account = make_url(url), free_port(), server_account()
    folder.mkdir()
    ini = folder / "pgbouncer.ini"
    lines = [
        "[databases]",
        f"shop = host={server.query['host']} port={server.query['port']} user={server.username}"
        f" dbname={server.database} pool_size={pool_size}",
        "[pgbouncer]", "listen_addr = 127.0.0.1", f"listen_port = {port}", "unix_socket_dir =", "auth_type = any",
        "pool_mode = transaction", "ignore_startup_parameters = extra_float_digits", *settings,
    ]  # fmt: skip
    ini.write_text("\n".join(lines) + "\n")
    user = {} if account.is_ourselves else {"user": account.uid, "group": account.gid}
    with subprocess.Popen(
        [shutil.which("pgbouncer") or "pgbouncer", str(ini)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **user,  # type: ignore[call-overload]
    ) as process:
        try:
            deadline = time.monotonic() + 20
            while not answers(port):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield port
        finally:
            process.terminate()


def test_pools_and_who_waits(data_dir: Path, database_url: str) -> None:
    with running(database_url, data_dir / "bouncer", "max_client_conn = 50") as port:
        clients = [psycopg2.connect(host="127.0.0.1", port=port, dbname="shop", user="dbtune") for _ in range(3)]
        for client in clients:
            client.autocommit = True
        sleepers = [
            threading.Thread(target=lambda client=client: client.cursor().execute("SELECT pg_sleep(0.4)"))
            for client in clients
        ]
        for sleeper in sleepers:
            sleeper.start()
        with pgbouncer.opened(pgbouncer.target(f"postgresql://dbtune:tiger@127.0.0.1:{port}")) as console:
            while True:
                (pool,) = console.pools()
                if (pool.cl_waiting, pool.sv_active) == (2, 1):
                    break
                time.sleep(0.02)
            for sleeper in sleepers:
                sleeper.join()
            after = console.read()
        for client in clients:
            client.close()
    assert (pool.database, pool.user, pool.mode, pool.size, pool.servers) == ("shop", "dbtune", "transaction", 1, 1)
    assert after.number("max_client_conn") == 50
    assert after.number("query_wait_timeout") == 120
    assert "tiger" not in after.name
    assert after.clients >= 3
    done = after.work["shop"]
    assert done.transactions == 3
    assert done.mean_wait_s is not None and done.mean_wait_s > 0.2  # the third waits for two others


def test_what_began_anew_is_taken_as_it_is() -> None:
    work = pgbouncer.Work(transactions=5, queries=5, wait_s=2.0, xact_s=1.0, query_s=1.0, assignments=4)
    assert work.since(replace(work, transactions=9)) == work
    assert work.since(replace(work, transactions=3, assignments=2)).mean_wait_s == 0
    assert work.mean_wait_s == 0.5
    assert replace(work, assignments=None).mean_wait_s == 0.4


def test_a_database_is_no_console(data_dir: Path, database_url: str) -> None:
    with (
        running(database_url, data_dir / "bouncer_database") as port,
        pytest.raises(UsageError, match="end the URL with /pgbouncer"),
        pgbouncer.opened(pgbouncer.target(f"postgresql://dbtune:tiger@127.0.0.1:{port}/shop")),
    ):
        pass


def test_refusals(data_dir: Path, database_url: str) -> None:
    nowhere = pgbouncer.target("postgresql://x:tiger@127.0.0.1:1")
    with (
        pytest.raises(ServerError, match=r"^PgBouncer at x@127\.0\.0\.1:1/pgbouncer: Connection refused$") as refused,
        pgbouncer.opened(nowhere),
    ):
        pass
    assert "tiger" not in str(refused.value)
    users = data_dir / "users.txt"
    users.write_text('"someone" ""\n"boss" ""\n')
    settings = ("auth_type = trust", f"auth_file = {users}", "admin_users = boss")
    with (
        running(database_url, data_dir / "bouncer_refuses", *settings) as port,
        pytest.raises(ServerError, match="admin_users or stats_users"),
        pgbouncer.opened(pgbouncer.target(f"postgresql://someone@127.0.0.1:{port}")) as console,
    ):
        console.read()

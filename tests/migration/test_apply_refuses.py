"""Places where ``dbtune migrate apply`` changes nothing: a pooler in transaction mode, a standby."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from dbtune.errors import Unsafe
from dbtune.migration import apply as applying
from dbtune.migration.project import Project
from dbtune.server import binaries
from dbtune.server.account import server_account
from dbtune.server.embedded import EmbeddedServer
from tests.migration.conftest import Run, indexes, make_host, state, wait_for

INDEX = "item_owner_idx"
STATEMENT = f"CREATE INDEX {INDEX} ON shop.item (owner)"


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody listens on the port."""
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def pgbouncer(url: str, mode: str, folder: Path) -> Iterator[str]:
    """A PgBouncer in front of the server; yields its URL."""
    server, port, account = make_url(url), free_port(), server_account()
    folder.mkdir()
    ini = folder / "pgbouncer.ini"
    ini.write_text(
        f"[databases]\n* = host={server.query['host']} port={server.query['port']} user={server.username}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = {mode}\nignore_startup_parameters = extra_float_digits\n"
    )
    user = {} if account.is_ourselves else {"user": account.uid, "group": account.gid}
    with subprocess.Popen(
        [shutil.which("pgbouncer") or "pgbouncer", str(ini)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **user,  # type: ignore[call-overload]
    ) as running:
        try:
            wait_for(lambda: answers(port))
            yield server.set(host="127.0.0.1", port=port, query={}).render_as_string()
        finally:
            running.terminate()


@pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="no PgBouncer on this machine")
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pooler_is_taken_in_session_mode_only(data_dir: Path, database_url: str, run: Run, mode: str) -> None:
    folder = data_dir / f"pooler_{mode}"
    with pgbouncer(database_url, mode, folder) as url:
        host = make_host(folder / "host", url)
        host.new(STATEMENT)
        if mode == "session":
            applying.apply(Project(host.ini))
            assert state(run, INDEX)[0]
        else:
            with pytest.raises(Unsafe, match="pooler in transaction mode"):
                applying.apply(Project(host.ini))
            assert indexes(run) == {}


def test_a_standby_is_refused(data_dir: Path, pytestconfig: pytest.Config) -> None:
    bindir = pytestconfig.getoption("--pg-bindir")
    server = EmbeddedServer(data_dir / "standby", binaries.at(bindir.absolute()) if bindir else None)
    server.start()
    try:
        host = make_host(data_dir / "standby" / "host", server.url())
        host.new(STATEMENT)
        server.stop()
        (server.data / "standby.signal").touch()
        server.start()
        with pytest.raises(Unsafe, match="is a standby"):
            applying.apply(Project(host.ini))
    finally:
        server.reset()

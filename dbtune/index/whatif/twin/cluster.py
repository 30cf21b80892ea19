"""A PostgreSQL server for the time being, reachable by nobody else, and gone when its maker is, however that ends.

The server is the child of a shell that holds the other end of a pipe: when the pipe is closed, by us or because we
are dead, the shell ends the server and removes the folder. Nothing in it outlives that, and none is ever used again.
(An empty folder is left where we were root and killed, and the server's user may not write into the one above.)
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sqlalchemy import URL

from dbtune.errors import EmbeddedError
from dbtune.server import account, binaries
from dbtune.server.account import Account
from dbtune.server.binaries import Binaries
from dbtune.server.connection import Target

ROLE = "dbtune"
DATABASE = "postgres"
PORT = 5432
_SECONDS = 60.0
_POLL_SECONDS = 0.01
_SOCKET_PATH_LIMIT = 103  # of sockaddr_un.sun_path: 104 on macOS, 108 on Linux, the last one a NUL

# $1 is the folder, the rest is what initdb takes beside. "ended" on the standard output says that no server runs.
_KEEPER = r"""
trap '' HUP INT TERM
folder=$1; bindir=$2; shift 2
( { "$bindir/initdb" "$@" && cat "$folder/settings" >>"$folder/data/postgresql.conf" &&
    { "$bindir/postgres" -D "$folder/data"
      while [ -e "$folder/again" ]; do sleep 0.2; "$bindir/postgres" -D "$folder/data"; done; }
  } </dev/null >"$folder/log" 2>&1; echo ended ) &
read -r _
rm -f -- "$folder/again"
while kill -0 $! 2>/dev/null; do
    pid=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null && break
    sleep 0.05
done
wait
rm -rf -- "$folder"
"""

_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "autovacuum": "off",  # it would overwrite the statistics, and read the holes
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # what a transaction makes is written to its files when it commits, and not to the WAL
    "wal_skip_threshold": "0",
    "restart_after_crash": "off",
    "track_counts": "off",
    "track_activities": "off",
    "shared_buffers": "32MB",
    "min_wal_size": "2MB",
    "max_wal_size": "64MB",
    "max_connections": "8",
    "max_worker_processes": "0",
    "max_parallel_maintenance_workers": "0",
    "allow_system_table_mods": "on",
    "check_function_bodies": "off",
    "jit": "off",
    "logging_collector": "off",
    "log_min_messages": "error",
    "log_min_error_statement": "panic",  # statements have values in them
    "log_checkpoints": "off",
}


class Cluster:
    """A running server in a folder of its own below ``folder``. See :func:`start`."""

    def __init__(
        self, home: Path, programs: Binaries, owner: Account, keeper: subprocess.Popen[bytes], name: str
    ) -> None:
        self.home = home
        self.name = name
        self.programs = programs
        self.owner = owner
        self._keeper = keeper
        self._ended = False

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.home / "log"

    @property
    def target(self) -> Target:
        """Where to connect to: the Unix socket, as superuser."""
        query = {"host": str(self.home), "port": str(PORT), "client_encoding": "utf8"}
        return Target(URL.create("postgresql+psycopg2", username=ROLE, database=DATABASE, query=query), self.name)

    @property
    def runs(self) -> bool:
        """Whether the server is there."""
        return self._keeper.poll() is None and not self._said_ended()

    def keep_up(self) -> None:
        """From now on, start the server again whenever it ends by itself."""
        (self.home / "again").touch()

    def stop(self) -> None:
        """End the server and remove its folder; once is enough."""
        if self._keeper.stdin is not None and not self._keeper.stdin.closed:
            with suppress(BrokenPipeError):
                self._keeper.stdin.write(b"\n")
                self._keeper.stdin.flush()
            with suppress(BrokenPipeError):
                self._keeper.stdin.close()
        try:
            self._keeper.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        if self._keeper.stdout is not None:
            self._keeper.stdout.close()
        if self.home.exists():
            shutil.rmtree(self.home, ignore_errors=True)

    def await_start(self) -> None:
        """Return when the server takes connections.

        :raises EmbeddedError: it does not start; its last words tell why.
        """
        deadline = time.monotonic() + _SECONDS
        while True:
            with suppress(OSError):
                lines = (self.data / "postmaster.pid").read_text().splitlines()
                if len(lines) >= 8 and lines[7].strip() == "ready":
                    return
            if self._said_ended() or self._keeper.poll() is not None:
                raise EmbeddedError(f"the {self.name}'s server does not start: {self._last_words()}")
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"the {self.name}'s server did not start within {_SECONDS:g} s: {self._last_words()}"
                )
            time.sleep(_POLL_SECONDS)

    def _said_ended(self) -> bool:
        out = self._keeper.stdout
        if out is None or out.closed:
            return True
        if not self._ended and select.select([out], [], [], 0)[0]:
            os.read(out.fileno(), 100)  # "ended", or nothing where the keeper itself is gone
            self._ended = True
        return self._ended

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
            for mark in ("FATAL:", "PANIC:", "error:", "No space left"):
                for line in reversed(lines):
                    if mark in line:
                        return line.partition(mark)[2].strip() if mark.endswith(":") else line
            if lines:
                return lines[-1]
        return "it says nothing"


def start(
    programs: Binaries,
    locale: tuple[str, ...],
    *,
    folder: Path | None = None,
    settings: Mapping[str, str] | None = None,
    name: str = "twin",
) -> Cluster:
    """Make a cluster in a new folder below ``folder`` (the system's temporary one), start it, and return it.

    ``locale`` are initdb's options for it; ``settings`` are added to the server's own; ``name`` is what it is for.
    Only its owner can enter the folder: ourselves, or for root another user, for PostgreSQL does not run as root.

    :raises EmbeddedError: it cannot be made or started.
    """
    owner = account.server_account()
    programs = binaries.runnable_by(programs, owner)
    home = _home(folder, owner, name)
    try:
        _write_settings(home / "settings", {**_SETTINGS, "unix_socket_directories": str(home), **(settings or {})})
        if not owner.is_ourselves:
            for path in (home / "settings", home):
                os.chown(path, owner.uid, owner.gid)
        keeper = _keep(home, programs, owner, _initdb(programs, home, locale), name)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    cluster = Cluster(home, programs, owner, keeper, name)
    try:
        cluster.await_start()
    except BaseException:
        cluster.stop()
        raise
    return cluster


def _home(folder: Path | None, owner: Account, name: str) -> Path:
    """Return a new folder that ``owner`` can reach and whose path is short enough for a socket in it."""
    wanted = (folder or Path(tempfile.gettempdir())).absolute()
    if not wanted.is_dir():
        raise EmbeddedError(f"{wanted}: no such folder for the {name}")
    if not owner.can_enter(wanted) or len(os.fsencode(wanted)) + 40 > _SOCKET_PATH_LIMIT:
        if folder is not None:
            raise EmbeddedError(f"{wanted}: user {owner.name} cannot enter it, or its path is too long for a socket")
        wanted = Path("/tmp")
    try:
        return Path(tempfile.mkdtemp(prefix=f"dbtune-{name}-", dir=wanted))
    except OSError as error:
        raise EmbeddedError(f"cannot make a folder for the {name} in {wanted}: {error.strerror}") from None


def _write_settings(path: Path, settings: Mapping[str, str]) -> None:
    path.touch(mode=0o600)
    with path.open("w") as file:
        for name, value in settings.items():
            escaped = value.replace("'", "''")
            file.write(f"{name} = '{escaped}'\n")


def _initdb(programs: Binaries, home: Path, locale: tuple[str, ...]) -> list[str]:
    options = [
        f"--pgdata={home / 'data'}",
        f"--username={ROLE}",
        "--auth=trust",
        "--no-sync",
        "--wal-segsize=1",
        *locale,
    ]
    if programs.major >= 18:
        options.append("--no-data-checksums")  # a page of zeros with a checksum is a damaged one
    return options


def _keep(home: Path, programs: Binaries, owner: Account, initdb: list[str], name: str) -> subprocess.Popen[bytes]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C", "TZ": "UTC"}
    try:
        return subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, f"dbtune-{name}", str(home), str(programs.bindir), *initdb],
            cwd="/",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            umask=0o077,
            start_new_session=True,  # Ctrl-C is for us
            user=None if owner.is_ourselves else owner.uid,
            group=None if owner.is_ourselves else owner.gid,
            extra_groups=None if owner.is_ourselves else [],
        )
    except OSError as error:
        raise EmbeddedError(f"cannot run the {name}'s server as user {owner.name}: {error.strerror}") from None

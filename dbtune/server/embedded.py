"""The embedded PostgreSQL: a real server of our own, made on demand, kept for the next command.

DATA_DIR/18/          one folder for each major version, private to the server's user
    data/             the cluster (manual, 18.2)
    run/              the Unix socket; whoever can enter may connect without a password
    passfile          for TCP: libpq's password file (manual, 32.16), readable by us only
    log               the server's log
DATA_DIR/18.lock      held while a command starts, stops or removes the server
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dbtune import config
from dbtune.errors import EmbeddedError
from dbtune.server import account, binaries
from dbtune.server.account import Account
from dbtune.server.binaries import Binaries

ROLE = "dbtune"
DATABASE = "dbtune"
_MARKER = "made-by-dbtune"
_PRELOAD = ("pg_stat_statements", "auto_explain")
_START_SECONDS = 60
_LOCK_SECONDS = 120
_SOCKET_PATH_LIMIT = 103  # of sockaddr_un.sun_path: 104 on macOS, 108 on Linux, the last one a NUL

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Status:
    """What there is: ``pid`` and ``port`` only while the server runs."""

    initialised: bool
    pid: int | None = None
    port: int | None = None
    ready: bool = False


class EmbeddedServer:
    """The server in one folder, of one major version. Every method may be called by several processes at once."""

    def __init__(self, data_dir: Path | None = None, programs: Binaries | None = None) -> None:
        self.programs = programs or binaries.find()
        self.home = (data_dir or config.data_dir()).absolute() / str(self.programs.major)
        self.data = self.home / "data"
        self.log = self.home / "log"
        self.passfile = self.home / "passfile"
        self._marker = self.home / _MARKER

    @property
    def run(self) -> Path:
        """The folder of the Unix socket; elsewhere when this one's path is too long for the system."""
        folder = self.home / "run"
        if len(os.fsencode(folder / ".s.PGSQL.65535")) <= _SOCKET_PATH_LIMIT:
            return folder
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"dbtune-{self._account().uid}-{digest}"

    def url(self, *, tcp: bool = False) -> str:
        """Return a libpq URL of the running server, without any password in it.

        :raises EmbeddedError: it does not run.
        """
        port = self.status().port
        if port is None:
            raise EmbeddedError("the embedded server does not run; start it with: dbtune server start")
        if tcp:
            return f"postgresql://{ROLE}@127.0.0.1:{port}/{DATABASE}?passfile={self.passfile}"
        return f"postgresql://{ROLE}@/{DATABASE}?host={self.run}&port={port}"

    def status(self) -> Status:
        """Return what there is, from the server's own pid file; one left behind by a killed server counts as none."""
        try:
            initialised = (self.data / "PG_VERSION").exists()
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except PermissionError:
            raise EmbeddedError(f"{self.home} belongs to user {account.owner(self.home).name}, not to you") from None
        except (FileNotFoundError, NotADirectoryError):
            return Status(initialised=(self.data / "PG_VERSION").exists())
        if len(lines) < 8 or not lines[0].isdigit() or not self._is_postmaster(int(lines[0])):
            return Status(initialised=initialised)
        return Status(initialised=initialised, pid=int(lines[0]), port=int(lines[3]), ready=lines[7].strip() == "ready")

    def start(self, progress: Progress = lambda text: None) -> bool:
        """Make sure that the server runs and takes connections; return whether it had to be started.

        :raises EmbeddedError: it cannot; the message says why and what to do.
        """
        if self._serves(self.status()):
            return False
        with self._lock(progress):
            if self._serves(self.status()):
                return False
            user = self._account()
            programs = binaries.runnable_by(self.programs, user)
            if not self.status().initialised:
                progress(f"making a PostgreSQL {programs.version} server in {self.home}")
                self._initialise(programs, user)
            progress(f"starting PostgreSQL {programs.version}")
            self._start(programs, user)
            self._provision()
            return True

    def stop(self) -> bool:
        """Stop the server, ending its sessions; return whether it ran.

        :raises EmbeddedError: it does not stop.
        """
        if not self.home.exists():
            return False
        with self._lock():
            return self._stop()

    def reset(self) -> bool:
        """Stop the server and remove its folder with all data; return whether there was one.

        :raises EmbeddedError: the folder was not made by dbtune, or cannot be removed.
        """
        if not self.home.exists():
            return False
        with self._lock():
            if not self._marker.exists() and any(self.home.iterdir()):
                raise EmbeddedError(f"{self.home} was not made by dbtune; remove it yourself if you mean it")
            self._stop()
            for folder in (self.home, self.run):
                try:
                    shutil.rmtree(folder)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    raise EmbeddedError(f"cannot remove {folder}: {error.strerror or error}") from None
            return True

    def _account(self) -> Account:
        """Return who runs the server: whoever owns the cluster, if there is one."""
        if not self.data.exists():
            return account.server_account()
        owner = account.owner(self.data)
        if not owner.is_ourselves and os.geteuid() != 0:
            raise EmbeddedError(f"{self.data} belongs to user {owner.name}, not to you; choose another --data-dir")
        return owner

    def _is_postmaster(self, pid: int) -> bool:
        """Return whether ``pid`` is this cluster's server and not another process that got its number later.

        The postmaster's working folder is its data folder.
        """
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        try:
            return self.data.samefile(f"/proc/{pid}/cwd")
        except PermissionError:
            return True
        except OSError:
            if Path("/proc/self").exists():
                return False
        answer = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return str(self.data) in answer.stdout

    def _serves(self, status: Status) -> bool:
        """Return whether the server takes connections, for a command that wants one (no lock needed)."""
        if not (status.ready and status.port):
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(os.fspath(self.run / f".s.PGSQL.{status.port}"))
            except OSError:
                return False
        return (self.home / "provisioned").exists()

    @contextmanager
    def _lock(self, progress: Progress = lambda text: None) -> Iterator[None]:
        """Hold this server's lock file, so that two commands started at once do not both make the server."""
        lock = self.home.with_name(f"{self.home.name}.lock")
        with _explained(self.home):
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = lock.open("w")
        with handle:
            deadline = time.monotonic() + _LOCK_SECONDS
            waiting = False
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not waiting:
                        progress("waiting for another dbtune command that starts or stops the server")
                        waiting = True
                    if time.monotonic() > deadline:
                        raise EmbeddedError(
                            f"another command has held {lock} for {_LOCK_SECONDS} s; try again when it is done"
                        ) from None
                    time.sleep(0.05)
            yield

    def _initialise(self, programs: Binaries, user: Account) -> None:
        """Make the cluster in a folder beside, then rename it: a crash leaves no half-made cluster behind."""
        part = self.data.with_name("data.part")
        with _explained(self.home):
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._marker.touch()
            if not user.is_ourselves:
                os.chown(self.home, user.uid, user.gid)
            shutil.rmtree(part, ignore_errors=True)
        if not user.can_enter(self.home):
            raise EmbeddedError(
                f"the server runs as user {user.name}, who cannot enter {self.home}; choose another --data-dir"
            )
        password = secrets.token_urlsafe(24)
        # 17 brought a provider of its own for C.UTF-8, the same on every machine; before it is the C library's
        locale = (
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            if programs.major >= 17
            else ["--locale=C.UTF-8" if _has_c_utf8() else "--locale=C"]
        )
        with _explained(self.home), tempfile.TemporaryDirectory(prefix="dbtune-") as folder:
            pwfile = Path(folder) / "password"
            pwfile.write_text(password)
            if not user.is_ourselves:
                os.chown(folder, user.uid, user.gid)
                os.chown(pwfile, user.uid, user.gid)
            self._call(
                user,
                programs.bindir / "initdb",
                f"--pgdata={part}",
                f"--username={ROLE}",
                f"--pwfile={pwfile}",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--encoding=UTF8",
                *locale,
            )
            self.passfile.touch(mode=0o600)
            self.passfile.write_text(f"*:*:*:{ROLE}:{password}\n")
            part.rename(self.data)

    def _start(self, programs: Binaries, user: Account) -> None:
        with _explained(self.home):
            if self.status().pid is None:
                # A killed server leaves its lock files, and the next one distrusts them for as long as any process
                # has the number: another one's, or the zombie that a container's init does not reap.
                for left in (self.data / "postmaster.pid", *self.run.glob(".s.PGSQL.*")):
                    left.unlink(missing_ok=True)
            self.run.mkdir(mode=0o700, exist_ok=True)
            if self.run.stat().st_uid not in (user.uid, os.geteuid()):
                raise EmbeddedError(f"{self.run} belongs to another user; remove it")
            if not user.is_ourselves:
                os.chown(self.run, user.uid, user.gid)
        port = self._last_port()
        for attempt in range(3):
            port = port if port is not None and _is_free(port) else _free_port()
            with _explained(self.home):
                self._configure(programs, user, port)
            try:
                self._call(
                    user,
                    programs.bindir / "pg_ctl",
                    "start",
                    "--wait",
                    f"--timeout={_START_SECONDS}",
                    f"--pgdata={self.data}",
                    f"--log={self.log}",
                )
                return
            except EmbeddedError:
                reason = self._last_words()
                if attempt == 2 or "could not create any TCP/IP sockets" not in reason:
                    raise EmbeddedError(f"the embedded server does not start: {_advice(reason, self.home)}") from None
                port = None

    def _configure(self, programs: Binaries, user: Account, port: int) -> None:
        preload = [name for name in _PRELOAD if programs.has_library(name)]
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(self.run),
            "shared_preload_libraries": ",".join(preload),
            "track_io_timing": "on",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items()]
        auto = self.data / "dbtune.conf"
        auto.write_text("# Written anew at every start by dbtune; put your own settings in postgresql.auto.conf.\n")
        with auto.open("a") as file:
            file.writelines(lines)
        main = self.data / "postgresql.conf"
        if "include 'dbtune.conf'" not in main.read_text():
            with main.open("a") as file:
                file.write("include 'dbtune.conf'\n")
        if not user.is_ourselves:
            os.chown(auto, user.uid, user.gid)

    def _last_port(self) -> int | None:
        """Return the port of the last start: a URL that somebody noted keeps working."""
        with suppress(OSError):
            for line in (self.data / "dbtune.conf").read_text().splitlines():
                if line.startswith("port = "):
                    return int(line.split("'")[1])
        return None

    def _provision(self) -> None:
        """Make the database and the extensions, once; safe to repeat after a crash in between."""
        done = self.home / "provisioned"
        if done.exists():
            return
        import psycopg2

        port = self.status().port
        try:
            for database, statement in (
                ("postgres", f"CREATE DATABASE {DATABASE}"),
                (DATABASE, "CREATE EXTENSION pg_stat_statements"),
            ):
                connection = psycopg2.connect(host=str(self.run), port=port, user=ROLE, dbname=database)
                try:
                    connection.autocommit = True
                    with (
                        suppress(psycopg2.errors.DuplicateDatabase, psycopg2.errors.DuplicateObject),
                        suppress(psycopg2.errors.UndefinedFile, psycopg2.errors.FeatureNotSupported),
                        connection.cursor() as cursor,
                    ):
                        cursor.execute(statement)
                finally:
                    connection.close()
        except psycopg2.Error as error:
            raise EmbeddedError(f"the embedded server cannot be set up: {str(error).strip()}") from None
        with _explained(self.home):
            done.touch()

    def _stop(self) -> bool:
        status = self.status()
        if status.pid is None:
            return False
        user = self._account()
        programs = binaries.runnable_by(self.programs, user)
        self._call(user, programs.bindir / "pg_ctl", "stop", "--wait", "--mode=fast", f"--pgdata={self.data}")
        return True

    def _call(self, user: Account, *command: str | os.PathLike[str]) -> None:
        """Run one of PostgreSQL's programs as ``user``.

        :raises EmbeddedError: with its last words.
        """
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"}
        try:
            done = subprocess.run(
                command,
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                umask=0o077,
                start_new_session=True,  # Ctrl-C is for us; the server stays for the next command
                user=None if user.is_ourselves else user.uid,
                group=None if user.is_ourselves else user.gid,
                extra_groups=None if user.is_ourselves else [],
            )
        except PermissionError as error:
            raise EmbeddedError(f"cannot run {command[0]} as user {user.name}: {error.strerror}") from None
        if done.returncode:
            words = _telling_line((done.stderr + "\n" + done.stdout).splitlines())
            raise EmbeddedError(f"{Path(command[0]).name} failed: {_advice(words, self.home)}")

    def _last_words(self) -> str:
        """Return the line of the server's log that says why it did not start."""
        with suppress(OSError):
            return _telling_line(self.log.read_text(errors="replace").splitlines()[-40:])
        return f"see {self.log}"


def _telling_line(lines: Sequence[str]) -> str:
    for mark in ("No space left", "Read-only file system", "FATAL:", "PANIC:", "fatal:", "error:", "ERROR:"):
        for line in reversed(lines):
            if mark in line:
                return line.partition(mark)[2].strip() if mark.endswith(":") else line.strip()
    return next((line.strip() for line in reversed(lines) if line.strip()), "it says nothing")


def _advice(words: str, folder: Path) -> str:
    if "No space left" in words:
        return f"no space left on the disk of {folder}; free some, or choose another folder with --data-dir"
    if "Read-only file system" in words:
        return f"{folder} is on a read-only disk; choose another folder with --data-dir"
    return words


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn an operating system's error on a file into one line that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        where = error.filename or folder
        raise EmbeddedError(f"cannot write {where}: {reason}; choose another folder with --data-dir") from None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _has_c_utf8() -> bool:
    import locale

    current = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return False
    finally:
        locale.setlocale(locale.LC_CTYPE, current)
    return True

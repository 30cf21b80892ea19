from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from dbtune.errors import EmbeddedError
from dbtune.server import account
from dbtune.server.binaries import Binaries, installation, runnable_by
from dbtune.server.embedded import EmbeddedServer

ROOT = os.geteuid() == 0


@pytest.fixture
def own(data_dir: Path, server: EmbeddedServer, request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    """A server that a test may break."""
    folder = data_dir / f"own-{abs(hash(request.node.name))}"
    folder.mkdir(mode=0o755)
    embedded = EmbeddedServer(folder, server.programs)
    yield embedded
    embedded.reset()
    shutil.rmtree(folder)


def scalar(url: str, statement: str) -> object:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
            assert row is not None
            return row[0]
    finally:
        connection.close()


def test_life_of_a_server(own: EmbeddedServer) -> None:
    assert not own.status().initialised
    assert own.start()
    assert not own.start()
    assert own.status().ready
    assert scalar(own.url(), "SELECT current_setting('track_io_timing')") == "on"
    assert scalar(own.url(), "SELECT count(*) FROM pg_stat_statements") != 0
    assert "auto_explain" in str(scalar(own.url(), "SELECT current_setting('shared_preload_libraries')"))
    assert scalar(own.url(), "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname='dbtune'") == "UTF8"
    port = own.status().port
    assert own.stop()
    assert not own.stop()
    assert own.status().initialised and own.status().pid is None
    with pytest.raises(EmbeddedError, match="does not run"):
        own.url()
    assert own.start()
    assert own.status().port == port
    assert own.reset()
    assert not own.home.exists()
    assert not own.reset()


def test_tcp_needs_the_password_that_no_url_shows(server: EmbeddedServer) -> None:
    password = server.passfile.read_text().strip().rsplit(":", 1)[1]
    assert password not in server.url() + server.url(tcp=True)
    assert server.passfile.stat().st_mode & 0o777 == 0o600
    assert scalar(server.url(tcp=True), "SELECT 1") == 1
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(server.url(tcp=True).partition("?")[0], password="guess")


def test_two_commands_started_at_once(own: EmbeddedServer) -> None:
    code = (
        "import sys; from pathlib import Path; from dbtune.server import binaries;"
        "from dbtune.server.embedded import EmbeddedServer;"
        "s = EmbeddedServer(Path(sys.argv[1]), binaries.at(Path(sys.argv[2])));"
        "print(s.start(), s.status().pid)"
    )
    arguments = [sys.executable, "-c", code, str(own.home.parent), str(own.programs.bindir)]
    runs = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = [run.communicate(timeout=60)[0].split() for run in runs]
    assert sorted(started for started, _ in answers) == ["False", "False", "False", "True"]
    assert len({pid for _, pid in answers}) == 1


def test_a_killed_server_is_started_again_with_its_data(own: EmbeddedServer) -> None:
    own.start()
    connection = psycopg2.connect(own.url())
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 42 AS n")
    connection.close()
    pid = own.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while own.status().pid is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert own.start()
    assert scalar(own.url(), "SELECT n FROM kept") == 42


def test_a_stale_pid_file_whose_number_another_process_has_now(own: EmbeddedServer) -> None:
    own.start()
    pid_file = own.data / "postmaster.pid"
    text = pid_file.read_text()
    own.stop()
    other = subprocess.Popen(["sleep", "60"])
    try:
        pid_file.write_text(text.replace(text.splitlines()[0], str(other.pid), 1))
        assert own.status().pid is None
        assert own.start()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_another_program_took_the_port(own: EmbeddedServer) -> None:
    own.start()
    port = own.status().port
    assert port is not None
    own.stop()
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", port))
        taker.listen()
        assert own.start()
        assert own.status().port != port


def test_half_made_cluster_is_made_anew(own: EmbeddedServer) -> None:
    (own.home / "data.part" / "base").mkdir(parents=True)
    if ROOT:
        shutil.chown(own.home, account.server_account().uid)
    assert own.start()
    assert not (own.home / "data.part").exists()


def test_a_long_path_moves_only_the_socket(own: EmbeddedServer) -> None:
    deep = EmbeddedServer(own.home.parent / ("d" * 60) / ("e" * 60), own.programs)
    deep.start()
    try:
        assert deep.run.parent != deep.home
        assert scalar(deep.url(), "SELECT 1") == 1
    finally:
        deep.reset()
    assert not deep.run.exists()


def test_reset_removes_nothing_that_is_not_ours(own: EmbeddedServer) -> None:
    own.home.mkdir()
    (own.home / "thesis.txt").write_text("years of work")
    with pytest.raises(EmbeddedError, match="was not made by dbtune"):
        own.reset()
    (own.home / "thesis.txt").unlink()


def test_a_broken_setting_is_told_in_one_line(own: EmbeddedServer) -> None:
    own.start()
    own.stop()
    with (own.data / "postgresql.auto.conf").open("a") as file:
        file.write("max_connections = 'plenty'\n")
    with pytest.raises(EmbeddedError) as raised:
        own.start()
    assert "\n" not in str(raised.value)
    assert "does not start" in str(raised.value)


@pytest.fixture
def small_disk(data_dir: Path) -> Iterator[Path]:
    """A disk of 8 MB; needs the right to mount."""
    folder = data_dir / "small"
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "tmpfs", folder], check=False)
    if done.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(small_disk: Path, server: EmbeddedServer) -> None:
    with pytest.raises(EmbeddedError, match=r"no space left on the disk of .*--data-dir") as raised:
        EmbeddedServer(small_disk, server.programs).start()
    assert "\n" not in str(raised.value)


def test_a_read_only_disk(small_disk: Path, server: EmbeddedServer) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(EmbeddedError, match=r"Read-only file system; choose another folder with --data-dir"):
        EmbeddedServer(small_disk, server.programs).start()


@pytest.mark.skipif(not ROOT, reason="only root has to hand its server to another user")
def test_root_hands_its_server_to_an_ordinary_user(server: EmbeddedServer) -> None:
    pid = server.status().pid
    assert Path(f"/proc/{pid}").stat().st_uid == account.server_account().uid != 0


@pytest.mark.skipif(not ROOT, reason="only root's own folders are closed to the server's user")
def test_programs_in_a_private_home_are_copied_once(
    data_dir: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = data_dir / "private"
    folders, inside = installation(server.programs.bindir)
    for folder in folders:
        shutil.copytree(folder, private / folder.name, symlinks=True)
    private.chmod(0o700)
    monkeypatch.setattr("dbtune.config.cache_dir", lambda: data_dir / "cache")
    found = Binaries(private / inside, server.programs.version)
    user = account.server_account()
    copy = runnable_by(found, user)
    assert copy.bindir.is_relative_to(data_dir / "cache")
    assert runnable_by(found, user) == copy
    embedded = EmbeddedServer(data_dir / "from-copy", copy)
    embedded.start()
    embedded.reset()


@pytest.mark.skipif(not ROOT, reason="an ordinary user runs the whole suite as such")
def test_as_an_ordinary_user(data_dir: Path, server: EmbeddedServer) -> None:
    user = account.server_account()
    if not user.can_read(Path(sys.executable).resolve()) or not user.can_enter(Path(__file__).parent):
        pytest.skip(f"user {user.name} cannot enter the folders of Python or of this checkout")
    home = data_dir / "ordinary"
    home.mkdir()
    os.chown(home, user.uid, user.gid)
    environment = os.environ | {"DBTUNE_DATA_DIR": str(home), "DBTUNE_PG_BINDIR": str(server.programs.bindir)}
    for verb, expected in (("start", "started"), ("status", "running"), ("stop", "stopped")):
        done = subprocess.run(
            [sys.executable, "-m", "dbtune", "server", verb],
            env=environment,
            user=user.uid,
            group=user.gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout


def test_wrong_bindir_is_one_line(data_dir: Path) -> None:
    from dbtune.server import binaries

    with pytest.raises(EmbeddedError, match="holds no postgres program"):
        binaries.at(data_dir)

"""The server for the time being: private, gone in every case, and made again after a crash."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dbtune.errors import EmbeddedError
from dbtune.index.definition import Index, Key
from dbtune.index.whatif.protocol import Question
from dbtune.index.whatif.twin import Twin, cluster, raise_twin
from dbtune.index.whatif.twin.pages import NotAsExpected
from dbtune.server import account
from dbtune.server.binaries import Binaries
from dbtune.snapshot.file import save
from dbtune.snapshot.value import Snapshot
from dbtune.workload.query import Query

SCORE = Index(schema="public", table="customer", keys=(Key("born"),), include=("name",))
QUESTION = Question(name="q", query=Query(name="q", statement="SELECT name FROM customer WHERE born = '1960-01-01'"))
LOCALE = ("--encoding=UTF8", "--locale=C")


@pytest.fixture
def few(source_snapshot: Snapshot) -> Snapshot:
    """One table of it, which is enough for a server."""
    wanted = tuple(table for table in source_snapshot.tables if table.name == "customer")
    return replace(source_snapshot, tables=wanted, late_objects=())


@pytest.fixture
def own(few: Snapshot, programs: Binaries, data_dir: Path) -> Iterator[Twin]:
    with raise_twin(few, bindir=programs.bindir, folder=data_dir) as raised:
        yield raised


def wait_until_gone(path: Path) -> None:
    deadline = time.monotonic() + 30
    while path.exists():
        assert time.monotonic() < deadline, f"{path} is still there"
        time.sleep(0.02)


def kill(twin: Twin) -> None:
    """Kill the server and our session in it, and wait until they are gone."""
    backend = int(str(twin.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()))
    twin.connection.rollback()
    os.kill(postmaster(twin.cluster.home), signal.SIGKILL)
    os.kill(backend, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while twin.cluster.runs:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def postmaster(home: Path) -> int:
    return int((home / "data" / "postmaster.pid").read_text().splitlines()[0])


def test_only_its_owner_can_enter(own: Twin, data_dir: Path) -> None:
    home = own.cluster.home
    assert home.parent == data_dir
    assert home.stat().st_mode & 0o777 == 0o700
    assert home.stat().st_uid == account.server_account().uid
    everything = [path for path in home.rglob("*") if path.is_file()]
    assert len(everything) > 100
    assert [path for path in everything if path.stat().st_mode & 0o077] == []
    assert own.connection.exec_driver_sql("SHOW listen_addresses").scalar() == ""
    own.connection.rollback()


def test_nothing_is_left_when_it_is_closed(few: Snapshot, programs: Binaries, data_dir: Path) -> None:
    raised = raise_twin(few, bindir=programs.bindir, folder=data_dir)
    home, pid = raised.cluster.home, postmaster(raised.cluster.home)
    running = [raised.cluster.runs]
    raised.close()
    assert not home.exists()
    assert [*running, raised.cluster.runs] == [True, False]
    raised.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_nothing_is_left_when_an_error_ends_its_use(few: Snapshot, programs: Binaries, data_dir: Path) -> None:
    homes = []

    def use() -> None:
        with raise_twin(few, bindir=programs.bindir, folder=data_dir) as raised:
            homes.append(raised.cluster.home)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert [home.exists() for home in homes] == [False]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_its_maker_is_killed(
    few: Snapshot, programs: Binaries, data_dir: Path, tmp_path: Path, how: signal.Signals
) -> None:
    public = data_dir / "public"
    public.mkdir(exist_ok=True)
    public.chmod(0o1777)  # as /tmp is
    save(few, tmp_path / "snapshot")
    script = (
        "import sys; from pathlib import Path; from dbtune.index.whatif.twin import raise_twin\n"
        "from dbtune.snapshot.file import load\n"
        f"t = raise_twin(load(Path({str(tmp_path / 'snapshot')!r})), bindir=Path({str(programs.bindir)!r}),"
        f" folder=Path({str(public)!r}))\n"
        "print(t.cluster.home, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as maker:
        assert maker.stdout is not None
        home = Path(maker.stdout.readline().strip())
        pid = postmaster(home)
        maker.send_signal(how)
        maker.wait()
    wait_until_gone(home)
    assert not Path(f"/proc/{pid}/cwd").exists()


def test_after_a_crash_it_is_made_again(own: Twin, caplog: pytest.LogCaptureFixture) -> None:
    (known,) = own.add([SCORE])
    before = own.plan(QUESTION, {known.id})
    assert before.used == {known.id}
    home = own.cluster.home
    kill(own)
    with caplog.at_level(logging.WARNING):
        after = own.plan(QUESTION, {known.id})
    assert (after.cost, after.used) == (before.cost, before.used)
    assert own.cluster.home != home
    assert not home.exists()
    assert "made again" in caplog.text
    assert own.known[known.id] == known
    own.check()


def test_a_crash_before_candidates_are_made_is_survived_too(own: Twin) -> None:
    kill(own)
    (known,) = own.add([SCORE])
    assert known.reason is None
    assert own.plan(QUESTION, {known.id}).used == {known.id}


def test_a_crashed_server_does_not_start_again_by_itself(own: Twin) -> None:
    backend = int(str(own.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()))
    home = own.cluster.home
    os.kill(backend, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while own.cluster.runs:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert own.plan(QUESTION, ()).reason is None
    assert own.cluster.home != home


def test_a_lost_height_is_noticed(own: Twin) -> None:
    (known,) = own.add([SCORE])
    own.check()
    node = own.connection.exec_driver_sql(
        f"SELECT pg_relation_filepath('public.dbtune_twin_{known.id}'::regclass)"
    ).scalar()
    own.connection.rollback()
    path = own.cluster.data / str(node)
    content = bytearray(path.read_bytes()[:8192])
    assert content[36] > 0
    content[36:40] = content[44:48] = bytes(4)
    with path.open("r+b") as file:
        file.write(content)
    with pytest.raises(Exception, match="damaged") as caught:
        own.check()
    assert isinstance(caught.value.__cause__ or caught.value.__context__, NotAsExpected)


def test_settings_that_no_server_takes_leave_nothing(programs: Binaries, data_dir: Path) -> None:
    before = set(data_dir.iterdir())
    with pytest.raises(EmbeddedError, match=r"does not start.*contains errors"):
        cluster.start(programs, LOCALE, folder=data_dir, settings={"nonsense": "on"})
    with pytest.raises(EmbeddedError, match=r"does not start.*locale"):
        cluster.start(programs, ("--locale=nonsense",), folder=data_dir)
    assert set(data_dir.iterdir()) == before


def test_a_folder_that_is_not_there_is_refused(programs: Binaries, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="no such folder"):
        cluster.start(programs, LOCALE, folder=tmp_path / "nowhere")
    long = tmp_path / ("x" * 90)
    long.mkdir()
    with pytest.raises(EmbeddedError, match="too long for a socket"):
        cluster.start(programs, LOCALE, folder=long)

"""Every kind of server starts, serves and stops; nothing is left of any of them, however it ends."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from sqlalchemy import make_url

from dbtune.errors import ServerError, UsageError
from dbtune.load import replay
from dbtune.party.web import serving, settings
from dbtune.party.web.servers import Kind, Server
from dbtune.party.web.settings import Settings
from tests.party.web.conftest import Client, Serve

SERVERS = {
    Kind.THREADED: Server(),
    Kind.SYNC: Server(kind=Kind.SYNC, workers=2),
    Kind.GTHREAD: Server(kind=Kind.GTHREAD, workers=2, threads=3),
    Kind.GEVENT: Server(kind=Kind.GEVENT, workers=2),
    Kind.GEVENT_GREEN: Server(kind=Kind.GEVENT_GREEN, workers=2),
}

STARTER = """
import sys, time
from dbtune.party.web import serving
from dbtune.party.web.servers import Kind, Server
from dbtune.party.web.settings import Settings
running = serving.start(Settings(url=sys.argv[1]), Server(kind=Kind(sys.argv[2])))
print(running.pid, running.log_path.parent, running.address, flush=True)
time.sleep(60)
"""


def eventually(is_so: Callable[[], bool]) -> bool:
    end = time.monotonic() + 15
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def is_free(address: str) -> bool:
    where = urlsplit(address)
    with socket.socket() as tried:
        return tried.connect_ex((where.hostname, where.port)) != 0


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_starts_serves_and_stops(serve: Serve, business: Any, kind: Kind) -> None:
    client = serve(SERVERS[kind])
    running = client.running
    with ThreadPoolExecutor(6) as executor:
        answers = list(executor.map(lambda _: client.get(f"/businesses/id/{business.id}"), range(12)))
    assert {answer.status for answer in answers} == {200}
    assert client.funnel().total["query_completed"] == 12
    processes = [psutil.Process(running.pid), *psutil.Process(running.pid).children()]
    assert len(processes) == {Kind.THREADED: 1}.get(kind, 3)
    running.stop()
    assert not any(process.is_running() for process in processes)
    assert is_free(running.address)
    assert not running.log_path.parent.exists()


@pytest.mark.parametrize(("kind", "most"), [(Kind.GEVENT, 1), (Kind.GEVENT_GREEN, 4)])
def test_greenlets_wait_together_only_with_a_green_driver(
    serve: Serve, business: Any, party_url: str, kind: Kind, most: int
) -> None:
    """With the driver of 2019 one worker has one connection at work, and so one open at all."""
    client = serve(Server(kind=kind), hold_s=0.4, application_name=f"green_{most}")
    with ThreadPoolExecutor(4) as executor:
        list(executor.map(lambda _: client.get(f"/businesses/id/{business.id}"), range(4)))
    found = sessions(party_url, f"green_{most}")
    client.running.stop()
    assert found == most


@pytest.mark.parametrize("kind", [Kind.GEVENT_GREEN, Kind.GTHREAD])
def test_psycopg_3_serves_as_well(serve: Serve, business: Any, party_url: str, kind: Kind) -> None:
    pytest.importorskip("psycopg")
    url = make_url(party_url).set(drivername="postgresql+psycopg").render_as_string()
    client = serve(Server(kind=kind, threads=4 if kind is Kind.GTHREAD else 1), url=url, hold_s=0.3)
    with ThreadPoolExecutor(4) as executor:
        answers = list(executor.map(lambda _: client.get(f"/businesses/id/{business.id}"), range(4)))
    assert {answer.status for answer in answers} == {200}
    client.running.stop()


def test_a_request_under_way_is_answered_before_the_stop(serve: Serve, business: Any) -> None:
    for server in (SERVERS[Kind.THREADED], SERVERS[Kind.GTHREAD]):
        client = serve(server, hold_s=0.6)
        with ThreadPoolExecutor(1) as executor:
            asked = executor.submit(client.get, f"/businesses/id/{business.id}")
            assert eventually(lambda client=client: client.running.funnel().total["query_started"] > 0)  # type: ignore[misc]
            final = client.running.stop()
            assert asked.result().status == 200
        assert (final.total["written"], final.in_flight) == (1, 0)


def test_ctrl_c_while_it_stops_leaves_nothing(serve: Serve, business: Any) -> None:
    client = serve(hold_s=20)
    folder = client.running.log_path.parent
    with ThreadPoolExecutor(1) as executor:
        asked = executor.submit(client.get, f"/businesses/id/{business.id}")
        assert eventually(lambda: client.running.funnel().total["query_started"] > 0)
        threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            client.running.stop()
        assert isinstance(asked.exception(), OSError | http.client.HTTPException)
    assert not client.running.alive
    assert not folder.exists()
    assert client.running.stop().total["query_started"] > 0


@pytest.mark.parametrize("kind", [Kind.THREADED, Kind.SYNC, Kind.GEVENT])
def test_nothing_outlives_whoever_started_it(party_url: str, kind: Kind) -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER, party_url, kind], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    with starter, starter.stdout:
        pid, folder, address = starter.stdout.readline().split()
        processes = [psutil.Process(int(pid)), *psutil.Process(int(pid)).children()]
        starter.kill()
    assert eventually(lambda: not any(process.is_running() for process in processes))
    assert is_free(address)
    assert not Path(folder).exists()


def test_workers_die_with_their_master_and_the_next_start_sweeps(
    party_url: str, business: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is killed at once: only the folder is left, until the next start."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # another start on this machine would sweep it, too
    monkeypatch.setattr(tempfile, "tempdir", None)
    program = [sys.executable, "-c", STARTER, party_url, Kind.SYNC]
    starter = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    with starter, starter.stdout:
        pid, folder, address = starter.stdout.readline().split()
        processes = psutil.Process(int(pid)).children()
        starter.send_signal(signal.SIGSTOP)
        os.kill(int(pid), signal.SIGKILL)
        starter.kill()
    assert eventually(lambda: not any(process.is_running() for process in processes))
    assert is_free(address)
    assert Path(folder).exists()
    assert Path(folder).parent == Path(tempfile.gettempdir())
    serving.sweep()
    assert not Path(folder).exists()


def test_a_service_that_dies_is_seen_and_its_counts_are_kept(serve: Serve, business: Any) -> None:
    client = serve(hold_s=5)
    with ThreadPoolExecutor(1) as executor:
        asked = executor.submit(client.get, f"/businesses/id/{business.id}")
        assert eventually(lambda: client.running.funnel().total["query_started"] > 0)
        os.kill(client.running.pid, signal.SIGKILL)
        assert client.running.join() == -signal.SIGKILL
        assert isinstance(asked.exception(), OSError)
    assert not client.running.alive
    assert client.running.stop().in_flight == 1


def test_a_port_in_use_is_told(party_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=rf"cannot listen on 127.0.0.1 port {port}: address already in use"):
            serving.start(Settings(url=party_url), Server(port=port))


def test_a_worker_that_cannot_start_is_told() -> None:
    for server in (Server(), Server(kind=Kind.SYNC)):
        with pytest.raises(ServerError, match="the service ended before it served"):
            serving.start(Settings(url="nosuch://"), server)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"workers": 2}, "the threaded server is one process"),
        ({"kind": Kind.SYNC, "threads": 2}, "threads are for gthread"),
        ({"kind": Kind.SYNC, "workers": 0}, "workers is 0; the least is 1"),
        ({"port": 70_000}, "port 70000"),
    ],
)
def test_servers_that_cannot_be(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Server(**wrong)


def test_settings_come_from_options_then_the_environment() -> None:
    environ = {"DB_POOL_SIZE": "7", "DB_MAX_OVERFLOW": "1", "DB_POOL_TIMEOUT": "0.5", "LOGGING_LEVEL": "DEBUG"}
    found = settings.from_environment(environ, url="u", pool_size=3, max_overflow=None)
    assert (found.pool_size, found.max_overflow, found.pool_timeout, found.log_level) == (3, 1, 0.5, "debug")
    assert found.cap == 4
    assert settings.load(found.dump()) == found
    assert settings.from_environment({}, url="u", pool_size=0).cap is None
    for wrong in ({"DB_POOL_SIZE": "many"}, {"DB_POOL_SIZE": "-1"}, {"LOGGING_LEVEL": "loud"}):
        with pytest.raises(UsageError):
            settings.from_environment(wrong, url="u")
    for value in (float("nan"), float("inf"), -1.0):
        with pytest.raises(UsageError, match="hold s is"):
            Settings(url="u", hold_s=value)
    assert "secret" not in repr(found)


def sessions(url: str, application_name: str) -> int:
    """Return how many connections the application has."""
    from sqlalchemy import NullPool, create_engine, text

    with create_engine(url, poolclass=NullPool).connect() as connection:
        query = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
        return int(connection.scalar(query, {"name": application_name}) or 0)


def test_requests_and_the_pool_are_logged_where_wanted(serve: Serve, business: Any) -> None:
    client: Client = serve(log_level="debug", pool_size=2)
    client.get(f"/businesses/id/{business.id}?verbose=true")
    assert '"event": "acquiring a session", "pool_size": 2, "checked_in": 0, ' in client.running.log_path.read_text()
    again = replay.load(client.running.log_path)
    asked = [route.request(number, 0) for number, route in enumerate(again.routes)]
    assert ("GET", f"/party-api/v1/businesses/id/{business.id}?verbose=true") in [(r.method, r.path) for r in asked]

"""A run shared among the workers of a real Dask cluster of two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dbtune.load import record
from dbtune.load.hammer import Options
from tests.load.service import Service, running

distributed = pytest.importorskip("distributed")
COMMAND = [sys.executable, "-m", "dbtune", "hammer"]


@pytest.fixture
def service() -> Iterator[Service]:
    with running() as made:
        yield made


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as made:
        yield made


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "COLUMNS": "100", **environment},
    )


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def stays(service: Service) -> bool:
    """Whether nobody asks any more."""
    before = len(service.asked)
    time.sleep(1.5)
    return len(service.asked) == before


def test_a_worker_without_dbtune_is_told(service: Service) -> None:
    program = "import sys, importlib.metadata as m\nold = m.version\n"
    lacking = "m.version = lambda name: m.distribution('no-such') if name == 'dbtune' else old(name)\n"
    worker = "sys.argv[1:] = [sys.argv[1], '--no-nanny', '--no-dashboard']\n"
    worker += "from distributed.cli.dask_worker import main\nmain()"
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50) as made:
        command = [sys.executable, "-c", program + lacking + worker, made.scheduler_address]
        lacks = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: bool(made.scheduler.workers))
            done = run(service.url, "--get", "/", "--rate", "9", "--for", "1s", "--cluster", made.scheduler_address)
        finally:
            lacks.terminate()
            lacks.wait()
    assert done.returncode == 2
    assert "has no dbtune, and here is dbtune " in done.stderr
    assert not service.asked


def test_two_workers_send_what_one_process_sends(service: Service, cluster: Any, tmp_path: Path) -> None:
    routes = tmp_path / "routes.json"
    routes.write_text(
        '{"routes": [{"path": "/item/{id}", "parameters": [1, 2, 3, 4, 5, 6, 7]}, {"path": "/status/500"}]}'
    )
    load = (service.url, "--routes", str(routes), "--rate", "60", "--for", "2s", "--poisson", "--format", "json")
    alone = run(*load, "--raw", str(tmp_path / "alone"))
    asked = sorted(path for _, path, _, _ in service.asked)
    service.asked.clear()
    shared = run(*load, "--raw", str(tmp_path / "shared"), "--cluster", cluster.scheduler_address)
    assert shared.returncode in (0, 1), shared.stderr
    assert sorted(path for _, path, _, _ in service.asked) == asked
    schedules = [
        sorted((row.number, row.due, row.cell, row.route, row.outcome) for row in record.rows(tmp_path / name))
        for name in ("alone", "shared")
    ]
    assert schedules[0] == schedules[1]
    one, two = (json.loads(done.stdout) for done in (alone, shared))
    for key in ("planned", "sent"):
        assert one[key] == two[key] == len(asked)
    assert one["all"]["outcomes"] == two["all"]["outcomes"]
    assert {name: route["outcomes"] for name, route in one["routes"].items()} == {
        name: route["outcomes"] for name, route in two["routes"].items()
    }
    assert "dbtune: 2 workers; their clocks are " in shared.stderr
    head = record.head(tmp_path / "shared")
    assert head.shard == "1/1"
    assert len(head.notes["workers"]) == 2
    for clock in head.notes["workers"]:  # of this machine: the same clock
        assert abs(clock["ahead_s"]) <= clock["error_s"] + 0.001


def test_a_replay_is_shared_too(service: Service, cluster: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f'h - - [26/Nov/2026:10:00:00 +0000] "GET /item/{n} HTTP/1.1" 200 1\n' for n in range(9)))
    done = run(service.url, "--replay", str(log), "--cluster", cluster.scheduler_address, "--format", "json", "--quiet")
    assert json.loads(done.stdout)["sent"] == 9
    assert sorted(path for _, path, _, _ in service.asked) == sorted(f"/item/{n}" for n in range(9))
    assert done.stderr == ""


def test_ctrl_c_stops_the_workers_and_tells_what_was_sent(service: Service, cluster: Any) -> None:
    process = started(
        service.url, "--get", "/item/1", "--rate", "20", "--for", "60s", "--cluster", cluster.scheduler_address
    )
    wait_for(lambda: len(service.asked) >= 5)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"of {len(service.asked)} requests" in out
    assert "Traceback" not in err
    assert stays(service)


def test_workers_stop_when_whoever_asked_them_is_killed(service: Service, cluster: Any) -> None:
    process = started(
        service.url, "--get", "/item/1", "--rate", "20", "--for", "60s", "--cluster", cluster.scheduler_address
    )
    wait_for(lambda: len(service.asked) >= 5)
    process.kill()
    process.communicate(timeout=30)
    wait_for(lambda: stays(service))
    assert len(service.asked) < 600


def test_a_worker_that_dies_is_named(service: Service) -> None:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as cluster:
        process = started(
            service.url, "--get", "/item/1", "--rate", "20", "--for", "30s", "--cluster", cluster.scheduler_address
        )
        wait_for(lambda: len(service.asked) >= 5)
        (first, *_) = cluster.workers.values()
        os.kill(first.process.process.pid, signal.SIGKILL)  # the nanny's process
        out, err = process.communicate(timeout=40)
    assert process.returncode == 3, out + err
    assert "is gone, and its part of the requests with it" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("option", [("--processes", "2"), ("--shard", "1/2"), ("--start-at", "1")])
def test_options_of_one_machine_do_not_go_with_it(option: tuple[str, str]) -> None:
    done = run("http://localhost:1", "--get", "/", "--rate", "1", "--cluster", "tcp://127.0.0.1:1", *option)
    assert done.returncode == 2
    assert "leave out --processes, --shard and --start-at" in done.stderr


def test_nobody_there(service: Service, cluster: Any) -> None:
    load = ("--get", "/item/1", "--rate", "10", "--for", "0.3s")
    done = run(service.url, *load, "--cluster", "tcp://127.0.0.1:1")
    assert done.returncode == 3
    assert done.stderr.startswith("dbtune: --cluster tcp://127.0.0.1:1: the scheduler cannot be reached")
    with running() as gone:
        pass
    done = run(gone.url, *load, "--cluster", cluster.scheduler_address, "--quiet")
    assert done.returncode == 3
    assert done.stderr == f"dbtune: {gone.url} refuses every connection: is the service there?\n"


def test_a_cluster_without_workers(service: Service) -> None:
    with distributed.LocalCluster(n_workers=0, processes=True, dashboard_address=":0", silence_logs=50) as empty:
        done = run(service.url, "--get", "/", "--rate", "1", "--cluster", empty.scheduler_address)
    assert done.returncode == 3
    assert "the cluster has no workers" in done.stderr


def test_passwords_do_not_show_in_what_workers_log() -> None:
    shown = repr(Options(user=("me", "secret"), headers={"Authorization": "secret"}))
    assert "secret" not in shown

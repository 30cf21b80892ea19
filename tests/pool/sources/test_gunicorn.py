"""gunicorn's settings, wherever they stand."""

from __future__ import annotations

import pytest

from dbtune.pool.fleet import Service, WorkerKind
from dbtune.pool.sources import folder
from tests.pool.sources.conftest import Write

ENGINE = "from sqlalchemy import create_engine\ne = create_engine('postgresql://h/d', pool_size=3, max_overflow=2)\n"


def service(write: Write, procfile: str, config: str | None = None, cores: int | None = None) -> Service:
    files = {"Procfile": f"web: {procfile}\n", "app.py": ENGINE}
    if config is not None:
        files["gunicorn.conf.py"] = config
    (found,) = folder.read(write(files), cores=cores).fleet.services
    return found


@pytest.mark.parametrize(
    ("config", "workers"),
    [
        ("import multiprocessing\nworkers = multiprocessing.cpu_count() * 2 + 1\n", 9),
        ("from os import cpu_count\nworkers = min(cpu_count() * 2 + 1, 7)\n", 7),
        ("import os\nworkers = (os.cpu_count() or 1) * 2\n", 8),
        ("import os\nworkers = len(os.sched_getaffinity(0)) + 1\n", 5),
        ("import os\nworkers = int(os.environ.get('WORKERS', '6'))\n", 6),
        ("import os\nworkers = int(os.getenv('WORKERS') or os.cpu_count())\n", 4),
        ("workers = 2\nworkers = 3\n", 3),  # the last counts
        ("import subprocess\nworkers = subprocess.run(['nproc'])\n", 1),
        ("workers = 'many'\n", 1),
        ("def post_fork(server, worker):\n    workers = 40\n", 1),
        ("", 1),
        ("workers = 1 / 0\n", 1),
        ("workers = 10 ** 400\n", 1),
    ],
)
def test_expressions_of_a_configuration_file(write: Write, config: str, workers: int) -> None:
    found = service(write, "gunicorn app:app", config, cores=4)
    assert found.processes.value == workers
    assert found.at_rest == workers * 5


def test_what_many_containers_have(write: Write) -> None:
    config = """
        import json
        import multiprocessing
        import os

        workers_per_core_str = os.getenv("WORKERS_PER_CORE", "1")
        web_concurrency_str = os.getenv("WEB_CONCURRENCY", None)
        cores = multiprocessing.cpu_count()
        workers_per_core = float(workers_per_core_str)
        default_web_concurrency = workers_per_core * cores
        if web_concurrency_str:
            web_concurrency = int(web_concurrency_str)
            assert web_concurrency > 0
        else:
            web_concurrency = max(int(default_web_concurrency), 2)

        workers = web_concurrency
        worker_class = "uvicorn.workers.UvicornWorker"
    """
    found = service(write, "gunicorn app:app", config, cores=6)
    assert (found.processes.value, found.threads.value) == (6, None)
    assert found.worker is not None
    assert found.worker.kind is WorkerKind.ASYNCIO


def test_which_says_it_first(write: Write) -> None:
    config = "workers = 3\nthreads = 4\ntimeout = 9\n"
    found = service(write, "WEB_CONCURRENCY=8 GUNICORN_CMD_ARGS='--threads 6' gunicorn -t 7 app:app", config)
    assert (found.processes.value, found.processes.source) == (3, "gunicorn.conf.py:1")  # above WEB_CONCURRENCY
    assert found.threads.value == 6
    assert found.worker is not None
    assert found.worker.timeout is not None
    assert found.worker.timeout.value == 7


def test_web_concurrency_before_the_command(write: Write) -> None:
    assert service(write, "WEB_CONCURRENCY=8 gunicorn app:app").processes.value == 8


def test_arithmetic_of_the_shell(write: Write) -> None:
    assert service(write, "gunicorn -w $((2 * $(nproc) + 1)) app:app", cores=4).processes.value == 9


def test_another_configuration_file(write: Write) -> None:
    root = write({"Procfile": "web: gunicorn -c conf/prod.py app:app\n", "app.py": ENGINE, "conf/prod.py": "workers=5"})
    assert [each.processes.value for each in folder.read(root).fleet.services] == [5]
    root = write({"Procfile": "web: gunicorn -c /etc/none.py app:app\n"})
    assert any("/etc/none.py is not among what was read" in str(note) for note in folder.read(root).notes)

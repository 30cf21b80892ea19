"""Commands that people start services with: processes, requests at once, kind of worker."""

from __future__ import annotations

import pytest

from dbtune.pool.fleet import Service, WorkerKind
from dbtune.pool.sources import folder
from dbtune.pool.sources.found import Found
from tests.pool.sources.conftest import Write

ENGINE = (
    "from sqlalchemy import create_engine\nengine = create_engine('postgresql://h/d', pool_size=3, max_overflow=2)\n"
)


def read(write: Write, command: str, cores: int | None = None, **files: str) -> Found:
    others = {name.replace("__", "."): text for name, text in files.items()}
    return folder.read(write({"Procfile": f"web: {command}\n", "app.py": ENGINE, **others}), cores=cores)


def only(found: Found) -> Service:
    (service,) = found.fleet.services
    return service


@pytest.mark.parametrize(
    ("command", "processes", "threads", "kind"),
    [
        ("gunicorn app:app", 1, 1, WorkerKind.SYNC),
        ("gunicorn -w 4 app:app", 4, 1, WorkerKind.SYNC),
        ("gunicorn --workers=4 --threads 8 app:app", 4, 8, WorkerKind.GTHREAD),
        ("gunicorn -w3 -k gevent --worker-connections 50 app:app", 3, 50, WorkerKind.GEVENT),
        ("gunicorn -w 2 -k uvicorn.workers.UvicornWorker app:app", 2, None, WorkerKind.ASYNCIO),
        ("gunicorn -w ${WORKERS:-6} app:app", 6, 1, WorkerKind.SYNC),
        ("exec gunicorn -w 4 'app:create_app()'", 4, 1, WorkerKind.SYNC),
        ("newrelic-admin run-program gunicorn -w 4 app:app", 4, 1, WorkerKind.SYNC),
        ("sh -c 'alembic upgrade head && gunicorn -w 5 app:app'", 5, 1, WorkerKind.SYNC),
        ("python -m gunicorn -w 4 app:app", 4, 1, WorkerKind.SYNC),
        ("uvicorn app:app --workers 3", 3, None, WorkerKind.ASYNCIO),
        ("uvicorn app:app --workers 3 --limit-concurrency 20", 3, 20, WorkerKind.ASYNCIO),
        ("hypercorn -w 2 app:app", 2, None, WorkerKind.ASYNCIO),
        ("waitress-serve --threads=9 app:app", 1, 9, WorkerKind.GTHREAD),
        ("uwsgi --processes 4 --threads 2 --module app", 4, 2, WorkerKind.GTHREAD),
        ("uwsgi --processes 4 --gevent 100 --module app", 4, 100, WorkerKind.GEVENT),
        ("flask run --port 80", 1, None, WorkerKind.DEVELOPMENT),
        ("python manage.py runserver", 1, None, WorkerKind.DEVELOPMENT),
        ("celery -A app worker -c 6", 6, 1, WorkerKind.TASKS),
        ("celery -A app worker --autoscale=10,2", 10, 1, WorkerKind.TASKS),
        ("celery -A app worker -P gevent -c 40", 1, 40, WorkerKind.GEVENT),
        ("rq worker high", 1, 1, WorkerKind.TASKS),
        ("dramatiq app -p 2 -t 4", 2, 4, WorkerKind.GTHREAD),
        ("python worker.py", 1, None, WorkerKind.OTHER),
    ],
)
def test_what_a_command_starts(
    write: Write, command: str, processes: int, threads: int | None, kind: WorkerKind
) -> None:
    service = only(read(write, command))
    assert (service.processes.value, service.threads.value) == (processes, threads)
    assert service.worker is not None
    assert service.worker.kind is kind
    assert service.at_rest == processes * 5


def test_what_goes_first_with_gunicorn(write: Write) -> None:
    config = "workers = 3\nthreads = 4\ntimeout = 60\npreload_app = True\n"
    service = only(read(write, "gunicorn -w 2 app:app", gunicorn__conf__py=config))
    assert (service.processes.value, service.threads.value) == (2, 4)
    assert service.worker is not None
    assert service.worker.timeout is not None
    assert (service.worker.timeout.value, service.worker.timeout.source) == (60, "gunicorn.conf.py:3")
    assert service.worker.preload is not None
    assert service.worker.preload.value


def test_gunicorn_s_own_variables(write: Write) -> None:
    compose = """
        services:
          web:
            command: gunicorn app:app
            environment:
              GUNICORN_CMD_ARGS: "--workers=7 --threads=2"
              WEB_CONCURRENCY: 9
          other:
            command: gunicorn other:app
            environment: ["WEB_CONCURRENCY=9"]
    """
    web, other = folder.read(write({"compose.yaml": compose, "app.py": ENGINE})).fleet.services
    assert (web.processes.value, web.threads.value, other.processes.value) == (7, 2, 9)


def test_workers_by_cores_need_the_number_of_cores(write: Write) -> None:
    found = read(write, "gunicorn -w $(nproc) app:app")
    assert only(found).processes.assumed
    assert any("say --cores" in str(note) for note in found.notes)
    assert only(read(write, "gunicorn -w $(nproc) app:app", cores=6)).processes.value == 6
    assert only(read(write, "celery -A app worker", cores=4)).processes.value == 4


def test_a_script_that_starts_it(write: Write) -> None:
    script = '#!/bin/sh\nset -e\nflask db upgrade\nexec gunicorn --workers 4 app:app "$@"\n'
    docker = 'FROM python\nENTRYPOINT ["./start.sh"]\nCMD ["--threads", "3"]\n'
    found = folder.read(write({"Dockerfile": docker, "start.sh": script, "app.py": ENGINE}))
    (service,) = found.fleet.services
    assert service.processes.value == 4
    assert [each.name for each in found.fleet.extras] == ["migrations"]


def test_several_lines_of_a_procfile(write: Write) -> None:
    found = read(write, "gunicorn -w 2 app:app\nworker: celery -A app worker -c 3\nclock: python clock.py")
    assert [(each.name, each.at_rest) for each in found.fleet.services] == [("web", 10), ("worker", 15), ("clock", 5)]

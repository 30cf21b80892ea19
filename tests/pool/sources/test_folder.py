"""Whole projects: what their files together say of who connects, with the sums worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbtune.errors import UsageError
from dbtune.pool import terms
from dbtune.pool.fleet import Service, WorkerKind
from dbtune.pool.sources import folder
from dbtune.pool.sources.found import Found
from tests.pool.sources.conftest import Write

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  strategy:
    rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}
  template:
    spec:
      containers:
        - name: web
          image: shop/web:1
          command: ["gunicorn", "-w", "2", "--threads", "4", "shop.app:app"]
          env:
            - {name: DB_POOL_SIZE, value: "10"}
            - {name: DATABASE_URL, value: "postgresql+psycopg2://shop:s3cret@db/shop"}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 3
  maxReplicas: 8
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: worker}
spec:
  replicas: 2
  template:
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: worker
          image: shop/web:1
          args: ["celery", "-A", "shop.tasks", "worker", "--concurrency", "8"]
"""
ENGINE = """
import os
from sqlalchemy import create_engine
engine = create_engine(os.environ["DATABASE_URL"], pool_size=int(os.environ.get("DB_POOL_SIZE", 5)), max_overflow=2)
"""
ENV_PY = """
from alembic import context
from sqlalchemy import engine_from_config, pool

def run_migrations_online():
    section = context.config.get_section("alembic")
    connectable = engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool)
    with connectable.connect() as connection:
        context.configure(connection=connection)
        context.run_migrations()

run_migrations_online()
"""


def service(found: Found, name: str) -> Service:
    return next(each for each in found.fleet.services if each.name == name)


def test_a_flask_service_with_a_procfile(write: Write) -> None:
    root = write(
        {
            "Procfile": """
                web: gunicorn -b 0.0.0.0:$PORT --workers 4 --worker-class gevent --timeout 30 run:app
                release: alembic upgrade head
            """,
            "run.py": """
                import os
                from flask import Flask
                from sqlalchemy import create_engine

                app = Flask(__name__)
                app.db = create_engine(
                    os.environ["DATABASE_URI"],
                    pool_size=int(os.getenv("DB_POOL_SIZE", 5)),
                    max_overflow=int(os.getenv("DB_MAX_OVERFLOW", "10")),
                )
            """,
            "requirements.txt": "flask==1.0\ngevent==1.4\npsycopg2-binary\nsqlalchemy\n",
            "migrations/env.py": ENV_PY,
        }
    )
    found = folder.read(root)
    web = service(found, "web")
    assert (web.at_rest, web.in_deploy) == (4 * 15, 4 * 15)
    assert web.worker is not None
    assert web.worker.kind is WorkerKind.GEVENT
    assert web.worker.timeout is not None
    assert web.worker.timeout.value == 30
    assert web.processes.source == "Procfile:1 --workers"
    assert web.engines[0].pool_size.source == "run.py:8, default of DB_POOL_SIZE"
    assert [(each.name, each.connections.value, each.is_deploy_only) for each in found.fleet.extras] == [
        ("migrations", 1, True)
    ]
    assert found.fleet.server.max_connections.assumed
    assert found.clues.packages["gevent"].value == "1.4"
    assert found.clues.import_engines == ("run.py:6",)


def test_deployments_an_autoscaler_and_settings_in_the_environment(write: Write) -> None:
    found = folder.read(write({"deploy/shop.yaml": DEPLOYMENT, "shop/app.py": ENGINE}))
    web = service(found, "web")
    assert web.pods.value == 8  # the autoscaler's maximum, not replicas
    assert web.pods.source.startswith("deploy/shop.yaml:")
    assert web.engines[0].pool_size.value == 10  # of the environment, not the code's default
    assert web.at_rest == 8 * 2 * (10 + 2)
    # 25 % of 8 pods more, and as many that still end
    assert web.in_deploy == (8 + 2 + 2) * 2 * (10 + 2)
    assert web.rollout.terminating.assumed
    worker = service(found, "worker")
    assert worker.in_deploy == (2 + 1) * 8 * (5 + 2)  # maxSurge is 25 % if nothing is said; nobody ends slowly
    assert not any("s3cret" in str(each) for each in (found, *terms.terms(found.fleet)))


def test_a_compose_file_with_anchors_and_its_own_server(write: Write) -> None:
    found = folder.read(
        write(
            {
                "docker-compose.yml": """
                    x-env: &env
                      DATABASE_URL: postgresql://app:pw@db/app
                    services:
                      db:
                        image: postgres:15
                        command: postgres -c max_connections=50
                      web:
                        build: .
                        command: gunicorn app:app --workers 5 --bind 0.0.0.0:80
                        environment:
                          <<: *env
                        deploy:
                          replicas: 3
                """,
                "app.py": """
                    import os
                    from sqlalchemy import create_engine
                    engine = create_engine(os.environ["DATABASE_URL"], pool_size=0)
                """,
            }
        )
    )
    web = service(found, "web")
    assert web.engines[0].is_uncapped
    assert web.at_rest == 3 * 5 * 1  # a sync worker has one request at a time
    assert (found.fleet.server.max_connections.value, found.fleet.server.usable) == (50, 47)


def test_django_with_a_dockerfile_and_workers_by_cores(write: Write) -> None:
    root = write(
        {
            "manage.py": "",
            "site/settings.py": """
                DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "x", "CONN_MAX_AGE": 60}}
            """,
            "gunicorn.conf.py": """
                import multiprocessing
                workers = multiprocessing.cpu_count() * 2 + 1
                threads = 4
            """,
            "Dockerfile": 'FROM python:3.12\nCOPY . .\nCMD ["gunicorn", "site.wsgi"]\n',
        }
    )
    unsure, sure = folder.read(root), folder.read(root, cores=8)
    assert [each.at_rest for each in unsure.fleet.services] == [3 * 4]
    assert any("say --cores" in str(note) for note in unsure.notes)
    assert [each.at_rest for each in sure.fleet.services] == [17 * 4]
    assert not any("say --cores" in str(note) for note in sure.notes)


def test_of_several_ways_to_deploy_one_counts_and_the_others_are_told(write: Write) -> None:
    found = folder.read(write({"k8s.yaml": DEPLOYMENT, "Procfile": "web: gunicorn -w 40 app:app\n", "app.py": ENGINE}))
    assert service(found, "web").processes.value == 2
    assert any("Procfile" in str(note) and "left out" in str(note) for note in found.notes)


def test_a_fleet_file_of_the_folder_is_put_on_top(write: Write) -> None:
    root = write(
        {
            "k8s.yaml": DEPLOYMENT,
            "app.py": ENGINE,
            "dbtune.toml": """
                [server]
                max_connections = 200

                [[service]]
                name = "web"
                pods = 20

                [rest]
                monitoring = 3
            """,
        }
    )
    found = folder.read(root)
    web = service(found, "web")
    assert web.pods.value == 20
    assert web.pods.source == "dbtune.toml:6"
    assert web.processes.value == 2  # as found
    assert found.fleet.server.usable == 197
    assert [(each.name, each.connections.value) for each in found.fleet.extras] == [("monitoring", 3)]


def test_nothing_that_connects_is_said_with_what_was_looked_for(write: Write) -> None:
    with pytest.raises(UsageError, match=r"nothing in it tells of processes .*write a fleet file"):
        folder.read(write({"README.md": "hello", "app.py": "print(1)\n"}))


BROKEN = {
    "bad.yaml": "kind: Deployment\n  bad: [\n",
    "tabs.yml": "services:\n\tweb: {}\n",
    "templated.yaml": "kind: Deployment\nspec:\n  replicas: {{ .Values.replicas }}\n",
    "broken.py": "from sqlalchemy import create_engine\nengine = create_engine(\n",
    "Dockerfile": 'CMD ["gunicorn", \n',
    "pgbouncer.ini": "no section = 1\n",
    "empty.yaml": "",
    "list.yaml": "- 1\n- 2\n",
    "deep.yaml": "[" * 5000,
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_cannot_be_read_are_passed_over_and_the_others_count(write: Write, name: str) -> None:
    root = write({"Procfile": "web: gunicorn -w 3 app:app\n", "app.py": ENGINE, name: BROKEN[name]})
    found = folder.read(root)
    assert [each.at_rest for each in found.fleet.services] == [3 * 7]
    assert all("Traceback" not in str(each) for each in found.problems)


def test_what_is_no_text_or_too_large_is_passed_over_with_its_reason(write: Write) -> None:
    root = write({"Procfile": "web: gunicorn -w 3 app:app\n", "app.py": ENGINE})
    (root / "binary.yaml").write_bytes(b"kind: \xff\xfe\x00")
    (root / "large.yaml").write_text("a: 1\n" * 300_000)
    (root / "loop.yaml").symlink_to(root / "loop.yaml")
    (root / "here").symlink_to(root, target_is_directory=True)
    found = folder.read(root)
    assert [each.at_rest for each in found.fleet.services] == [3 * 7]
    told = {each.path: each.reason for each in found.problems}
    assert "UTF-8" in told["binary.yaml"]
    assert "larger than 1 MB" in told["large.yaml"]
    assert "loop.yaml" in told


def test_nothing_is_run(write: Write, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    code = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
    root = write({"gunicorn.conf.py": f"{code}workers = 2\n", "app.py": code + ENGINE.lstrip(), "settings.py": code})
    found = folder.read(root)
    assert [each.at_rest for each in found.fleet.services] == [2 * 7]
    assert not mark.exists()

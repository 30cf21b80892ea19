"""Compose files, as people write them."""

from __future__ import annotations

import pytest

from dbtune.pool.fleet import Service
from dbtune.pool.sources import folder
from dbtune.pool.sources.found import Found
from tests.pool.sources.conftest import Write

ENGINE = (
    "import os\nfrom sqlalchemy import create_engine\n"
    "e = create_engine(os.environ['DATABASE_URL'], pool_size=int(os.getenv('POOL', '3')), max_overflow=2)\n"
)


def read(write: Write, compose: str, **files: str) -> Found:
    others = {name.replace("__", "."): text for name, text in files.items()}
    return folder.read(write({"docker-compose.yml": compose, "app.py": ENGINE, **others}))


def by_name(found: Found) -> dict[str, Service]:
    return {each.name: each for each in found.fleet.services}


@pytest.mark.parametrize(
    "command",
    [
        "gunicorn -w 4 app:app",
        '["gunicorn", "-w", "4", "app:app"]',
        "bash -c 'python manage.py migrate && gunicorn -w 4 app:app'",
        '["sh", "-c", "gunicorn -w $$N app:app"]',
        ">\n      gunicorn\n      -w 4\n      app:app",
        '"gunicorn -w ${NOT_SET:-4} app:app"',
    ],
)
def test_each_form_of_a_command(write: Write, command: str) -> None:
    text = f"services:\n  web:\n    environment: {{N: '4'}}\n    command: {command}\n"
    (web,) = read(write, text).fleet.services
    assert web.at_rest == 4 * 5


def test_variables_of_files_and_of_the_shell(write: Write) -> None:
    text = """
        services:
          web:
            command: gunicorn app:app
            env_file: [web.env]
            environment: ["POOL=${SIZE}", WEB_CONCURRENCY]
          other:
            command: gunicorn app:app
            environment: {POOL: "${UNSET}"}
            deploy: {replicas: "${REPLICAS:-3}"}
    """
    found = by_name(read(write, text, __env="SIZE=7\nWEB_CONCURRENCY=2\n", web__env="POOL=9\nX='y' # why\n"))
    assert found["web"].at_rest == 2 * (7 + 2)
    assert found["other"].at_rest == 3 * 2 * (3 + 2)


def test_what_extends_another(write: Write) -> None:
    text = """
        services:
          base:
            profiles: [never]
            command: gunicorn -w 2 app:app
            environment: {POOL: "8", OTHER: "1"}
          web:
            extends: {service: base}
            profiles: []
            deploy: {replicas: 2}
          worker:
            extends: base
            profiles: []
            command: celery -A app worker -c 3
          strange: {extends: strange, command: gunicorn app:app}
          far: {extends: {file: common.yml, service: x}, command: gunicorn app:app}
    """
    found = read(write, text)
    told = {name: each.at_rest for name, each in by_name(found).items()}
    assert told["web"] == 2 * 2 * 10
    assert told["worker"] == 3 * 10
    assert told["strange"] == told["far"] == 5
    assert any("what far extends is not read" in str(note) for note in found.notes)


def test_the_dockerfile_that_it_names_and_the_words_after_its_entrypoint(write: Write) -> None:
    text = """
        services:
          web:
            build: {context: ., dockerfile: docker/web.Dockerfile, target: prod}
            command: ["--workers", "6"]
          plain:
            build: {context: ., dockerfile: docker/web.Dockerfile, target: prod}
          again:
            build: {context: ., dockerfile: docker/web.Dockerfile, target: prod}
            command: --workers 7
    """
    docker = """
        FROM python AS prod
        ENTRYPOINT ["gunicorn", "app:app"]
        CMD ["--workers", "2"]
        FROM prod AS dev
        ENTRYPOINT ["flask", "run"]
    """
    files = {"docker-compose.yml": text, "docker/web.Dockerfile": docker, "app.py": ENGINE, "Dockerfile": "CMD x"}
    found = folder.read(write(files))
    told = {name: each.processes.value for name, each in by_name(found).items()}
    assert told == {"web": 6, "plain": 2, "again": 7}


def test_who_is_left_out(write: Write) -> None:
    text = """
        services:
          web: {build: ., command: gunicorn app:app}
          adminer: {image: adminer}
          mail: {image: shop/mail}
          tool: {image: shop/x, command: gunicorn app:app, profiles: [tools]}
          migrate: {build: ., command: alembic upgrade head}
    """
    found = read(write, text)
    assert list(by_name(found)) == ["web"]
    told = [str(note) for note in found.notes]
    assert any("mail is left out: nothing says what it starts" in note for note in told)
    assert any("tool is left out: it runs under a profile only" in note for note in told)
    assert [each.name for each in found.fleet.extras] == ["migrations"]


def test_a_number_of_replicas_that_is_not_known(write: Write) -> None:
    found = read(write, "services:\n  web: {command: gunicorn app:app, deploy: {replicas: $MANY}}\n")
    assert any("web: how many replicas is not known, one is counted" in str(note) for note in found.notes)


def test_new_containers_first_as_a_swarm_may(write: Write) -> None:
    text = """
        services:
          web:
            command: gunicorn app:app
            deploy: {replicas: 6, update_config: {order: start-first, parallelism: 2}}
          all:
            command: gunicorn app:app
            deploy: {replicas: 3, update_config: {order: start-first, parallelism: 0}}
    """
    found = by_name(read(write, text))
    assert found["web"].in_deploy == (6 + 2) * 5
    assert found["all"].in_deploy == (3 + 3) * 5


def test_the_server_s_limit_in_each_form(write: Write) -> None:
    for service, limit in (
        ("{image: 'postgres:15', command: postgres -c max_connections=200}", 200),
        ("{image: postgis/postgis, command: ['postgres', '-N', '60']}", 60),
        ("{image: 'bitnami/postgresql:16', environment: {POSTGRESQL_MAX_CONNECTIONS: 70}}", 70),
        ("{image: 'postgres:15', command: ['-c', 'shared_buffers=1GB', '-c', 'max_connections=80']}", 80),
    ):
        found = read(write, f"services:\n  db: {service}\n  web: {{command: gunicorn app:app}}\n")
        assert found.fleet.server.max_connections.value == limit


def test_braces_in_quotes_are_no_template(write: Write) -> None:
    text = """
        services:
          web:
            command: gunicorn -w 2 app:app
            logging: {options: {tag: "{{ .Name }}"}}
    """
    assert by_name(read(write, text))["web"].at_rest == 10


def test_passwords_are_nowhere(write: Write) -> None:
    text = """
        services:
          web:
            command: python worker.py postgresql://u:hunter2@h/d
            environment: {DATABASE_URL: "postgresql://u:hunter2@h/d", PGPASSWORD: hunter2}
    """
    assert "hunter2" not in repr(read(write, text))

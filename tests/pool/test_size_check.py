"""dbtune size check, run as pipelines run it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import dbtune

Run = Callable[..., "subprocess.CompletedProcess[str]"]

FLEET = """
[server]
max_connections = 100

[[service]]
name = "web"
pods = 3
surge = 1
processes = 2
threads = 20
worker = "gthread"
pool_size = 5
max_overflow = 5
role = "shop"

[rest]
psql = 2
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    environment = {
        name: value for name, value in os.environ.items() if not name.endswith(("DATABASE_URL", "DBTUNE_URL"))
    }

    def check(*arguments: str, columns: int = 80) -> subprocess.CompletedProcess[str]:
        return dbtune("size", "check", *arguments, cwd=tmp_path, env={**environment, "COLUMNS": str(columns)})

    return check


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.toml"
    path.write_text(FLEET)
    return path


def test_a_fleet_that_fits(run: Run, file: Path) -> None:
    done = run("--fleet", file.name)
    assert done.returncode == 0, done.stderr
    first, *_ = done.stdout.splitlines()
    assert first == "fits: 82 of 97 connections in a deploy, 15 left"
    assert "(3 + 1) pods × 2 processes × (5 + 5) = 80" in done.stdout
    assert "web: at most 3 pods or 11 connections a process" in done.stdout
    assert 'ALTER ROLE "shop" CONNECTION LIMIT 80;' in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_a_later_change_breaks_the_sum(run: Run, file: Path) -> None:
    file.write_text(FLEET.replace("max_overflow = 5", "max_overflow = 7"))
    done = run(str(file))
    assert done.returncode == 1
    first = done.stdout.splitlines()[0]
    assert first.startswith("FAIL during a deploy: 98 asked, the server has 97: 1 too many (web")
    assert "web asks for 96 and gets 95" in done.stdout
    assert f"max_overflow7({file}:13)" in "".join(done.stdout.split())
    assert run(str(file), "--max-connections", "101").returncode == 0


def test_a_folder_and_its_own_file(run: Run, file: Path, tmp_path: Path) -> None:
    file.rename(tmp_path / "dbtune.toml")
    (tmp_path / "Procfile").write_text("web: gunicorn -w 2 --threads 20 app:app\n")
    (tmp_path / "app.py").write_text("from sqlalchemy import create_engine\nengine = create_engine('postgresql://x')\n")
    done = run("--format", "json")
    told = json.loads(done.stdout)
    assert (told["command"], told["passed"], done.returncode) == ("size check", True, 0)
    (web, psql, *_) = told["terms"]
    assert (web["in_deploy"], psql["in_deploy"]) == (80, 2)
    assert {"name": "processes", "value": "2", "source": "dbtune.toml:9", "assumed": False} in web["numbers"]
    assert set(told["read"]) == {"Procfile", "app.py", "dbtune.toml"}
    assert [(each["total"], each["usable"], each["holds"]) for each in told["sums"]] == [(62, 97, True), (82, 97, True)]
    assert [each["id"] for each in told["traps"]] == ["more-threads-than-connections"]


def test_traps_fail_it_where_that_is_wanted(run: Run, file: Path) -> None:
    assert run(str(file), "--fail-on", "warning").returncode == 0
    done = run(str(file), "--fail-on", "info")
    assert done.returncode == 1
    assert done.stdout.startswith("FAIL more-threads-than-connections: web: 20 requests of a process")


def test_a_pool_without_a_cap_never_fits(run: Run, file: Path) -> None:
    file.write_text(FLEET.replace("max_overflow = 5", "max_overflow = -1").replace("threads = 20\n", ""))
    done = run(str(file))
    assert done.returncode == 1
    assert done.stdout.startswith("FAIL at rest: nothing limits web; the server has 97")
    assert "critical uncapped-pool: web: max_overflow=-1 does not mean none or few" in " ".join(done.stdout.split())


def test_the_limits_of_a_server(run: Run, file: Path, database_url: str) -> None:
    done = run(str(file), "--url", database_url, "--format", "json")
    told = json.loads(done.stdout)
    assert not told["server"]["assumed"]
    assert told["server"]["max_connections"] > 0
    assert "postgres" not in told["server"]["source"] or "password" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (("nowhere",), "nowhere: there is no such folder", 2),
        (("--fleet", "nowhere.toml"), "nowhere.toml: cannot be read: No such file or directory", 2),
        ((".",), "nothing in it tells of processes with connections", 2),
        (("--max-connections", "0"), "Invalid value for '--max-connections'", 2),
        (("fleet.toml", "--url", "postgresql://u:secret@127.0.0.1:1/x"), "127.0.0.1", 3),
    ],
)
def test_mistakes_get_one_line(run: Run, file: Path, arguments: tuple[str, ...], says: str, code: int) -> None:
    if arguments == (".",):
        file.unlink()
    done = run(*arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_markdown_and_a_file(run: Run, file: Path, tmp_path: Path) -> None:
    done = run(str(file), "--format", "markdown", "--output", str(tmp_path / "check.md"))
    assert (done.returncode, done.stdout) == (0, "")
    text = (tmp_path / "check.md").read_text()
    assert text.startswith("**fits: 82 of 97")
    assert "| web            |        60 |            80 |" in text
    assert "```sql" in text

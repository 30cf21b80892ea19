"""dbtune migrate doctor: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import dbtune
from tests.migration.conftest import Host
from tests.migration.doctor.conftest import project, revision
from tests.migration.doctor.variants import HEAD, RUN

FINE = HEAD + "with engine.connect() as connection:\n" + RUN
BEGIN = FINE.replace("engine.connect", "engine.begin")
SHARED = FINE.replace(", transaction_per_migration=True", "")


def doctor(host: Host, *arguments: str, columns: int = 80) -> subprocess.CompletedProcess[str]:
    return dbtune("migrate", "doctor", *arguments, cwd=host.folder, env=os.environ | {"COLUMNS": str(columns)})


def made(folder: Path, env: str) -> Host:
    host = project(folder, env)
    revision(host, "first", "pass")
    return host


def test_nothing_found(tmp_path: Path) -> None:
    done = doctor(made(tmp_path, FINE))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "read alembic/env.py and 1 revision: nothing found\n"


def test_line_reason_and_fix(tmp_path: Path) -> None:
    done = doctor(made(tmp_path, BEGIN))
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "alembic/env.py:7: error: the connection comes from begin(), in a transaction"
    assert lines[1:3] == ["    [outer-begin]", "     7 | with engine.begin() as connection:"]
    assert lines[3].startswith("  Alembic does not end a transaction that it did not begin")
    assert lines[-4:] == ["  in place of line 7", "       + with engine.connect() as connection:", "", lines[-1]]
    assert lines[-1] == "read alembic/env.py and 1 revision: 1 error"
    assert max(map(len, lines)) <= 80


def test_json(tmp_path: Path) -> None:
    done = doctor(made(tmp_path, BEGIN), "--format", "json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["command"] == "migrate doctor" and document["env"] == "alembic/env.py"
    assert document["summary"] == {"error": 1, "warning": 0, "info": 0}
    (found,) = document["findings"]
    assert (found["id"], found["severity"]) == ("outer-begin", "error")
    assert (found["file"], found["line"]) == ("alembic/env.py", 7)
    assert found["fix"]["edits"] == [
        {
            "file": "alembic/env.py",
            "action": "replace",
            "line": 7,
            "last": 7,
            "lines": ["with engine.connect() as connection:"],
        }
    ]


def test_markdown_in_a_file(tmp_path: Path) -> None:
    host = made(tmp_path, BEGIN)
    done = doctor(host, "--format", "markdown", "--output", "doctor.md")
    assert (done.returncode, done.stdout) == (1, "")
    text = (host.folder / "doctor.md").read_text()
    assert "### `alembic/env.py:7` error: " in text and "```python\nwith engine.connect() as connection:\n```" in text


@pytest.mark.parametrize(
    ("env", "threshold", "code"),
    [
        (BEGIN, "error", 1),
        (BEGIN, "never", 0),
        (SHARED, "warning", 0),
        (SHARED, "info", 1),
        (FINE, "info", 0),
        ("from company import run\nrun()\n", "warning", 1),
        ("from company import run\nrun()\n", "error", 0),
    ],
)
def test_threshold(env: str, threshold: str, code: int, tmp_path: Path) -> None:
    assert doctor(made(tmp_path, env), "--fail-on", threshold).returncode == code


@pytest.mark.parametrize("format", ["table", "json", "markdown"])
def test_passwords_are_not_shown(format: str, tmp_path: Path) -> None:
    env = FINE.replace("engine_from_config", "create_engine").replace(
        'context.config.get_section("alembic")', "'postgresql://app:tiger@db:6432/shop'"
    )
    host = made(tmp_path, env)
    host.set(**{"sqlalchemy.url": "postgresql+asyncpg://app:lion%@db/shop"})
    done = doctor(host, "--format", format)
    assert done.returncode == 1
    assert "pooler-url" in done.stdout and "ini-percent" in done.stdout
    assert "tiger" not in done.stdout and "lion" not in done.stdout


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("alembic.ini", None, "alembic.ini"),
        ("alembic.ini", b"[alembic\n", "alembic.ini:1: not an ini file"),
        ("alembic.ini", b"\xff\xfe[alembic]\n", "alembic.ini: not UTF-8"),
        ("alembic/env.py", b"import os\nwith (:\n", "alembic/env.py:2: a syntax error"),
        ("alembic/env.py", b"x = '\xff'\n", "alembic/env.py: cannot be read as Python"),
    ],
)
def test_bad_file(name: str, content: bytes | None, says: str, tmp_path: Path) -> None:
    host = made(tmp_path, FINE)
    if content is None:
        (host.folder / name).unlink()
    else:
        (host.folder / name).write_bytes(content)
    done = doctor(host)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr and len(done.stderr.splitlines()) == 1


def test_another_folder_and_wrong_usage(tmp_path: Path) -> None:
    host = made(tmp_path, BEGIN)
    (host.folder / "below").mkdir()
    below = Host(host.folder / "below", host.url)
    done = doctor(below, "--config", str(host.ini))
    assert done.returncode == 1 and done.stdout.startswith(f"{host.folder}/alembic/env.py:7:")
    missing = doctor(below, "--config", "nosuch.ini")
    assert missing.returncode == 2 and "nosuch.ini" in missing.stderr
    assert doctor(host, "--fail-on", "nosuch").returncode == 2


def test_reader_that_goes_away(tmp_path: Path) -> None:
    host = made(tmp_path, BEGIN)
    command = f"{sys.executable} -m dbtune migrate doctor | head -n 1"
    done = subprocess.run(command, shell=True, cwd=host.folder, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("alembic/env.py:7: error: ") and done.stderr == ""

"""What every command must have."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer

from dbtune.cli import app


def commands() -> Iterator[list[str]]:
    """Yield the words of every command and group, such as ["server", "start"]."""
    waiting: list[tuple[list[str], typer.Typer]] = [([], app)]
    while waiting:
        words, group = waiting.pop()
        yield words
        for command in group.registered_commands:
            assert command.callback is not None
            yield [*words, command.name or command.callback.__name__]
        for below in group.registered_groups:
            assert below.name is not None and below.typer_instance is not None
            waiting.append(([*words, below.name], below.typer_instance))


def dbtune(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dbtune", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_help_of_every_command(words: list[str]) -> None:
    done = dbtune(*words, "--help")
    assert done.returncode == 0
    is_group = "Commands:" in done.stdout
    assert "Example: " in done.stdout or (is_group and words), "no example"


def test_help_and_usage_errors_import_nothing_heavy() -> None:
    for arguments in (["--help"], ["explain", "--nosuch"]):
        program = (
            "import sys; sys.argv = ['dbtune', *sys.argv[1:]]\n"
            "from dbtune.__main__ import main\n"
            "try: main()\n"
            "except SystemExit: pass\n"
            "heavy = {'sqlalchemy', 'alembic', 'sqlglot', 'rich', 'psycopg2', 'tabulate', 'yaml'} & set(sys.modules)\n"
            "sys.exit(f'imported {heavy}' if heavy else 0)"
        )
        done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_version_and_wrong_usage() -> None:
    assert dbtune("--version").stdout.startswith("dbtune ")
    wrong = dbtune("explain", "--nosuch")
    assert wrong.returncode == 2
    assert "No such option" in wrong.stderr
    assert dbtune("nosuch").returncode == 2

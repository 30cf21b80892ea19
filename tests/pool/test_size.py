"""dbtune size, run as users run it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import dbtune

Run = Callable[..., "subprocess.CompletedProcess[str]"]

BY_HAND = ("--rate", "36", "--hold", "500ms", "--pool-size", "5", "--max-overflow", "10", "--pool-timeout", "2s")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("DATABASE_URL")}

    def size(*arguments: str, columns: int = 80) -> subprocess.CompletedProcess[str]:
        return dbtune("size", *arguments, cwd=tmp_path, env={**environment, "COLUMNS": str(columns)}, timeout=120)

    return size


def test_by_hand_for_programs(run: Run) -> None:
    done = run(*BY_HAND, "--format", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["schema_version"] == 1
    predicted = told["predicted"]
    assert predicted["success"] == pytest.approx(0.8333, abs=0.001)
    assert predicted["p_wait"] == pytest.approx(1.0, abs=0.001)
    assert set(predicted["wait_ms"]) == {"mean", "p50", "p95", "p99"}
    assert predicted["wait_ms"]["p50"] == pytest.approx(1884, abs=2)
    assert "QueuePool" in predicted["reason"]
    assert told["recommended"]["settings"]["pool_size"] + told["recommended"]["settings"]["max_overflow"] == 25


def test_refusals_have_their_reason(run: Run) -> None:
    done = run(*BY_HAND[:4], "--pool-size", "500", "--max-overflow", "0", "--max-connections", "18", "--format", "json")
    predicted = json.loads(done.stdout)["predicted"]
    assert predicted["success"] == pytest.approx(0.726, abs=0.001)
    assert "1 × 500 connections are asked, 15 can be had" in predicted["reason"]


def test_page_for_people(run: Run) -> None:
    done = run(*BY_HAND, "--max-connections", "100", "--cores", "4")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "36 requests a second, each holding a connection for 500 ms: 18 busy on average" in done.stdout
    assert "Recommended: pool_size=25, max_overflow=0" in done.stdout
    assert "create_engine(url, pool_size=25, max_overflow=0, pool_timeout=2)" in done.stdout
    assert "1 × (25 + 0) = 25 ≤ 97 that the server has for them" in done.stdout
    assert "HikariCP's rule" in done.stdout
    assert done.stderr == ""


def test_many_processes_and_a_pooler(run: Run) -> None:
    done = run(
        "--rate", "165", "--hold", "500ms", "--processes", "6", "--max-connections", "120", "--pool-timeout", "2s"
    )
    assert "No pool of up to 19 connections a process meets all conditions" in done.stdout
    assert "Nearest to what is wanted" in done.stdout
    assert "default_pool_size = 100" in done.stdout
    assert "gunicorn --workers" in done.stdout


def test_markdown_and_file(run: Run, tmp_path: Path) -> None:
    done = run(*BY_HAND, "--format", "markdown", "--output", "size.md")
    assert (done.returncode, done.stdout) == (0, "")
    text = (tmp_path / "size.md").read_text()
    assert "## Settings" in text
    assert "| recommended" in text


def test_curve_by_hand(run: Run) -> None:
    done = run("--rate", "60", "--curve", "1:10,2:19,4:36,8:62,16:80,32:70", "--format", "json")
    told = json.loads(done.stdout)
    assert told["server"]["most_per_second"] == 80
    assert told["recommended"]["settings"]["connections"] >= 14  # X must reach 1.2 × 60
    too_much = json.loads(run("--rate", "90", "--curve", "1:10,2:19,4:36,8:62,16:80", "--format", "json").stdout)
    assert too_much["recommended"] is None
    assert "no pool helps" in too_much["why_none"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rate", "-1", "--hold", "1s"), "rate"),
        (("--rate", "5", "--hold", "0s"), "hold"),
        (("--rate", "5", "--hold", "soon"), "not a duration"),
        (("--rate", "5", "--hold", "1s", "--pool-size", "0"), "pool_size"),
        (("--rate", "5", "--hold", "1s", "--max-overflow", "-1"), "max_overflow"),
        (("--rate", "5", "--hold", "1s", "--curve", "1:2,2:3,4:5"), "either"),
        (("--rate", "5", "--curve", "1:2"), "three"),
        (("--rate", "5", "--hold", "1s", "--success", "99"), "0.999"),
        (("--rate", "5", "--hold", "1s", "--max-connections", "2"), "connections"),
        (("--rate", "5", "--hold", "1s", "--output", "no/such/file"), "cannot write"),
    ],
)
def test_nonsense_is_one_line(run: Run, arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_page_is_one_file_without_scripts(run: Run, tmp_path: Path) -> None:
    done = run(*BY_HAND, "--max-connections", "100", "--html", "size.html")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "size.html").read_text()
    assert page.count("<svg") == page.count("</svg>") == 2
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert "pool_size=25, max_overflow=0" in page
    assert "recommended: 25" in page

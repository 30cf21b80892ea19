"""``dbtune study`` on a real server with a real service: what it prints, and what it leaves behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dbtune.study import ground
from tests.study.leftovers import leftovers

SMALL = """
title = "a small one"
max_connections = 14
client_timeout = 5.0
calibrate = 0.2
[defaults]
businesses = 30
keys = 10
rate = 30.0
seconds = 1.0
pool_timeout = 0.5
"""

ARMS = """
[[arm]]
name = "all well"
[[arm]]
name = "dry"
hold = 0.5
pool_size = 1
max_overflow = 1
[[arm]]
name = "refused"
reported = "pool 500"
hold = 0.8
pool_size = 40
max_overflow = 0
[[arm]]
name = "cached"
caching = "simple"
indexes = true
[[arm]]
name = "killed"
rate = 800.0
max_overflow = 3
kill_at = 0.6
[[arm]]
name = "blocking"
server = "gevent"
workers = 2
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dbtune", "study", *arguments]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """The document and the page of one small study."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "small.toml").write_text(SMALL + ARMS)
    page = folder / "page.html"
    done = subprocess.run(
        command(str(folder / "small.toml"), "--format", "json", "--html", str(page)),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), page.read_text()


def measured(told: tuple[dict[str, Any], str], name: str) -> dict[str, Any]:
    (found,) = [arm["measured"] for arm in told[0]["arms"] if arm["name"] == name]
    return dict(found)


def test_every_request_of_every_arm_is_accounted_for(told: tuple[dict[str, Any], str]) -> None:
    for arm in told[0]["arms"]:
        found = arm["measured"]
        assert round(found["success"] * found["sent"]) + sum(found["lost"].values()) == found["sent"]
        assert min(found["lost"].values()) >= 0
        assert arm["predicted"]["success"] <= 1


def test_what_each_arm_is_for(told: tuple[dict[str, Any], str]) -> None:
    assert measured(told, "all well")["success"] == 1
    assert measured(told, "dry")["lost"]["pool_timeout"] > 5
    assert measured(told, "refused")["lost"]["too many clients"] > 0
    assert measured(told, "cached")["funnel"]["cached"] > 0
    assert measured(told, "killed")["lost"]["cut off"] > 0
    assert measured(told, "blocking")["shares"]["500"] == 0


def test_phenomena_are_told_with_their_evidence(told: tuple[dict[str, Any], str]) -> None:
    seen = {each["title"]: each["evidence"] for each in told[0]["phenomena"] if each["seen"]}
    assert any(title.startswith("500: QueuePool") and "dry" in seen[title][0] for title in seen)
    assert any(title.startswith("500: too many clients") and "refused" in seen[title][0] for title in seen)
    assert any(title.startswith("unexpected EOF") and "killed" in seen[title][0] for title in seen)
    assert any(title.startswith("gunicorn") and "blocking" in seen[title][0] for title in seen)


def test_the_page_holds_all_of_it_and_no_secret(told: tuple[dict[str, Any], str]) -> None:
    page = told[1]
    for name in ("all well", "dry", "refused", "cached", "killed", "blocking"):
        assert f"{name}:" in page
    assert "<svg" in page
    assert "secret" not in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--quick", "--full"], "one of them"),
        (["--arm", "nothing"], "there are low rate, baseline"),
        (["none.toml"], "cannot be read"),
        (["--output", "/nowhere/x"], "cannot write /nowhere/x"),
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments: list[str], said: str) -> None:
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def began(folder: Path) -> subprocess.Popen[str]:
    """A study that is in the midst of its arm."""
    (folder / "long.toml").write_text(SMALL + '[[arm]]\nname = "long"\nseconds = 60.0\n')
    running = subprocess.Popen(
        command(str(folder / "long.toml")), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 60
    while time.monotonic() < end and running.poll() is None:
        if any(line.startswith("party") for line in leftovers(running.pid)):
            time.sleep(2.5)  # past the closed loop, into the arm; whatever it is at, it must clean up
            return running
        time.sleep(0.05)
    pytest.fail(f"it did not begin: {running.communicate()}")


def test_ctrl_c_stops_everything_and_tells_what_there_is(tmp_path: Path) -> None:
    running = began(tmp_path)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "interrupted" in out
    end = time.monotonic() + 5
    while leftovers(running.pid) and time.monotonic() < end:
        time.sleep(0.1)  # the last process of the service takes its folder along
    assert not leftovers(running.pid)


def test_what_a_killed_study_leaves_the_next_one_removes(tmp_path: Path) -> None:
    running = began(tmp_path)
    running.kill()
    running.communicate()
    assert leftovers(running.pid)  # at least the server
    end = time.monotonic() + 15
    while leftovers(running.pid) and time.monotonic() < end:
        ground.sweep()
        time.sleep(0.1)  # the service ends by itself when its starter has gone
    assert not leftovers(running.pid)

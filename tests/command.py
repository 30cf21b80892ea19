"""Commands of dbtune as processes of their own.

Those of :func:`dbtune` are forked from a process that has dbtune loaded: Python takes longer to load it than most
commands take. A test of signals, terminals or of the start itself starts one by ``python -m dbtune``.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path


def dbtune(
    *arguments: object,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a command and return its exit code and what it printed."""
    words = [str(each) for each in arguments]
    with tempfile.TemporaryDirectory(prefix="dbtune-command-") as folder:
        files = {name: Path(folder, name) for name in ("stdin", "stdout", "stderr")}
        for file in files.values():
            file.write_bytes(stdin if file.name == "stdin" else b"")
        told = {
            "arguments": words,
            "cwd": str(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
            **{name: str(file) for name, file in files.items()},
        }
        code = _run(told, timeout)
        out, err = (files[name].read_text("utf-8") for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess(["dbtune", *words], code, out, err)


def _run(told: Mapping[str, object], timeout: float) -> int:
    forks = _loaded()
    assert forks.stdin is not None
    assert forks.stdout is not None
    forks.stdin.write(json.dumps(told).encode() + b"\n")
    child = int(forks.stdout.readline())
    if not select.select([forks.stdout], [], [], timeout)[0]:
        os.kill(child, signal.SIGKILL)
        forks.stdout.readline()
        raise subprocess.TimeoutExpired(str(told["arguments"]), timeout)
    return int(forks.stdout.readline())


@cache
def _loaded() -> subprocess.Popen[bytes]:
    """Start the process that forks; it ends with this one."""
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "tests.forking"]
    started = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    @atexit.register
    def stop() -> None:
        started.communicate()

    return started

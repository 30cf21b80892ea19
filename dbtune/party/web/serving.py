"""Starting the service in processes of its own, reading its funnel, and stopping it with nothing left behind.

with serving.start(Settings(url=...), Server(kind=Kind.GTHREAD, workers=2, threads=8)) as running:
    ...running.address, running.funnel()...
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Self

from dbtune.errors import GaveUp, ServerError, UsageError
from dbtune.party.web import caching, funnel
from dbtune.party.web.funnel import Funnel
from dbtune.party.web.servers import Kind, Server
from dbtune.party.web.settings import Settings

_PREFIX = "dbtune-party-"
_OVER_S = 5.0


def start(settings: Settings, server: Server, *, log: IO[bytes] | None = None, within_s: float = 30.0) -> Running:
    """Start the service and return it when every worker takes requests.

    ``log`` takes what the processes log; without it that is in a file of :attr:`Running.log_path` until the stop.
    They end with this process, however it ends.

    :raises UsageError: a package is missing, or the address cannot be had.
    :raises ServerError: the process ended before it served.
    :raises GaveUp: it did not serve ``within_s`` seconds.
    """
    check(settings, server)
    sweep()
    kept = tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", ignore_cleanup_errors=True)
    folder = Path(kept.name)
    order = {"settings": settings.dump(), "server": server.dump(), "folder": str(folder), "parent": os.getpid()}
    try:
        with (folder / "log").open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "dbtune.party.web"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log or file,
                start_new_session=True,  # Ctrl-C is for whoever started this, who then stops it
            )
    except BaseException:
        kept.cleanup()
        raise
    running = Running(process, kept, server)
    try:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
        running.wait(time.monotonic() + within_s)
    except BaseException:
        running.stop()
        raise
    return running


def check(settings: Settings, server: Server) -> None:
    """Find out whether the packages are there.

    :raises UsageError: one is not.
    """
    needed = ["flask", "flask_caching", *([] if server.kind is Kind.THREADED else ["gunicorn"])]
    needed += ["gevent"] if server.kind in (Kind.GEVENT, Kind.GEVENT_GREEN) else []
    for module in needed:
        if not find_spec(module):
            raise UsageError(f"the web service needs {module.replace('_', '-')}: pip install 'dbtune[party]'")
    caching.check(settings)


def sweep() -> None:
    """Remove the folders of processes that were killed, and of which nobody cleaned up."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        found = re.fullmatch(rf"{_PREFIX}(\d+)-\w+", folder.name)
        if found and folder.stat().st_uid == os.getuid() and not _lives(int(found[1])):
            shutil.rmtree(folder, ignore_errors=True)


class Running:
    """A service that was started: ``address`` is its URL without any path, ``pid`` its first process."""

    def __init__(
        self, process: subprocess.Popen[bytes], kept: tempfile.TemporaryDirectory[str], server: Server
    ) -> None:
        self.address = ""
        self.server = server
        self.pid = process.pid
        self._process = process
        self._kept = kept
        self._folder = Path(kept.name)
        self.log_path = self._folder / "log"
        self._last: Funnel | None = None

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def alive(self) -> bool:
        """Whether its first process runs."""
        return self._process.poll() is None

    def funnel(self) -> Funnel:
        """Return its counts, from the files that its processes keep: also when it answers nobody, or has stopped."""
        return self._last or funnel.read(self._folder)

    def join(self) -> int:
        """Wait until its first process has ended, and return its exit status; negative is the signal's number."""
        return self._process.wait()

    def wait(self, deadline: float) -> None:
        """Wait until every worker takes requests; ``deadline`` is of the monotonic clock."""
        if not self.address:
            self._read_report(deadline)
        while len(funnel.read(self._folder).processes) < self.server.workers:
            if not self.alive:
                raise ServerError(f"the service ended before it served: {self._last_words()}")
            if time.monotonic() > deadline:
                raise GaveUp("the service does not come up; its log may tell why")
            time.sleep(0.02)

    def stop(self) -> Funnel:
        """Stop it, requests under way first, and return the final counts; twice does no harm."""
        if self._last is not None:
            return self._last
        try:
            if self.alive:
                self._process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(self.server.graceful_s + _OVER_S)
        finally:  # also on Ctrl-C: at once
            self._kill()
            self._last = funnel.read(self._folder)
            self._kept.cleanup()
        return self._last

    def _kill(self) -> None:
        """End whatever is left of the session that the process leads."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _read_report(self, deadline: float) -> None:
        assert self._process.stdout is not None
        fd, text = self._process.stdout.fileno(), b""
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise GaveUp("the service does not come up; its log may tell why")
            piece = os.read(fd, 4096)
            if not piece:
                raise ServerError(f"the service ended before it served: {self._last_words()}")
            text += piece
        report = json.loads(text)
        if "error" in report:
            raise UsageError(report["error"])
        self.address = report["address"]

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log_path.read_text(errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return "it said nothing"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True

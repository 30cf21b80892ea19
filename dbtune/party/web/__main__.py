"""The process that :func:`dbtune.party.web.serving.start` starts: orders on stdin, one line of report on stdout.

stdin stays open for as long as the service is to live; stderr takes the log.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from dbtune.errors import DbtuneError
from dbtune.party.web import funnel, lifeline, logs, servers, settings
from dbtune.party.web.servers import Kind

_FUNNEL_S = 10
_OVER_S = 2.0


def main() -> None:
    """Serve as ordered."""
    order = json.loads(sys.stdin.buffer.readline())
    given, server, folder = settings.load(order["settings"]), servers.load(order["server"]), Path(order["folder"])
    logs.open_log(given.log_level)
    try:
        listening = servers.listen(server)
    except DbtuneError as error:
        _report(error=str(error))
        raise SystemExit(error.exit_code) from None
    address = servers.address(listening)
    told = _Told(folder)
    lifeline.watch(told.now_and_then, lambda: _remove(folder), server.graceful_s + _OVER_S)
    if server.kind is Kind.THREADED:
        from dbtune.party.web import threaded

        threaded.serve(listening, server, given, folder, lambda: _report(address=address))
    else:
        from dbtune.party.web import workers

        workers.serve(listening, server, given, folder, lambda: _report(address=address))
    told.at_last()
    if os.getppid() != order["parent"]:
        _remove(folder)  # else the parent still reads the funnel


def _report(**fields: str) -> None:
    """Tell the parent, once; what is printed later goes to the log."""
    os.write(1, json.dumps(fields).encode() + b"\n")
    os.dup2(2, 1)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


class _Told:
    """Logs the funnel of all processes every ten seconds in which it changed, and at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ticks = 0
        self._before: dict[str, int] = {}

    def now_and_then(self) -> None:
        self._ticks += 1
        if self._ticks % _FUNNEL_S == 0:
            self._tell("funnel")

    def at_last(self) -> None:
        self._before = {}
        self._tell("stopped")

    def _tell(self, event: str) -> None:
        found: Any = funnel.read(self._folder)
        total = found.total
        if total != self._before:
            self._before = total
            seen = {name: count for name, count in total.items() if count}
            logs.info(event, processes=len(found.processes), in_flight=found.in_flight, funnel=seen)


if __name__ == "__main__":
    main()

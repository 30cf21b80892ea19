"""Flask's own server: a thread for each connection. Not for production, and in 2019 it was measured."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from dbtune.party.web import funnel, logs
from dbtune.party.web.application import create_app
from dbtune.party.web.funnel import Counters
from dbtune.party.web.servers import Server
from dbtune.party.web.settings import Errors, Settings

_BUSY = b'{"errors":["the service is busy; try again later"]}\n'


def serve(
    listening: socket.socket, server: Server, settings: Settings, folder: Path, ready: Callable[[], None]
) -> None:
    """Serve until SIGTERM; requests under way get ``graceful_s`` to end."""
    app = create_app(settings, folder)
    made = _Server(listening, app, settings, Counters(folder))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=made.shutdown, daemon=True).start())
    logs.info("serving", server=str(server), **settings.public())
    ready()
    made.serve_forever(poll_interval=0.1)
    end = time.monotonic() + server.graceful_s
    while funnel.read(folder).in_flight and time.monotonic() < end:
        time.sleep(0.02)


class _Server(ThreadedWSGIServer):
    def __init__(self, listening: socket.socket, app: Any, settings: Settings, counters: Counters) -> None:
        host, port = listening.getsockname()[:2]
        super().__init__(host, port, app, handler=_Handler, fd=listening.fileno())
        listening.close()  # the server has its own copy
        self._settings = settings
        self._counters = counters

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread; where none can be started, *good* says so and 2019 only hangs up."""
        try:
            super().process_request(request, client_address)
        except RuntimeError as error:  # can't start new thread
            self._counters.add("unthreaded")
            logs.warning("connection dropped", reason=str(error))
            if self._settings.errors is Errors.GOOD:
                head = (
                    f"HTTP/1.1 503 Service Unavailable\r\nRetry-After: {self._settings.retry_after_s}\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(_BUSY)}\r\nConnection: close\r\n\r\n"
                )
                request.sendall(head.encode() + _BUSY)
            self.shutdown_request(request)


class _Handler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Keep Werkzeug's own lines out of the log, which has its own."""
        logs.debug("server", message=message % args if args else message)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log no line a request: the funnel counts them."""

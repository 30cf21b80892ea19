"""gunicorn: a master process and workers, each with an application of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from dbtune.party.web import lifeline, logs
from dbtune.party.web.servers import Kind, Server
from dbtune.party.web.settings import Settings


def serve(
    listening: socket.socket, server: Server, settings: Settings, folder: Path, ready: Callable[[], None]
) -> None:
    """Serve until SIGTERM; requests under way get ``graceful_s`` to end."""

    def when_ready(arbiter: Any) -> None:
        logs.info("serving", server=str(server), **settings.public())
        ready()

    options = {
        "bind": f"fd://{listening.detach()}",
        "backlog": server.backlog,
        "worker_class": "gevent" if server.kind is Kind.GEVENT_GREEN else str(server.kind),
        "workers": server.workers,
        "threads": server.threads,
        "worker_connections": server.worker_connections,
        "timeout": server.timeout_s,
        "graceful_timeout": max(1, round(server.graceful_s)),
        "keepalive": server.keep_alive_s,
        "loglevel": "error" if settings.log_level == "warning" else "warning",
        "control_socket_disable": True,
        "when_ready": when_ready,
        "post_fork": lambda arbiter, worker: lifeline.die_with_parent(),
    }
    master = os.getpid()
    try:
        _Application(options, server.kind, settings, folder).run()
    except SystemExit as end:  # so a master leaves, and so does every worker that was forked in there
        if end.code or os.getpid() != master:
            raise


class _Application(BaseApplication):  # type: ignore[misc]
    def __init__(self, options: dict[str, Any], kind: Kind, settings: Settings, folder: Path) -> None:
        self._options = options
        self._kind = kind
        self._settings = settings
        self._folder = folder
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Make the application, in a worker, after gevent has patched what it patches."""
        if self._kind is Kind.GEVENT_GREEN:
            make_green()
        from dbtune.party.web.application import create_app

        return create_app(self._settings, self._folder)


def make_green() -> None:
    """Let psycopg2 wait for the server by gevent; psycopg 3 does so by itself once gevent has patched the process."""
    from gevent.socket import wait_read, wait_write  # type: ignore[import-untyped]
    from psycopg2 import OperationalError, extensions

    def wait(connection: Any, timeout: float | None = None) -> None:
        while (state := connection.poll()) != extensions.POLL_OK:
            if state == extensions.POLL_READ:
                wait_read(connection.fileno(), timeout=timeout)
            elif state == extensions.POLL_WRITE:
                wait_write(connection.fileno(), timeout=timeout)
            else:
                raise OperationalError(f"unexpected state of a connection: {state}")

    extensions.set_wait_callback(wait)

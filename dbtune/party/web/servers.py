"""What runs the application: the server's kind and numbers, and the socket that it listens on."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from enum import StrEnum

from dbtune.errors import UsageError


class Kind(StrEnum):
    """A way to run the application."""

    THREADED = "threaded"
    """Flask's own server: one process, a thread for each connection, without limit."""
    SYNC = "sync"
    GTHREAD = "gthread"
    GEVENT = "gevent"
    """Greenlets; the driver blocks all of them while it waits for the server, as in 2019."""
    GEVENT_GREEN = "gevent-green"
    """Greenlets with a driver that lets the others run while it waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How to serve. ``workers`` and what follows are gunicorn's; ``threads`` is for gthread, connections for gevent.

    ``port`` 0 takes a free one. ``timeout_s`` is when gunicorn kills a worker that gave no sign of life.

    :raises UsageError: a number makes no sense.
    """

    kind: Kind = Kind.THREADED
    host: str = "127.0.0.1"
    port: int = 0
    backlog: int = 128
    workers: int = 1
    threads: int = 1
    worker_connections: int = 1000
    timeout_s: int = 30
    keep_alive_s: int = 2
    graceful_s: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name, least in (("backlog", 1), ("workers", 1), ("threads", 1), ("worker_connections", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name.replace('_', ' ')} is {getattr(self, name)}; the least is {least}")
        if self.kind is Kind.THREADED and self.workers > 1:
            raise UsageError("the threaded server is one process; workers are for sync, gthread and gevent")
        if self.kind is not Kind.GTHREAD and self.threads > 1:
            raise UsageError("threads are for gthread; the others have one a worker, or as many as there are requests")
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port {self.port}: there are only 0 to 65535")

    def __str__(self) -> str:
        """Return it in a few words."""
        plural = "s" if self.workers > 1 else ""
        of = f"{self.workers} {self.kind} worker{plural}"
        return {
            Kind.THREADED: "Flask's own server, a thread each",
            Kind.SYNC: f"gunicorn, {of}",
            Kind.GTHREAD: f"gunicorn, {of} of {self.threads} thread{'s' if self.threads > 1 else ''}",
            Kind.GEVENT: f"gunicorn, {of} of {self.worker_connections} connections, the driver blocks",
            Kind.GEVENT_GREEN: f"gunicorn, {of} of {self.worker_connections} connections",
        }[self.kind]

    def dump(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))


def load(text: str) -> Server:
    """Return what :meth:`Server.dump` gave as text."""
    found = json.loads(text)
    return Server(**{**found, "kind": Kind(found["kind"])})


def listen(server: Server) -> socket.socket:
    """Return a socket that listens.

    The kernel bounds the backlog by net.core.somaxconn (listen(2)).

    :raises UsageError: the address cannot be had.
    """
    try:
        family = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)[0][0]
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((server.host, server.port))
            made.listen(server.backlog)
        except BaseException:
            made.close()
            raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            f"cannot listen on {server.host} port {server.port}: {reason}; choose another --port, or 0 for a free one"
        ) from None
    return made


def address(listening: socket.socket) -> str:
    """Return the URL of what listens."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"

"""Ctrl-C while a statement runs: cancel it on the server, then raise KeyboardInterrupt as everywhere else."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_POLL_SECONDS = 60.0


@contextmanager
def cancelling() -> Iterator[None]:
    """Within the block, Ctrl-C cancels psycopg2's running statement (libpq would wait for its end).

    psycopg 3 does so by itself. COPY does not work within the block.
    """
    import psycopg2.extensions

    before = psycopg2.extensions.get_wait_callback()
    psycopg2.extensions.set_wait_callback(_wait)
    try:
        yield
    finally:
        psycopg2.extensions.set_wait_callback(before)


def _wait(connection: Any) -> None:
    """Wait until the connection has its answer, as psycopg2's own callback for cooperative libraries does."""
    import psycopg2
    from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE

    interrupted = False
    while True:
        try:
            state = connection.poll()
            if state == POLL_OK:
                break
            if state == POLL_READ:
                select.select([connection.fileno()], [], [], _POLL_SECONDS)
            elif state == POLL_WRITE:
                select.select([], [connection.fileno()], [], _POLL_SECONDS)
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
            connection.cancel()
        except psycopg2.Error:
            if interrupted:
                raise KeyboardInterrupt from None
            raise
    if interrupted:
        raise KeyboardInterrupt

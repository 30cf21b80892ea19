"""Signals: the first one ends a block in good order, the second one at once."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def twice(leave: Callable[[int], None], quiet: bool = False) -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt and SIGTERM end the block with 143; after one of both, leave at the next.

    ``leave`` is called then with the exit code, and does not block.
    """
    heard: list[int] = []

    def hear(number: int, frame: Any) -> None:
        if heard:
            with suppress(Exception):
                leave(128 + number)
            os._exit(128 + number)
        heard.append(number)
        if not quiet:  # not through sys.stderr, in the middle of which this may have come
            os.write(2, b"dbtune: stopping what runs on the server; once more leaves it to itself\n")
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def command() -> str:
    """Return the command that runs, as a shell takes it, without the password that a URL may hold."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    words = ["dbtune"]
    for word in sys.argv[1:]:
        option, equals, value = word.rpartition("=") if word.startswith("--url=") else ("", "", word)
        if "://" in value:
            try:
                value = make_url(value).render_as_string(hide_password=True)
            except (ArgumentError, ValueError):
                value = "URL"
        words.append(f"{option}{equals}{value}")
    return shlex.join(words)

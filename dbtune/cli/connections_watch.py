"""``dbtune connections --watch``: a live screen on a terminal, a block an interval elsewhere, until Ctrl-C."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from dbtune.cli import options, output
from dbtune.errors import ServerError

if TYPE_CHECKING:
    from rich.live import Live

    from dbtune.pool.occupancy.judging import Report
    from dbtune.server.connection import Target
    from dbtune.server.situation import Situation

# A server that is gone without a word is noticed within these seconds, not the two hours of TCP.
_KEEPALIVE = {"keepalives_idle": "5", "keepalives_interval": "2", "keepalives_count": "3", "tcp_user_timeout": "10000"}


class Display(Protocol):
    """Where reports go."""

    def show(self, report: Report) -> None:
        """Show a new one."""

    def lost(self, error: str, since: float) -> None:
        """Tell that the server is gone, for so many seconds already."""


def run(
    target: Target,
    pooler: Target | None,
    seconds: float,
    format: options.Format,
    judge: Callable[[Situation], Report],
) -> None:
    """Report on each next ``seconds``; a server that goes is waited for.

    :raises ServerError: the server was not there to begin with.
    """
    from dbtune.cli.connections import full
    from dbtune.server import situation
    from dbtune.server.connection import connect, translated
    from dbtune.server.interrupt import cancelling

    patient = _patient(target)
    lost_at: float | None = None
    is_first = True
    with _display(format) as display:
        while True:
            try:
                with connect(patient) as connection, translated(target), cancelling():
                    while True:
                        report = judge(situation.read(connection, target, seconds, pooler))
                        lost_at, is_first = None, False
                        display.show(report)
            except ServerError as error:
                if is_first:
                    raise full(error) from None
                lost_at = time.monotonic() if lost_at is None else lost_at
                display.lost(str(error), time.monotonic() - lost_at)
                time.sleep(min(seconds, 2.0))


def _patient(target: Target) -> Target:
    from dataclasses import replace

    missing = {name: value for name, value in _KEEPALIVE.items() if name not in target.url.query}
    return replace(target, url=target.url.update_query_dict(missing))


@contextmanager
def _display(format: options.Format) -> Iterator[Display]:
    if format is options.Format.TABLE and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        with _screen() as screen:
            yield screen
    else:
        yield Blocks(format)


class Blocks:
    """One report after the other: for files and pipes, and for programs a line of JSON each."""

    def __init__(self, format: options.Format) -> None:
        self._format = format
        self._told: str | None = None

    def show(self, report: Report) -> None:
        """Print a report."""
        self._told = None
        if self._format is options.Format.JSON:
            from dbtune.render.connections_document import document

            output.write(json.dumps(document(report), ensure_ascii=False), None)
            return
        from dbtune.render import connections as page

        markdown = self._format is options.Format.MARKDOWN
        output.write(page.screen(report, output.width(), markdown=markdown) + "\n", None)

    def lost(self, error: str, since: float) -> None:
        """Print why the server is gone, once for each reason."""
        if error == self._told:
            return
        self._told = error
        moment = datetime.now().astimezone()
        if self._format is options.Format.JSON:
            from dbtune.render.document import SCHEMA_VERSION

            told = {
                "schema_version": SCHEMA_VERSION,
                "command": "connections",
                "time": moment.isoformat(),
                "lost": error,
            }
            output.write(json.dumps(told, ensure_ascii=False), None)
        else:
            output.write(f"{moment:%Y-%m-%d %H:%M:%S %Z}: server unreachable, trying again: {error}\n", None)


class Screen:
    """The last report on the whole terminal, until the next one; at the end it stays there."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self.last = ""

    def show(self, report: Report) -> None:
        """Draw a report."""
        from dbtune.render import connections as page

        self.last = page.screen(report, self._live.console.width, colour=output.has_colour())
        self._draw(f"{self.last}\nCtrl-C ends it.")

    def lost(self, error: str, since: float) -> None:
        """Draw above the last report that the server is gone."""
        bold, plain = ("\x1b[1;31m", "\x1b[0m") if output.has_colour() else ("", "")
        lead = f"{bold}Server unreachable for {since:.0f} s, trying again: {error}{plain}"
        self._draw(f"{lead}\n\nAs it was before:\n\n{self.last}")

    def _draw(self, text: str) -> None:
        from rich.text import Text

        self._live.update(Text.from_ansi(text, no_wrap=True, overflow="crop"), refresh=True)


@contextmanager
def _screen() -> Iterator[Screen]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    live = Live(Text("watching…"), console=Console(), screen=True, auto_refresh=False)
    screen = Screen(live)
    try:
        with live:
            yield screen
    finally:
        if screen.last:
            output.write(screen.last, None)

"""One entry of a server's log, whatever format it was written in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple

SEVERITIES = ("LOG", "ERROR", "FATAL", "PANIC", "WARNING", "NOTICE", "INFO", "DEBUG")
LONGEST = 64 * 2**20
"""Characters of an entry that are kept; what is longer is cut, so that no log can fill the memory."""


class Entry(NamedTuple):
    """What the server said once; a tuple, because a log has millions.

    Texts are empty and numbers None where the log's format or prefix does not tell. ``time`` is as written;
    :func:`moment` reads it. ``session`` is ``%c``. ``statement`` is the one that was running (the STATEMENT line).
    """

    severity: str
    message: str
    time: str = ""
    process: int | None = None
    session: str = ""
    user: str = ""
    database: str = ""
    application: str = ""
    sqlstate: str = ""
    detail: str = ""
    hint: str = ""
    context: str = ""
    statement: str = ""
    query: str = ""

    @property
    def source(self) -> str | int | None:
        """What tells one session's entries from another's; None where the prefix has nothing for it."""
        return self.session or self.process


class Unread:
    """Counts the lines of a log that are no part of any entry; ``first`` is the first of them, in short.

    ``told`` gets each: what is no server's may still be an application's.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.first = ""
        self.told: Callable[[str], None] | None = None

    def add(self, line: str) -> None:
        """Count one more; empty lines do not matter."""
        if line and not line.isspace():
            if not self.lines:
                self.first = line[:80]
            self.lines += 1
            if self.told is not None:
                self.told(line)


def moment(text: str) -> datetime | None:
    """Return the time that an entry tells: ``2026-01-31 10:00:00.123 UTC``, or seconds since 1970 (``%n``).

    It has no zone where the log names one by letters other than UTC or GMT, which mean different zones in different
    places. None for what is no time.
    """
    try:
        if text[4:5] == "-":
            written = datetime.fromisoformat(text[:23] if text[19:20] == "." else text[:19])
            zone = _zone(text[24:] if text[19:20] == "." else text[20:])
            return written if zone is None else written.replace(tzinfo=zone)
        return datetime.fromtimestamp(float(text), UTC) if text else None
    except (ValueError, OverflowError, OSError):
        return None


@lru_cache(maxsize=64)
def _zone(name: str) -> timezone | None:
    if name in ("UTC", "GMT", "Z"):
        return UTC
    digits = name[1:].replace(":", "")
    if name[:1] in ("+", "-") and digits.isdecimal() and len(digits) in (2, 4):
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
        return timezone(-offset if name[0] == "-" else offset)
    return None

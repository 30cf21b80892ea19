"""Entries of a log in stderr's format: lines with a prefix, further lines of a text behind a tab."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from dbtune.workload.capture.log.entry import LONGEST, Entry, Unread
from dbtune.workload.capture.log.prefix import Prefix

PARTS = frozenset({"DETAIL", "HINT", "QUERY", "CONTEXT", "STATEMENT", "LOCATION", "BACKTRACE"})
"""Words of the lines that belong to an entry before them."""
_WINDOW = 32
_VERBOSE = re.compile(r"([0-9A-Z]{5}): ")  # log_error_verbosity = verbose


class _Open:
    """An entry that may get more lines: its head, and the text of each part by the word in front of it."""

    __slots__ = ("groups", "key", "parts", "severity", "size")

    def __init__(self, groups: tuple[str, ...], key: str, severity: str, rest: str) -> None:
        self.groups = groups
        self.key = key
        self.severity = severity
        self.parts = [(severity, [rest])]
        self.size = len(rest)

    def add(self, line: str) -> None:
        self.size += len(line)
        if self.size <= LONGEST:
            self.parts[-1][1].append(line)


def entries(batches: Iterable[list[str]], prefix: Prefix, unread: Unread) -> Iterator[Entry]:
    """Yield the entries of a log's lines; an empty batch means that nothing more is there for the moment.

    DETAIL and the like join the last entry of the same session, also where another session's lines came between.
    What stands before the first entry, and lines that have neither the prefix nor a tab, are ``unread``.
    """
    match = prefix.pattern.match
    places = prefix.pattern.groupindex
    at_severity, at_rest = places["severity"] - 1, places["rest"] - 1
    at_key = places.get("session", places.get("process", 0)) - 1
    entry = _maker(prefix)
    window: deque[_Open] = deque()
    last: _Open | None = None  # the entry of the last line
    for batch in batches:
        for line in batch:
            if line[:1] == "\t":
                if last is None:
                    unread.add(line)
                else:
                    last.add(line[1:])
                continue
            found = match(line)
            if found is None:
                unread.add(line)
                last = None
                continue
            groups = found.groups("")
            severity = groups[at_severity]
            key = groups[at_key] if at_key >= 0 else ""
            if severity in PARTS:
                last = _owner(window, key)
                if last is None:
                    unread.add(line)
                else:
                    last.parts.append((severity, []))
                    last.add(groups[at_rest])
                continue
            last = _Open(groups, key, severity, groups[at_rest])
            window.append(last)
            if len(window) > _WINDOW:
                yield entry(window.popleft())
        if not batch:
            while window:
                yield entry(window.popleft())
            last = None
    while window:
        yield entry(window.popleft())


def _owner(window: deque[_Open], key: str) -> _Open | None:
    for candidate in reversed(window):
        if candidate.key == key:
            return candidate
    return None


def _maker(prefix: Prefix) -> Callable[[_Open], Entry]:
    """Return the function that makes an entry of what was read with ``prefix``."""
    places = prefix.pattern.groupindex
    names = ("time", "process", "session", "user", "database", "application", "sqlstate")
    time, process, session, user, database, application, sqlstate = (places.get(name, 0) - 1 for name in names)

    def made(read: _Open) -> Entry:
        groups = read.groups
        (severity, lines), *more = read.parts
        message = lines[0] if len(lines) == 1 else "\n".join(lines)
        state = groups[sqlstate] if sqlstate >= 0 else ""
        if message[5:7] == ": " and (verbose := _VERBOSE.match(message)):
            state = verbose[1]
            message = message[7:]
        number = groups[process] if process >= 0 else ""
        parts = {word: "\n".join(texts) for word, texts in more} if more else {}
        return Entry(
            severity,
            message,
            groups[time] if time >= 0 else "",
            int(number) if number else None,
            groups[session] if session >= 0 else "",
            groups[user] if user >= 0 else "",
            groups[database] if database >= 0 else "",
            groups[application] if application >= 0 else "",
            state,
            *(parts.get(word, "") for word in ("DETAIL", "HINT", "CONTEXT", "STATEMENT", "QUERY") if parts),
        )

    return made

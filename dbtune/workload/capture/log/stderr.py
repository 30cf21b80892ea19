"""Entries of a log in stderr's format: lines with a prefix, further lines of a text behind a tab."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from dbtune.workload.capture.log.blocks import Tail
from dbtune.workload.capture.log.entry import Entry, Unread
from dbtune.workload.capture.log.prefix import Prefix

PARTS = frozenset({"DETAIL", "HINT", "QUERY", "CONTEXT", "STATEMENT", "LOCATION", "BACKTRACE"})
"""Words of the lines that belong to an entry before them."""
_FIELDS = {"DETAIL": "detail", "HINT": "hint", "QUERY": "query", "CONTEXT": "context", "STATEMENT": "statement"}
_WINDOW = 32
_VERBOSE = re.compile(r"([0-9A-Z]{5}): ")  # log_error_verbosity = verbose


def entries(blocks: Iterable[str], prefix: Prefix, unread: Unread) -> Iterator[Entry]:
    """Yield the entries of a log's blocks; an empty one means that nothing more is there for the moment.

    DETAIL and the like join the last entry of the same session, also where another session's lines came between.
    What stands before the first entry, and lines that have neither the prefix nor a tab, are ``unread``.
    """
    find = prefix.whole.findall
    chosen = _chooser(prefix)
    window: list[Entry] = []
    for text, is_last in _whole(blocks):
        for groups in find(text):
            severity, rest, time, process, session, user, database, application, state, detail, other = chosen(groups)
            if not severity:
                unread.add(other)
                continue
            if "\n" in rest:
                rest = rest.replace("\n\t", "\n")
            if severity in PARTS:
                at = _owner(window, session or (int(process) if process else None))
                if at is None:
                    unread.add(f"{severity}:  {rest}")
                else:
                    window[at] = _with(window[at], severity, rest)
                    if detail:
                        window[at] = _with(window[at], "DETAIL", detail.replace("\n\t", "\n"))
                continue
            if rest[5:7] == ": " and (verbose := _VERBOSE.match(rest)):
                state = verbose[1]
                rest = rest[7:]
            window.append(
                Entry(
                    severity,
                    rest,
                    time,
                    int(process) if process else None,
                    session,
                    user,
                    database,
                    application,
                    state,
                    detail.replace("\n\t", "\n") if "\n" in detail else detail,
                )
            )
        keep = 0 if is_last else _WINDOW
        if len(window) > keep:
            yield from window[: len(window) - keep]
            del window[: len(window) - keep]


def _whole(blocks: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Yield the same text in pieces that begin with a line of their own, and whether it is the last for the moment."""
    tail = Tail()
    for block in blocks:
        if not block:
            yield tail.taken(), True
            continue
        # the last line waits, because a line with a tab may follow
        start = block.rfind("\n", 0, -1) + 1
        while start and block[start] == "\t":
            start = block.rfind("\n", 0, start - 1) + 1
        if start or block[0] != "\t":
            if text := tail.cut(block, start):
                yield text, False
        else:
            tail.add(block)
    yield tail.taken(), True


def _owner(window: list[Entry], source: str | int | None) -> int | None:
    """Return where the last entry of a session is."""
    for at in range(len(window) - 1, max(-1, len(window) - 1 - _WINDOW), -1):
        if window[at].source == source:
            return at
    return None


def _with(entry: Entry, word: str, text: str) -> Entry:
    fields: dict[str, Any] = {_FIELDS[word]: text} if word in _FIELDS else {}
    return entry._replace(**fields)


def _chooser(prefix: Prefix) -> Callable[[Sequence[str]], tuple[str, ...]]:
    """Return what puts the groups of a match in order; for a group that the prefix has not, it takes an empty one."""
    places = prefix.whole.groupindex
    names = ("severity", "rest", "time", "process", "session", "user", "database", "application", "sqlstate")
    first, *others = (places.get(name, places["nothing"]) - 1 for name in (*names, "detail", "other"))
    return itemgetter(first, *others)

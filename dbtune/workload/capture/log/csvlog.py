"""Entries of a log in csvlog's format (manual, 19.8.4): one row each, whose texts may hold line breaks."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator

from dbtune.workload.capture.log.blocks import Tail
from dbtune.workload.capture.log.entry import SEVERITIES, Entry, Unread

_STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [^,\"\n]++"
_NAME = r'(?:"(?:[^"\n]|"")*")?'
HEAD = re.compile(rf"{_STAMP},{_NAME},{_NAME},\d*,{_NAME},[0-9a-f]*\.?[0-9a-f]*,\d*,")
"""How every row begins. Inside a text its quotes would be doubled."""

_COLUMNS = (
    "time", "user", "database", "process", "connection_from", "session", "line", "command_tag", "session_start",
    "vxid", "txid", "severity", "sqlstate", "message", "detail", "hint", "query", "query_pos", "context", "statement",
    "statement_pos", "location", "application",
)  # fmt: skip
"""Those of PostgreSQL 9.0 to 12; later ones add some behind them."""

_TAKEN = frozenset(Entry._fields)
_TEXT = r'[^"]*+(?:""[^"]*+)*+'
_PLAIN = {
    "time": _STAMP, "process": r"\d*+", "session": r"[0-9a-f]*+\.?[0-9a-f]*+", "line": r"\d*+",
    "session_start": r"[^,\"\n]*+", "vxid": r"[^,\"\n]*+", "txid": r"\d*+", "severity": r"[A-Z]++[1-5]?",
    "sqlstate": r"[0-9A-Z]*+", "query_pos": r"\d*+", "statement_pos": r"\d*+",
}  # fmt: skip
"""The columns that the server never puts in quotes."""

_SEVERITIES = frozenset(SEVERITIES) | {f"DEBUG{n}" for n in range(1, 6)}
_CENTURY = "\n2"


def _column(name: str) -> str:
    expression = _PLAIN.get(name, _TEXT)
    group = f"(?P<{name}>{expression})" if name in _TAKEN else expression
    return group if name in _PLAIN else f'(?:"{group}")?+'


# All of a text, row after row, or lines that are no rows. A quote that a cut left open has its end in the next row, but
# no comma behind that: then the line alone is passed over, and the next row is whole again.
_ROWS = re.compile(rf"{','.join(map(_column, _COLUMNS))}(?:,[^\n]*+)?\n|(?P<other>[^\n]*+)\n")
assert [name for name in _COLUMNS if name in _TAKEN] == list(_ROWS.groupindex)[:-1]


def entries(blocks: Iterable[str], unread: Unread) -> Iterator[Entry]:
    """Yield the entries of a log's blocks; an empty one means that nothing more is there for the moment.

    A row that was cut ends where the next one begins, and is ``unread``.
    """
    for text in _whole(blocks):
        for row in _ROWS.findall(text):
            (
                time, user, database, process, session, severity, state, message, detail, hint, query, context,
                statement, application, other,
            ) = row  # fmt: skip
            if not severity:
                if other and (entry := _odd(other)) is not None:
                    yield entry
                else:
                    unread.add(other)
                continue
            entry = Entry(
                severity,
                message,
                time,
                int(process) if process else None,
                session,
                user,
                database,
                application,
                state,
                detail,
                hint,
                context,
                statement,
                query,
            )
            yield entry if '""' not in "".join(row) else _unquoted(entry)


def _unquoted(entry: Entry) -> Entry:
    return Entry._make(field.replace('""', '"') if isinstance(field, str) else field for field in entry)


def _odd(line: str) -> Entry | None:
    """Return the entry of a row that has quotes only where they are needed: no server wrote it, but what copied it."""
    try:
        row = next(csv.reader((line,)), [])
    except csv.Error:
        return None
    if len(row) < len(_COLUMNS) or row[11] not in _SEVERITIES or not HEAD_OF_ODD.match(row[0]):
        return None
    fields = {name: row[at] for at, name in enumerate(_COLUMNS) if name in _TAKEN}
    process = fields.pop("process")
    return Entry(process=int(process) if process.isdecimal() else None, **fields)


HEAD_OF_ODD = re.compile(rf"{_STAMP}\Z")


def _whole(blocks: Iterable[str]) -> Iterator[str]:
    """Yield the same text in pieces that begin with a row."""
    tail = Tail()
    for block in blocks:
        if not block:  # what waits is a whole row, unless it is still being written
            waiting = tail.taken()
            if waiting.count('"') % 2:
                tail.add(waiting)
            elif waiting:
                yield waiting
            continue
        start = block.rfind(_CENTURY, 0, -1)
        while start >= 0 and not HEAD.match(block, start + 1):
            start = block.rfind(_CENTURY, 0, start)
        if start >= 0 or HEAD.match(block):
            if text := tail.cut(block, start + 1):
                yield text
        else:
            tail.add(block)
    if rest := tail.taken():
        yield rest

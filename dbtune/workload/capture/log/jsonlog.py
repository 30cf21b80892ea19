"""Entries of a log in jsonlog's format (PostgreSQL 15 and newer; manual, 19.8.5): one object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from dbtune.workload.capture.log.entry import Entry, Unread

_KEYS = {
    "timestamp": "time", "user": "user", "dbname": "database", "pid": "process", "remote_host": "", "remote_port": "",
    "session_id": "session", "line_num": "", "ps": "", "session_start": "", "vxid": "", "txid": "",
    "error_severity": "severity", "state_code": "sqlstate", "message": "message", "detail": "detail", "hint": "hint",
    "internal_query": "query", "internal_position": "", "context": "context", "statement": "statement",
    "cursor_position": "", "func_name": "", "file_name": "", "file_line_num": "", "application_name": "application",
    "backend_type": "", "leader_pid": "", "query_id": "",
}  # fmt: skip
"""The keys in the order in which the server writes them, with the field of an entry that they become."""

_NUMBERS = frozenset(
    "pid remote_port line_num txid internal_position cursor_position file_line_num leader_pid query_id".split()
)
_STRING = r'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+'


def _pair(key: str, field: str) -> str:
    value = r"-?\d++" if key in _NUMBERS else _STRING
    group = f"(?P<{field}>{value})" if field else value
    pair = f'"{key}":{group}' if key in _NUMBERS else f'"{key}":"{group}"'
    return f"\\{{{pair}" if key == "timestamp" else f"(?:,{pair})?+"


# All of a text, line after line; a line of another shape than the server's is read as JSON.
_LINES = re.compile(rf"{''.join(_pair(*item) for item in _KEYS.items())}\}}\n|(?P<other>[^\n]*+)\n")
_FIELDS = {field: key for key, field in _KEYS.items() if field}
assert list(_LINES.groupindex) == [*_FIELDS, "other"]


def entries(blocks: Iterable[str], unread: Unread) -> Iterator[Entry]:
    """Yield the entries of a log's blocks; a line that is no entry is ``unread``."""
    for block in blocks:
        for line in _LINES.findall(block):
            (
                time, user, database, process, session, severity, state, message, detail, hint, query, context,
                statement, application, other,
            ) = line  # fmt: skip
            if not severity:
                if (entry := _parsed(other)) is None:
                    unread.add(other)
                else:
                    yield entry
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
            yield entry if "\\" not in "".join(line) else _unescaped(entry)


def _unescaped(entry: Entry) -> Entry:
    return Entry._make(
        scanstring(f'{field}"', 0, False)[0] if isinstance(field, str) and "\\" in field else field for field in entry
    )


def _parsed(line: str) -> Entry | None:
    """Return the entry of a line in which the keys have another order, or space between them."""
    try:
        fields: dict[str, Any] = json.loads(line, strict=False)
        severity = fields["error_severity"]
        texts = {field: fields.get(key, "") for field, key in _FIELDS.items() if field not in ("process", "severity")}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    process = fields.get("pid")
    if not all(isinstance(text, str) for text in (severity, *texts.values())):
        return None
    return Entry(severity=severity, process=process if type(process) is int else None, **texts)

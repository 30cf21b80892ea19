"""Entries of a log in jsonlog's format (PostgreSQL 15 and newer; manual, 19.8.5): one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from dbtune.workload.capture.log.entry import Entry, Unread

_TEXTS = (
    "timestamp", "session_id", "user", "dbname", "application_name",
    "state_code", "detail", "hint", "context", "statement", "internal_query",
)  # fmt: skip


def entries(batches: Iterable[list[str]], unread: Unread) -> Iterator[Entry]:
    """Yield the entries of a log's lines; a line that is no entry is ``unread``."""
    decode = json.JSONDecoder(strict=False).decode
    for batch in batches:
        for line in batch:
            try:
                yield _entry(decode(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                unread.add(line)


def _entry(fields: dict[str, Any]) -> Entry:
    get = fields.get
    message = get("message", "")
    texts = [get(name, "") for name in _TEXTS]
    severity = fields["error_severity"]
    process = get("pid")
    if not all(isinstance(text, str) for text in (severity, message, *texts)):
        raise TypeError("not as PostgreSQL writes it")
    time, *others = texts
    return Entry(severity, message, time, process if isinstance(process, int) else None, *others)

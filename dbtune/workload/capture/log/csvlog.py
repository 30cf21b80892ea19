"""Entries of a log in csvlog's format (manual, 19.8.4): one row each, whose texts may hold line breaks."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Iterator

from dbtune.workload.capture.log.entry import LONGEST, SEVERITIES, Entry, Unread

_NAME = r'(?:"(?:[^"]|"")*")?'
HEAD = re.compile(
    rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{3}} [^,\"]+,{_NAME},{_NAME},\d*,{_NAME},[0-9a-f]*\.?[0-9a-f]*,\d*,"
)
"""How every row begins. Inside a text its quotes would be doubled."""

_COLUMNS = 23  # of PostgreSQL 9.0 to 12; later ones add some
_SEVERITIES = frozenset(SEVERITIES) | {f"DEBUG{n}" for n in range(1, 6)}


def entries(batches: Iterable[list[str]], unread: Unread) -> Iterator[Entry]:
    """Yield the entries of a log's lines; a row that was cut ends where the next one begins, and is ``unread``."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        rows = csv.reader(_whole(batches, unread))
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error:
                unread.add("a row that is no CSV")
                continue
            if len(row) < _COLUMNS or row[11] not in _SEVERITIES:
                unread.add(",".join(row))
                continue
            yield Entry(
                row[11],
                row[13],
                row[0],
                int(row[3]) if row[3].isdecimal() else None,
                row[5],
                row[1],
                row[2],
                row[22],
                row[12],
                row[14],
                row[15],
                row[18],
                row[19],
                row[16],
            )
    finally:
        csv.field_size_limit(limit)


def _whole(batches: Iterable[list[str]], unread: Unread) -> Iterator[str]:
    """Yield the lines so that every row is whole: quotes left open by a cut are closed before the next row."""
    inside = False
    size = 0
    started = False
    for batch in batches:
        for line in batch:
            if inside:
                size += len(line)
                if size > LONGEST or HEAD.match(line):
                    yield '"\n'
                    inside = False
            if not inside:
                size = 0
                if not started or line[:1] not in "0123456789":
                    if not HEAD.match(line):
                        unread.add(line)
                        continue
                    started = True
            if line.count('"') % 2:
                inside = not inside
            yield line + "\n"

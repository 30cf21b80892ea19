"""The file of earlier readings: JSON lines, the oldest first, rewritten as a whole so that no line is ever half there.

{"schema_version": 1, "at": "2026-01-31T10:00:00+00:00", "client_at": …,
 "identity": ["7712305941390042829", "shop", false],
 "stats_reset": {"tables": [null, "2026-01-01T00:00:00+00:00"], …},
 "counters": {"tables": {"public.item": {"seq_scan": 12, …}, …}, …}, "workers_busy": false}
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from dbtune import config
from dbtune.errors import BadFile
from dbtune.health.history import Entry, pruned
from dbtune.health.section import Section

SCHEMA_VERSION = 1
_NOT_IN_NAMES = "/\\\0"


def default_path(system_identifier: str, database: str) -> Path:
    """Return the file for a server's database in the user's data directory."""
    name = "".join("_" if c in _NOT_IN_NAMES or not c.isprintable() else c for c in database)
    return config.data_dir() / "history" / f"{system_identifier}-{name}.jsonl"


def load(path: Path) -> list[Entry]:
    """Return the entries in the file, none where there is no file.

    :raises BadFile: it cannot be read, or a line is none of ours.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except UnicodeDecodeError as error:
        raise BadFile(path, f"is not UTF-8 (byte {error.start}); name another --history") from None
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}; name another --history") from None
    return [_entry(line, path, number) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def add(path: Path, entry: Entry) -> None:
    """Add the entry, and leave out those that are no longer worth keeping.

    :raises BadFile: the file is none of ours.
    :raises OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        entries = pruned([*load(path), entry], entry.at)
        part = path.with_name(f"{path.name}.part-{os.getpid()}")
        try:
            with open(part, "x", encoding="utf-8", opener=_private) as file:
                file.writelines(
                    f"{json.dumps(_document(each), ensure_ascii=False, separators=(',', ':'))}\n" for each in entries
                )
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two commands at once add one after the other."""
    with open(f"{path}.lock", "w", opener=_private) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _document(entry: Entry) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "at": entry.at.isoformat(),
        "client_at": entry.client_at.isoformat(),
        "identity": list(entry.identity),
        "stats_reset": {
            section.value: [at.isoformat() if at is not None else None for at in times]
            for section, times in entry.resets.items()
        },
        "counters": {section.value: counts for section, counts in entry.counts.items()},
        "workers_busy": entry.workers_busy,
    }


def _entry(line: str, path: Path, number: int) -> Entry:
    try:
        document = json.loads(line)
        if document["schema_version"] > SCHEMA_VERSION:
            raise BadFile(path, "was written by a newer dbtune; name another --history", line=number)
        identifier, database, in_recovery = document["identity"]
        return Entry(
            at=_time(document["at"]),
            client_at=_time(document["client_at"]),
            identity=(str(identifier), str(database), bool(in_recovery)),
            resets={
                Section(name): tuple(_time(at) if at is not None else None for at in times)
                for name, times in document["stats_reset"].items()
            },
            counts={Section(name): _counts(counts) for name, counts in document["counters"].items()},
            workers_busy=document["workers_busy"],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadFile(
            path, "is no reading of dbtune's; remove the line, or name another --history", line=number
        ) from None


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without its zone")
    return at


def _counts(counts: Any) -> dict[str, dict[str, int | float]]:
    if not all(isinstance(n, int | float) for values in counts.values() for n in values.values()):
        raise ValueError("a counter is no number")
    return counts  # type: ignore[no-any-return]

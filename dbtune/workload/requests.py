"""The request replay stream: what was sent when, one JSON object a line, without statements and without values.

    {"time": "2019-01-30T09:00:00.120000+00:00", "route": "GET /respondents/email", "fingerprint": "1f0c…",
     "parameters": "9be2…"}

It tells how often the same question is asked again and by whom, which is what caching and load need to know. The
``fingerprint`` is that of the query's shape (:func:`fingerprint_hash`); ``parameters`` is a keyed hash of all values,
null where they are not known: equal means equal, within one capture.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from dbtune.errors import BadFile, UsageError
from dbtune.workload.capture.execution import Execution
from dbtune.workload.shape import shape

_DIGEST_BYTES = 8
_KEYS = ("time", "route", "fingerprint", "parameters")


@dataclass(frozen=True, slots=True)
class Request:
    """One statement as it was sent; ``time`` has its zone unless the source told none."""

    time: datetime
    route: str | None
    fingerprint: str
    parameters: str | None


@lru_cache(maxsize=4096)
def fingerprint_hash(statement: str) -> str:
    """Return the hash of a query's shape: lines of a stream and files of a workload find each other by it."""
    return hashlib.blake2b(shape(statement).encode(), digest_size=_DIGEST_BYTES).hexdigest()


def parameter_hash(values: tuple[str | None, ...] | None, key: bytes) -> str | None:
    """Return a hash of the values, None where they are not known. Without the ``key`` nobody can try out guesses."""
    if values is None:
        return None
    text = json.dumps(values, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), key=key, digest_size=_DIGEST_BYTES).hexdigest()


def requests(executions: Iterable[Execution], key: bytes) -> Iterator[Request]:
    """Yield a request for each execution that ran and whose time is known, in their order."""
    for each in executions:
        if each.ran and each.time is not None:
            found = fingerprint_hash(each.statement)
            yield Request(each.time, each.route, found, parameter_hash(each.values, key))


def dump(request: Request) -> str:
    """Return the line of a stream, without its line break."""
    fields = (request.time.isoformat(), request.route, request.fingerprint, request.parameters)
    return json.dumps(dict(zip(_KEYS, fields, strict=True)), ensure_ascii=False, separators=(",", ":"))


def write(path: Path, wanted: Iterable[Request]) -> int:
    """Write a stream line by line and return how many there are; what was written stays if it ends early.

    :raises UsageError: the file cannot be written.
    """
    count = 0
    try:
        with path.open("w", encoding="utf-8") as stream:
            for request in wanted:
                stream.write(dump(request) + "\n")
                count += 1
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another --keep-requests") from None
    return count


def kept(path: Path, executions: Iterable[Execution], key: bytes) -> Iterator[Execution]:
    """Yield the executions, and write the stream of them to ``path`` while they pass.

    :raises UsageError: the file cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8") as stream:
            for each in executions:
                for request in requests((each,), key):
                    stream.write(dump(request) + "\n")
                yield each
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another --keep-requests") from None


def read(path: Path) -> Iterator[Request]:
    """Yield the requests of a stream; a last line that breaks off is left out.

    :raises BadFile: the file cannot be read, or a line is no request.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.endswith("\n") and not line.endswith("}"):
                    return
                if line.strip():
                    yield _request(line, path, number)
    except UnicodeDecodeError as error:
        raise BadFile(path, f"is not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}") from None


def _request(line: str, path: Path, number: int) -> Request:
    try:
        fields: Any = json.loads(line)
        time, route, found, parameters = (fields[key] for key in _KEYS)
        if not isinstance(found, str) or not all(isinstance(each, str | None) for each in (route, parameters)):
            raise TypeError
        return Request(datetime.fromisoformat(time), route, found, parameters)
    except (ValueError, TypeError, KeyError):
        raise BadFile(path, f"is no request; a line is a JSON object with {', '.join(_KEYS)}", line=number) from None

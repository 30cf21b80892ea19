"""A recording: what applications send, written line by line to one file while they run, and read back later.

Each line is one JSON array. Several processes may append to the same file at once: a process writes whole lines with a
single ``write`` to a file opened for appending, which local file systems do not mix. What a crash leaves of a last line
is skipped when the file is read. The lines, by what they begin with:

``["dbtune", 1, key, process, sample]``           a process begins; ``key`` is its own, 1 the format's version
``["text", key, n, statement, driver]``           statement n of that process; the others refer to it
``["sent", key, n, time, ms, rows, calls, route, error, sqlstate, checkout, wait_ms, values]``
``["held", key, checkout, ms]``                   a connection went back to its pool
``["denied", key, time, ms, route, error]``       the application asked for a connection and got none

A value that is no text, whole number, truth value or null of JSON stands as ``[text, type]``: PostgreSQL's text format
and the type that the driver states. What the others are in both is worked out when they are read.

Writing costs the application nothing but memory when the file cannot be written: one warning, and the recording ends.

This module runs inside applications: it needs SQLAlchemy and nothing else that is not Python's own.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dbtune.errors import BadFile
from dbtune.workload.capture.execution import Execution
from dbtune.workload.capture.sqlalchemy import Denied, Held, Recorder
from dbtune.workload.capture.values import text_format, type_stated

VERSION = 1
MAX_BYTES = 256 * 2**20
"""What a recording may grow to unless something else is said."""

_SECONDS = 0.25
_PENDING = 100_000
"""Statements that may wait to be written; more are left out, so that a slow disk cannot fill the memory."""

_open: weakref.WeakSet[Recording] = weakref.WeakSet()


_OF_JSON = frozenset((str, int, bool, type(None)))
"""Types whose values JSON keeps as they are."""


def _encoder() -> Callable[[Any], str]:
    """Return what turns a list into JSON, prepared once for all of them."""
    encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)
    make = json.encoder.c_make_encoder  # type: ignore[attr-defined]
    if make is None:  # another Python than C's
        return encoder.encode
    encode = make(None, encoder.default, json.encoder.encode_basestring, None, ":", ",", False, False, True)
    return lambda item: "".join(encode(item, 0))


class Recording:
    """A recorder's statements on their way to a file, by a thread that wakes when something was sent.

    ``warn`` is told once, in a line, if the recording has to end early.
    """

    def __init__(
        self,
        path: Path,
        recorder: Recorder,
        *,
        max_bytes: int = MAX_BYTES,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.path = path
        self._recorder = recorder
        self._max_bytes = max_bytes
        self._warn = warn if warn is not None else _to_stderr
        self._encode = _encoder()
        self._file: int | None = None
        self._ended = False
        self._fresh()
        recorder.limit = _PENDING
        recorder.on_pending = self._wake
        _open.add(self)

    def _fresh(self) -> None:
        """Begin as a new process: with a key, numbers and a thread of its own."""
        self._process = os.getpid()
        self._key = f"{self._process}-{secrets.token_hex(4)}"
        self._numbers: dict[tuple[str, str], int] = {}
        self._is_begun = False
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._thread: threading.Thread | None = None

    def _wake(self) -> None:
        """Make sure that what was sent gets written; called where the application sends, so it does little."""
        if self._thread is None and not self._ended:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="dbtune-recording", daemon=True)
                    self._thread.start()
        self._event.set()

    def _run(self) -> None:
        while not self._ended:
            self._event.wait()
            self._event.clear()
            time.sleep(_SECONDS)  # what comes meanwhile is written together
            self.flush()

    def flush(self) -> None:
        """Write what was sent until now."""
        with self._lock:
            if self._ended:
                self._recorder.forget()
                return
            self._recorder.rearm()
            try:
                if lines := self._lines():
                    self._append(lines)
            except Exception as error:  # an application must not suffer from being watched
                self._end(getattr(error, "strerror", None) or f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """Write the rest and end; what is sent from now on is not recorded."""
        self.flush()
        self._ended = True
        self._event.set()
        self._recorder.on_pending = None
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _lines(self) -> list[str]:
        lines: list[str] = []
        encode = self._encode
        for told in self._recorder.drain():
            if isinstance(told, Held):
                lines.append(encode(["held", self._key, told.checkout, round(told.ms, 3)]))
                continue
            if not self._is_begun:
                self._is_begun = True
                lines.append(encode(["dbtune", VERSION, self._key, self._process, self._recorder.sample]))
            if isinstance(told, Denied):
                lines.append(encode(["denied", self._key, told.time, round(told.ms, 3), told.route, told.error]))
                continue
            driver = told.driver
            number = self._numbers.get((told.statement, driver))
            if number is None:
                number = self._numbers[told.statement, driver] = len(self._numbers) + 1
                lines.append(encode(["text", self._key, number, told.statement, driver]))
            lines.append(
                encode(
                    [
                        "sent",
                        self._key,
                        number,
                        told.time,
                        round(told.duration_ms, 4),
                        told.rows,
                        told.calls,
                        told.route,
                        told.error,
                        told.sqlstate,
                        told.checkout,
                        None if told.wait_ms is None else round(told.wait_ms, 3),
                        [
                            value if type(value) in _OF_JSON else [text_format(value), type_stated(value, driver)]
                            for value in told.values
                        ],
                    ]
                )
            )
        return lines

    def _append(self, lines: list[str]) -> None:
        if self._file is None:
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # lone surrogates are no UTF-8: PostgreSQL refused them, and so no value is lost
        data = ("\n".join(lines) + "\n").encode("utf-8", "replace")
        if os.fstat(self._file).st_size + len(data) > self._max_bytes:
            self._end(f"it would grow over {self._max_bytes / 2**20:g} MB (--max-size)")
            return
        while data:  # a signal or a full disk may take a part only
            data = data[os.write(self._file, data) :]

    def _end(self, why: str) -> None:
        self._ended = True
        self._recorder.on_pending = None
        self._recorder.forget()
        self._warn(f"{self.path}: the recording ends here: {why}")


def _to_stderr(said: str) -> None:
    try:
        sys.stderr.write(f"dbtune: {said}\n")
    except (OSError, ValueError, AttributeError):  # an application may have closed it
        return


def _flush_all() -> None:
    for recording in list(_open):
        recording.flush()


def _begin_again() -> None:
    """In a forked process: what waited to be written is its parent's to write."""
    for recording in list(_open):
        recording._recorder.forget()
        recording._fresh()


def flush_at_exit() -> None:
    """Let no way that Python ends by itself lose anything: not ``os._exit`` either, by which forked workers leave."""
    leave = os._exit

    def flushed(status: int) -> Any:
        _flush_all()
        leave(status)

    os._exit = flushed


atexit.register(_flush_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)


@dataclass(slots=True)
class Told:
    """What a recording tells beside its statements. Times in milliseconds; ``skipped`` lines could not be read.

    ``denials`` is how often the application asked for a connection and got none, ``denial`` what the first one said.
    """

    processes: set[str] = field(default_factory=set)
    waits: int = 0
    wait_total_ms: float = 0.0
    wait_most_ms: float = 0.0
    holds: int = 0
    hold_total_ms: float = 0.0
    hold_most_ms: float = 0.0
    denials: int = 0
    denial_most_ms: float = 0.0
    denial: str = ""
    skipped: int = 0

    @property
    def wait_mean_ms(self) -> float | None:
        """How long the application waited for a connection on average; None where it never asked for one."""
        return self.wait_total_ms / self.waits if self.waits else None

    @property
    def hold_mean_ms(self) -> float | None:
        """How long the application kept a connection on average; None where none came back."""
        return self.hold_total_ms / self.holds if self.holds else None


def read(path: Path, told: Told | None = None) -> Iterator[Execution]:
    """Yield what was recorded, in the file's order, and tell ``told`` the rest.

    The file is read twice: how long a connection was kept is known only after what was sent on it.

    :raises BadFile: it cannot be read, or holds something else.
    """
    told = Told() if told is None else told
    held = {(key, checkout): ms for _, key, checkout, ms in _items(path, "held", Told())}
    for ms in held.values():
        told.holds += 1
        told.hold_total_ms += ms
        told.hold_most_ms = max(told.hold_most_ms, ms)
    texts: dict[tuple[str, int], tuple[str, str]] = {}
    for kind, key, *rest in _items(path, None, told):
        if kind == "dbtune":
            told.processes.add(key)
        elif kind == "text":
            texts[key, rest[0]] = (rest[1], rest[2])
        elif kind == "denied":
            _, ms, _, error = rest
            told.denials += 1
            told.denial_most_ms = max(told.denial_most_ms, ms)
            told.denial = told.denial or error
        elif kind == "sent":
            number, began, ms, rows, calls, route, error, sqlstate, checkout, wait, values = rest
            if (text := texts.get((key, number))) is None:
                told.skipped += 1
                continue
            if wait is not None:
                told.waits += 1
                told.wait_total_ms += wait
                told.wait_most_ms = max(told.wait_most_ms, wait)
            statement, driver = text
            pairs = [v if isinstance(v, list) else (text_format(v), type_stated(v, driver)) for v in values]
            yield Execution(
                statement=statement,
                values=tuple([value for value, _ in pairs]),
                types=tuple([type_ for _, type_ in pairs]),
                duration_ms=ms,
                rows=rows,
                calls=calls,
                route=route,
                error=error,
                sqlstate=sqlstate,
                time=None if began is None else datetime.fromtimestamp(began, UTC),
                process=int(key.partition("-")[0]),
                pool_wait_ms=wait,
                hold_ms=held.get((key, checkout)) if wait is not None else None,
            )


_LENGTHS = {"dbtune": 4, "text": 5, "sent": 13, "held": 4, "denied": 6}


def _items(path: Path, wanted: str | None, told: Told) -> Iterator[Any]:
    """Yield the lines that were read whole, without the version; of one kind, or of all."""
    seen = False
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if wanted is not None and not line.startswith(f'["{wanted}"'):
                    if not seen and line.startswith('["dbtune"'):
                        seen = True
                    continue
                item = _item(line)
                if item is None:
                    told.skipped += 1
                    continue
                if item[0] == "dbtune":
                    seen = True
                    if item[1] != VERSION:
                        raise BadFile(path, f"was written by another version of dbtune (format {item[1]})")
                    yield [item[0], *item[2:]]
                else:
                    yield item
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}") from None
    if not seen and path.stat().st_size:
        raise BadFile(path, "is no recording of dbtune capture sqlalchemy")


def _item(line: str) -> list[Any] | None:
    try:
        item = json.loads(line)
    except ValueError:
        return None
    if not isinstance(item, list) or not item:
        return None
    kind = item[0]
    length = len(item) - (1 if kind == "dbtune" else 0)
    return item if isinstance(kind, str) and _LENGTHS.get(kind) == length else None

"""Log files as entries: what they are packed with, their format and prefix are found out; memory stays constant."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from dbtune.errors import BadFile
from dbtune.workload.capture.log import csvlog, jsonlog, stderr
from dbtune.workload.capture.log.entry import LONGEST, Entry, Unread
from dbtune.workload.capture.log.prefix import Prefix, fitting

_BLOCK = 2**20
_SAMPLE_LINES = 2000
_POLL_SECONDS = 0.2
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstandard"}
_LONGEST_MAGIC = max(map(len, _PACKED))


class Format(StrEnum):
    """A value of log_destination."""

    STDERR = "stderr"
    CSVLOG = "csvlog"
    JSONLOG = "jsonlog"


@dataclass(slots=True)
class Reading:
    """What is found out while a log is read. ``bytes`` are those of its text, unpacked."""

    format: Format | None = None
    prefix: Prefix | None = None
    bytes: int = 0
    unread: Unread = field(default_factory=Unread)


def read(
    source: Path | BinaryIO, prefix: Prefix | None = None, *, reading: Reading | None = None, name: str | None = None
) -> Iterator[Entry]:
    """Yield the entries of one log file, packed or not, or of a stream of bytes.

    ``prefix`` is the server's log_line_prefix, which matters for stderr's format only; without one it is found out.
    ``reading`` is told what was found.

    :raises BadFile: it cannot be read, is not a log, or was written with another prefix; the message says which.
    """
    reading = Reading() if reading is None else reading
    with ExitStack() as stack:
        if isinstance(source, Path):
            name = name or str(source)
            stream = stack.enter_context(_opened(source))
        else:
            name = name or "standard input"
            stream = source
        yield from entries(_explained(_batches(unpacked(stream, name), reading), name), prefix, reading, name)


def entries(batches: Iterator[list[str]], prefix: Prefix | None, reading: Reading, name: str) -> Iterator[Entry]:
    """Yield the entries of a log's lines; an empty batch means that nothing more is there for the moment.

    :raises BadFile: as :func:`read`.
    """
    first: list[list[str]] = []
    if reading.format is None:
        lines: list[str] = []
        for batch in batches:
            first.append(batch)
            lines += batch
            if len(lines) >= _SAMPLE_LINES:
                break
            if not batch and lines:
                break
        detect(lines[:_SAMPLE_LINES], prefix, reading, name)
    whole = chain(first, batches)
    match reading.format:
        case Format.CSVLOG:
            yield from csvlog.entries(whole, reading.unread)
        case Format.JSONLOG:
            yield from jsonlog.entries(whole, reading.unread)
        case Format.STDERR:
            assert reading.prefix is not None
            yield from stderr.entries(whole, reading.prefix, reading.unread)


def detect(lines: Sequence[str], prefix: Prefix | None, reading: Reading, name: str) -> None:
    """Tell ``reading`` the format of the lines, and stderr's prefix; a log without any lines keeps None.

    :raises BadFile: no format fits, or not this prefix.
    """
    said = [line for line in lines if line and not line.isspace()]
    if not said:
        return
    if any(_is_json(line) for line in said[:50]):
        reading.format = Format.JSONLOG
        return
    if any(csvlog.HEAD.match(line) for line in said):
        reading.format = Format.CSVLOG
        return
    reading.format = Format.STDERR
    heads = [line for line in said if not line.startswith("\t")]
    if prefix is not None and (prefix.matches(heads) * 2 >= len(heads) or len(heads) < 2):
        reading.prefix = prefix
        return
    reading.prefix = fits = fitting(said)
    if prefix is not None and fits is not None:
        if prefix.matches(heads) >= fits.matches(heads):
            reading.prefix = prefix
        else:
            raise BadFile(name, f"was not written with --prefix {prefix.text!r}; {fits.text!r} fits")
    elif fits is None:
        if prefix is not None and prefix.matches(heads):
            reading.prefix = prefix
            return
        what = f"--prefix {prefix.text!r} does not fit, nor does any common one" if prefix else "no common prefix fits"
        raise BadFile(
            name, f"{what}; is it a server's log with messages in English? then give its log_line_prefix with --prefix"
        )


def _is_json(line: str) -> bool:
    if not line.startswith("{"):
        return False
    try:
        return "error_severity" in json.loads(line)
    except (ValueError, RecursionError):
        return False


def _opened(path: Path) -> BinaryIO:
    try:
        if path.is_dir():
            raise BadFile(path, "is a folder; name the log files in it")
        return path.open("rb")
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}") from None


def unpacked(stream: BinaryIO, name: str) -> BinaryIO:
    """Return the text of a stream that may be packed with gzip, bzip2, xz or zstandard.

    :raises BadFile: it is packed with zstandard, and the package for that is not installed.
    """
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, stream))
    head = buffered.peek(_LONGEST_MAGIC)
    match next((kind for magic, kind in _PACKED.items() if head.startswith(magic)), None):
        case "gzip":
            return cast(BinaryIO, gzip.GzipFile(fileobj=buffered))
        case "bzip2":
            return cast(BinaryIO, bz2.BZ2File(buffered))
        case "xz":
            return cast(BinaryIO, lzma.LZMAFile(buffered))
        case "zstandard":
            return _zstandard(buffered, name)
    return buffered


def _zstandard(stream: io.BufferedReader, name: str) -> BinaryIO:
    try:
        zstandard = import_module("zstandard")
    except ImportError:
        raise BadFile(name, "is packed with zstandard; install the Python package zstandard, or unpack it") from None
    return cast(BinaryIO, zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True))


def is_packed(head: bytes) -> bool:
    """Return whether a file that begins so is packed in a way that :func:`unpacked` knows."""
    return head.startswith(tuple(_PACKED))


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    read_some = getattr(stream, "read1", stream.read)  # what a pipe has, not what fills a block
    while block := read_some(_BLOCK):
        yield block


def _batches(stream: BinaryIO, reading: Reading) -> Iterator[list[str]]:
    lines = _Lines(reading)
    for block in _blocks(stream):
        if batch := lines.add(block):
            yield batch
    if batch := lines.rest():
        yield batch


class _Lines:
    """Blocks of bytes become lines; the last one waits for its end."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._pending: list[bytes] = []
        self._size = 0
        self._dropping = False

    def add(self, block: bytes) -> list[str]:
        """Return the lines that end in the block."""
        self._reading.bytes += len(block)
        end = block.rfind(b"\n")
        if end < 0:
            self._keep(block)
            return []
        whole = block[:end]
        if self._dropping:
            whole = whole.partition(b"\n")[2]
            self._dropping = False
        elif self._pending:
            whole = b"".join((*self._pending, whole))
        self._pending.clear()
        self._size = 0
        if rest := block[end + 1 :]:
            self._keep(rest)
        return whole.decode("utf-8", "replace").split("\n")

    def rest(self) -> list[str]:
        """Return the last line, which has no end."""
        last = b"".join(self._pending)
        self._pending.clear()
        self._size = 0
        return [last.decode("utf-8", "replace")] if last else []

    def _keep(self, piece: bytes) -> None:
        if self._dropping:
            return
        self._size += len(piece)
        self._pending.append(piece)
        if self._size > LONGEST:  # no server writes such a line
            self._reading.unread.add(self._pending[0][:80].decode("utf-8", "replace"))
            self._pending.clear()
            self._dropping = True


def _explained(batches: Iterator[list[str]], name: str) -> Iterator[list[str]]:
    """Turn what reading or unpacking cannot do into one line; what was read before it counts."""
    try:
        yield from batches
    except EOFError:
        raise BadFile(name, "breaks off: the packed file is not whole") from None
    except (OSError, zlib.error, lzma.LZMAError) as error:
        raise BadFile(name, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except Exception as error:
        if type(error).__module__.split(".")[0] == "zstandard":
            raise BadFile(name, f"cannot be unpacked: {error}") from None
        raise


def follow(
    path: Path,
    prefix: Prefix | None = None,
    *,
    reading: Reading | None = None,
    stopped: Callable[[], bool] = lambda: False,
    poll_seconds: float = _POLL_SECONDS,
) -> Iterator[Entry]:
    """Yield the entries of a file that is there and of what is written to it, until ``stopped``.

    When the file is cut, or another takes its name, what was left of it is read first, then the new one from its
    beginning. It must not be packed.

    :raises BadFile: as :func:`read`.
    """
    reading = Reading() if reading is None else reading
    batches = _explained(_growing(path, reading, stopped, poll_seconds), str(path))
    yield from entries(batches, prefix, reading, str(path))


def _growing(path: Path, reading: Reading, stopped: Callable[[], bool], seconds: float) -> Iterator[list[str]]:
    stream = _opened(path)
    lines = _Lines(reading)
    position = 0
    idle = False
    end: int | None = None  # where to stop: what was there when it was asked for is still read
    try:
        while True:
            if end is None and stopped():
                end = os.fstat(stream.fileno()).st_size
            if end is not None and position >= end:
                break
            if block := stream.read(_BLOCK):
                position += len(block)
                idle = False
                if batch := lines.add(block):
                    yield batch
                continue
            if (changed := _changed(path, stream, position)) is None:
                if not idle:
                    yield []
                    idle = True
                time.sleep(seconds)
                continue
            # written between the last read and the rename
            if changed and (rest := stream.read()) and (batch := lines.add(rest)):
                yield batch
            if batch := lines.rest():
                yield batch
            if changed:
                with suppress(FileNotFoundError):
                    replacement = path.open("rb")
                    stream.close()
                    stream = replacement
            else:
                stream.seek(0)
            position = 0
        if batch := lines.rest():
            yield batch
    finally:
        stream.close()


def _changed(path: Path, stream: BinaryIO, position: int) -> bool | None:
    """Return True if another file has the name, False if the same was cut, None if neither."""
    ours = os.fstat(stream.fileno())
    try:
        there = path.stat()
    except FileNotFoundError:
        return None
    if (there.st_ino, there.st_dev) != (ours.st_ino, ours.st_dev):
        return True
    return False if there.st_size < position else None


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a file that begin and end with entries."""

    path: Path
    start: int
    end: int


def parts(path: Path, reading: Reading, size: int) -> list[Part]:
    """Return a plain file in parts of about ``size`` bytes, each of which begins with an entry.

    ``reading`` knows the format and prefix, as :func:`probe` finds them.
    """
    with _opened(path) as stream:
        length = stream.seek(0, 2)
        starts = [0]
        while starts[-1] + size < length:
            start = _next_head(stream, starts[-1] + size, reading)
            if start is None:
                break
            starts.append(start)
    return [Part(path, start, end) for start, end in zip(starts, [*starts[1:], length], strict=True)]


def _next_head(stream: BinaryIO, at: int, reading: Reading) -> int | None:
    """Return where the first entry begins after byte ``at``; None for none."""
    stream.seek(at)
    stream.readline()
    while True:
        position = stream.tell()
        line = stream.readline(_BLOCK)
        if not line:
            return None
        text = line.rstrip(b"\n").decode("utf-8", "replace")
        match reading.format:
            case Format.CSVLOG:
                if csvlog.HEAD.match(text):
                    return position
            case Format.JSONLOG:
                return position
            case _:
                assert reading.prefix is not None
                found = reading.prefix.pattern.match(text)
                if found is not None and found["severity"] not in stderr.PARTS:
                    return position


def probe(path: Path, prefix: Prefix | None) -> Reading | None:
    """Return what a plain file's first lines tell of its format and prefix; None for one that is packed or empty.

    :raises BadFile: as :func:`read`.
    """
    reading = Reading()
    with _opened(path) as stream:
        block = stream.read(_BLOCK)
    if is_packed(block):
        return None
    detect(block.decode("utf-8", "replace").split("\n")[:_SAMPLE_LINES], prefix, reading, str(path))
    reading.unread = Unread()
    return reading if reading.format is not None else None


def read_part(part: Part, reading: Reading) -> Iterator[Entry]:
    """Yield the entries of a part of a plain file.

    :raises BadFile: the file cannot be read.
    """
    with _opened(part.path) as stream:
        stream.seek(part.start)
        batches = _explained(_bounded(stream, part.end - part.start, reading), str(part.path))
        yield from entries(batches, None, reading, str(part.path))


def _bounded(stream: BinaryIO, length: int, reading: Reading) -> Iterator[list[str]]:
    lines = _Lines(reading)
    while length > 0 and (block := stream.read(min(length, _BLOCK))):
        length -= len(block)
        if batch := lines.add(block):
            yield batch
    if batch := lines.rest():
        yield batch

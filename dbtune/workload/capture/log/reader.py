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
from typing import Any, BinaryIO, cast

from dbtune.errors import BadFile
from dbtune.workload.capture.log import application, blocks, csvlog, jsonlog, stderr
from dbtune.workload.capture.log.application import Evidence
from dbtune.workload.capture.log.blocks import Lines
from dbtune.workload.capture.log.entry import Entry, Unread
from dbtune.workload.capture.log.prefix import Prefix, fitting

_SAMPLE_LINES = 2000
_FED = 4096  # a block of zstandard is up to 128 kB, be it packed in four bytes
_POLL_SECONDS = 0.2
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstandard"}
_LONGEST_MAGIC = max(map(len, _PACKED))


class Format(StrEnum):
    """A value of log_destination, or the log of an application."""

    STDERR = "stderr"
    CSVLOG = "csvlog"
    JSONLOG = "jsonlog"
    APPLICATION = "application"


@dataclass(slots=True)
class Reading:
    """What is found out while a log is read.

    ``bytes`` are those of its text, unpacked. ``is_crlf``: its lines end as on Windows. ``evidence`` of pools is in
    an application's log, and in lines of a server's log that belong to no entry. ``progress`` is told how many bytes
    of the file were read, each time some were.
    """

    format: Format | None = None
    prefix: Prefix | None = None
    is_crlf: bool = False
    bytes: int = 0
    unread: Unread = field(default_factory=Unread)
    evidence: Evidence = field(default_factory=Evidence)
    progress: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        self.unread.told = self.evidence.add

    def count(self, size: int, position: int) -> None:
        """Add to the bytes of text; ``position`` is how far the file was read."""
        self.bytes += size
        if self.progress is not None:
            self.progress(position)


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

        def counted(size: int) -> None:
            reading.count(size, stream.tell() if isinstance(source, Path) else 0)

        texts = blocks.blocks(unpacked(stream, name), reading.unread, counted)
        yield from entries(_explained(texts, name), prefix, reading, name)


def entries(texts: Iterator[str], prefix: Prefix | None, reading: Reading, name: str) -> Iterator[Entry]:
    """Yield the entries of a log's blocks of lines; an empty block: nothing more is there for the moment.

    :raises BadFile: as :func:`read`.
    """
    first: list[str] = []
    if reading.format is None:
        lines: list[str] = []
        for text in texts:
            first.append(text)
            lines += text.split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES]
            if len(lines) >= _SAMPLE_LINES or (lines and not text):
                break
        detect(lines[:_SAMPLE_LINES], prefix, reading, name)
    whole: Iterator[str] = chain(first, texts)
    if reading.is_crlf:
        whole = (text.replace("\r\n", "\n") for text in whole)
    match reading.format:
        case Format.CSVLOG:
            yield from csvlog.entries(whole, reading.unread)
        case Format.JSONLOG:
            yield from jsonlog.entries(whole, reading.unread)
        case Format.STDERR:
            assert reading.prefix is not None
            yield from stderr.entries(whole, reading.prefix, reading.unread)
        case Format.APPLICATION:
            for text in whole:
                reading.evidence.add(text)


def detect(lines: Sequence[str], prefix: Prefix | None, reading: Reading, name: str) -> None:
    """Tell ``reading`` the format of the lines, and stderr's prefix; a log without any lines keeps None.

    Where a server's and an application's log are mixed it is the server's: of the other lines nothing is lost.

    :raises BadFile: no format fits, or not this prefix.
    """
    said = [line for line in lines if line and not line.isspace()]
    if not said:
        return
    reading.is_crlf = all(line.endswith("\r") and len(line) > 1 for line in said)
    if reading.is_crlf:
        said = [line[:-1] for line in said]
    if any(_is_json(line) for line in said):
        reading.format = Format.JSONLOG
    elif any(csvlog.HEAD.match(line) for line in said):
        reading.format = Format.CSVLOG
    elif (found := _prefix(said, prefix, name)) is not None:
        reading.format, reading.prefix = Format.STDERR, found
    elif application.signs(said):
        reading.format = Format.APPLICATION
    else:
        what = f"--prefix {prefix.text!r} does not fit, nor does any common one" if prefix else "no common prefix fits"
        raise BadFile(
            name,
            f"{what}, and nothing in it is like an application's log; is it a server's log with messages in English?"
            " then give its log_line_prefix with --prefix",
        )


def _prefix(said: Sequence[str], given: Prefix | None, name: str) -> Prefix | None:
    """Return the prefix with which a server wrote the lines, None where no server did.

    :raises BadFile: another prefix than the one that is given fits.
    """
    begun = [line for line in said if not line.startswith("\t")]
    if given is not None and (given.matches(begun) * 2 >= len(begun) or len(begun) < 2):
        return given
    fits = fitting(said)
    if fits is not None and not fits.is_common and application.signs(said) > fits.matches(said):
        fits = None
    if given is None or (fits is None and not given.matches(begun)):
        return fits
    if fits is None or given.matches(begun) >= fits.matches(begun):
        return given
    raise BadFile(name, f"was not written with --prefix {given.text!r}; {fits.text!r} fits")


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
    return io.BufferedReader(_Unpacking(stream, zstandard.ZstdDecompressor()), blocks.SIZE)


def is_packed(head: bytes) -> bool:
    """Return whether a file that begins so is packed in a way that :func:`unpacked` knows."""
    return head.startswith(tuple(_PACKED))


class _Unpacking(io.RawIOBase):
    """The text of a stream packed with zstandard, frame after frame.

    The package's own reader ends without a word where the file breaks off.
    """

    def __init__(self, packed: BinaryIO, decompressor: Any) -> None:
        self._packed = packed
        self._decompressor = decompressor
        self._frame: Any = None
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            given = self._frame.unused_data if self._frame is not None and self._frame.eof else b""
            given = given or self._packed.read(_FED)
            if not given:
                if self._frame is not None and not self._frame.eof:
                    raise EOFError
                return 0
            if self._frame is None or self._frame.eof:
                self._frame = self._decompressor.decompressobj()
            self._ready = self._frame.decompress(given)
        taken = self._ready[: len(buffer)]
        buffer[: len(taken)] = taken
        self._ready = self._ready[len(taken) :]
        return len(taken)


def _explained(texts: Iterator[str], name: str) -> Iterator[str]:
    """Turn what reading or unpacking cannot do into one line; what was read before it counts."""
    try:
        yield from texts
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
    texts = _explained(_growing(path, reading, stopped, poll_seconds), str(path))
    yield from entries(texts, prefix, reading, str(path))


def _growing(path: Path, reading: Reading, stopped: Callable[[], bool], seconds: float) -> Iterator[str]:
    stream = _opened(path)
    lines = Lines(reading.unread)
    position = 0
    polls = 0  # since something was read
    end: int | None = None  # where to stop: what was there when it was asked for is still read
    try:
        while True:
            if end is None and stopped():
                end = os.fstat(stream.fileno()).st_size
            if end is not None and position >= end:
                break
            if block := stream.read(blocks.SIZE):
                position += len(block)
                polls = 0
                reading.count(len(block), position)
                if text := lines.add(block):
                    yield text
                continue
            if (changed := _changed(path, stream, position)) is None:
                polls += 1
                if polls == 2:  # the first may come between two lines of an entry
                    yield ""
                time.sleep(seconds)
                continue
            # written between the last read and the rename
            if changed and (rest := stream.read()) and (text := lines.add(rest)):
                yield text
            if text := lines.rest():
                yield text
            if changed:
                with suppress(FileNotFoundError):
                    replacement = path.open("rb")
                    stream.close()
                    stream = replacement
            else:
                stream.seek(0)
            position = 0
        if text := lines.rest():
            yield text
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
        line = stream.readline(blocks.SIZE)
        if not line:
            return None
        text = line.rstrip(b"\r\n").decode("utf-8", "replace")
        match reading.format:
            case Format.CSVLOG:
                if csvlog.HEAD.match(text):
                    return position
            case Format.JSONLOG | Format.APPLICATION:
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
        block = stream.read(blocks.SIZE)
    if is_packed(block):
        return None
    detect(block.decode("utf-8", "replace").split("\n")[:_SAMPLE_LINES], prefix, reading, str(path))
    return reading if reading.format is not None else None


def read_part(part: Part, reading: Reading) -> Iterator[Entry]:
    """Yield the entries of a part of a plain file.

    :raises BadFile: the file cannot be read.
    """
    with _opened(part.path) as stream:
        stream.seek(part.start)
        length = part.end - part.start
        texts = blocks.blocks(stream, reading.unread, lambda size: reading.count(size, 0), length)
        yield from entries(_explained(texts, str(part.path)), None, reading, str(part.path))

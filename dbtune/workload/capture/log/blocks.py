"""A log's bytes as text in blocks of whole lines, so that regular expressions and not loops go through the lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from dbtune.workload.capture.log.entry import LONGEST, Unread

SIZE = 2**20


def blocks(
    stream: BinaryIO, unread: Unread, counted: Callable[[int], None], length: int | None = None
) -> Iterator[str]:
    """Yield the text of a stream, or of its next ``length`` bytes, in blocks that end with a line break.

    ``counted`` is told how many bytes were read.
    """
    lines = Lines(unread)
    for block in _read(stream, length):
        counted(len(block))
        if text := lines.add(block):
            yield text
    if text := lines.rest():
        yield text


def _read(stream: BinaryIO, length: int | None) -> Iterator[bytes]:
    read_some = getattr(stream, "read1", stream.read)  # what a pipe has, not what fills a block
    while length is None or length > 0:
        block = read_some(SIZE if length is None else min(SIZE, length))
        if not block:
            return
        if length is not None:
            length -= len(block)
        yield block


class Lines:
    """Blocks of bytes become blocks of whole lines; the last line waits for its end."""

    def __init__(self, unread: Unread) -> None:
        self._unread = unread
        self._pending: list[bytes] = []
        self._size = 0
        self._dropping = False

    def add(self, block: bytes) -> str:
        """Return the lines that end in the block, each with its line break."""
        end = block.rfind(b"\n") + 1
        if not end:
            self._keep(block)
            return ""
        whole = block[:end]
        if self._dropping:
            whole = whole.partition(b"\n")[2]
            self._dropping = False
        elif self._pending:
            whole = b"".join((*self._pending, whole))
        self._pending.clear()
        self._size = 0
        if end < len(block):
            self._keep(block[end:])
        return _text(whole)

    def rest(self) -> str:
        """Return the last line, which has no end, with one."""
        last = b"".join(self._pending)
        self._pending.clear()
        self._size = 0
        return _text(last + b"\n") if last else ""

    def _keep(self, piece: bytes) -> None:
        if self._dropping:
            return
        self._size += len(piece)
        self._pending.append(piece)
        if self._size > LONGEST:  # no server writes such a line
            self._unread.add(_text(self._pending[0][:80]))
            self._pending.clear()
            self._dropping = True


def _text(lines: bytes) -> str:
    """Return bytes as text, without NULs: a log that was cut while the server wrote on begins with those."""
    if b"\0" in lines:
        lines = lines.replace(b"\0", b"")
    return lines.decode("utf-8", "replace")


class Tail:
    """The beginning of an entry, which waits for the rest of it: up to :data:`LONGEST` characters in whole lines."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0

    def add(self, text: str) -> None:
        """Let more of the entry wait; it is dropped where the entry is too long."""
        self._size += len(text)
        if self._size <= LONGEST:
            self._pieces.append(text)

    def cut(self, block: str, at: int) -> str:
        """Return what waited and the block up to character ``at``; the rest of the block waits."""
        text = self.taken() + block[:at]
        self.add(block[at:])
        return text

    def taken(self) -> str:
        """Return what waited; nothing waits any more."""
        text = "".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return text

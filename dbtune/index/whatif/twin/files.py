"""Files of relations: a few written pages and a hole of any size behind them, which takes no room on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dbtune.server.account import Account
from dbtune.snapshot.value import BLOCK

SEGMENT = 131_072
"""Pages of a relation's file after which the next file begins (RELSEG_SIZE)."""


@dataclass(frozen=True, slots=True)
class Files:
    """The folder of a database, whose files belong to ``owner``."""

    folder: Path
    owner: Account

    def content(self, node: int) -> bytes:
        """Return what the file of the relation with this pg_class.relfilenode holds (its first gigabyte)."""
        return (self.folder / str(node)).read_bytes()

    def beginning(self, node: int, size: int) -> bytes:
        """Return the first ``size`` bytes of that file."""
        with (self.folder / str(node)).open("rb") as file:
            return file.read(size)

    def head(self, node: int) -> bytes:
        """Return its first page."""
        return self.beginning(node, BLOCK)

    def remove(self, node: int) -> None:
        """Remove the file of that number, which must be no relation's any more."""
        (self.folder / str(node)).unlink(missing_ok=True)

    def write(self, node: int, content: bytes, pages: int) -> None:
        """Make the file of a relation that begins with ``content`` and has so many pages, all others of zeros.

        :raises FileExistsError: there is one already.
        """
        for number, (name, size) in enumerate(segments(node, max(pages, len(content) // BLOCK))):
            handle = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                if number == 0:
                    file.write(content)
                file.truncate(size)
                if not self.owner.is_ourselves:
                    os.fchown(file.fileno(), self.owner.uid, self.owner.gid)


def segments(node: int, pages: int) -> Iterator[tuple[str, int]]:
    """Yield the name and the size in bytes of each file of a relation with so many pages."""
    yield str(node), min(pages, SEGMENT) * BLOCK
    for number in range(1, -(-pages // SEGMENT)):
        yield f"{node}.{number}", min(pages - number * SEGMENT, SEGMENT) * BLOCK

"""Files with holes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbtune.index.whatif.twin.files import SEGMENT, Files, segments
from dbtune.server import account
from dbtune.snapshot.value import BLOCK


def files(folder: Path) -> Files:
    return Files(folder, account.owner(folder))


def test_a_large_file_is_several_of_a_gigabyte_and_takes_no_room(tmp_path: Path) -> None:
    files(tmp_path).write(4_000_000_000, b"x" * BLOCK, 3 * SEGMENT + 7)
    found = {path.name: path.stat() for path in tmp_path.iterdir()}
    assert {name: each.st_size for name, each in found.items()} == {
        "4000000000": SEGMENT * BLOCK,
        "4000000000.1": SEGMENT * BLOCK,
        "4000000000.2": SEGMENT * BLOCK,
        "4000000000.3": 7 * BLOCK,
    }
    assert sum(each.st_blocks * 512 for each in found.values()) < 100_000
    assert {each.st_mode & 0o777 for each in found.values()} == {0o600}
    assert files(tmp_path).head(4_000_000_000) == b"x" * BLOCK


def test_a_file_is_never_smaller_than_what_is_in_it(tmp_path: Path) -> None:
    files(tmp_path).write(9, b"x" * 3 * BLOCK, 1)
    assert files(tmp_path).content(9) == b"x" * 3 * BLOCK


def test_no_file_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "9").write_bytes(b"")
    with pytest.raises(FileExistsError):
        files(tmp_path).write(9, b"", 1)


@pytest.mark.parametrize(
    ("pages", "expected"),
    [(0, [("1", 0)]), (SEGMENT, [("1", SEGMENT * BLOCK)]), (SEGMENT + 1, [("1", SEGMENT * BLOCK), ("1.1", BLOCK)])],
)
def test_segments(pages: int, expected: list[tuple[str, int]]) -> None:
    assert list(segments(1, pages)) == expected

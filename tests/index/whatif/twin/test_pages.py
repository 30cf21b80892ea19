"""The first pages of index files, byte by byte."""

from __future__ import annotations

import struct

import pytest

from dbtune.index.whatif.twin.pages import NotAsExpected, btree_level, grown_brin, grown_btree
from dbtune.snapshot.value import BLOCK


def metapage(root: int = 1, level: int = 0) -> bytes:
    page = bytearray(BLOCK)
    struct.pack_into("<IIIIII", page, 24, 0x053162, 4, root, level, root, level)
    return bytes(page)


def leaf(flags: int = 3) -> bytes:
    page = bytearray(BLOCK)
    page[100:108] = b"contents"
    struct.pack_into("<IIIHH", page, BLOCK - 16, 0, 0, 0, flags, 0)
    return bytes(page)


def opaque(file: bytes, block: int) -> tuple[int, ...]:
    return struct.unpack_from("<IIIHH", file, block * BLOCK + BLOCK - 16)


def below(file: bytes, block: int) -> int:
    """Follow the one downlink of an inner page, as _bt_search does."""
    (pointer,) = struct.unpack_from("<I", file, block * BLOCK + 24)
    offset, in_use, length = pointer & 0x7FFF, pointer >> 15 & 3, pointer >> 17
    high, low, attributes, info = struct.unpack_from("<HHHH", file, block * BLOCK + offset)
    lower, upper, special = struct.unpack_from("<HHH", file, block * BLOCK + 12)
    assert (in_use, length, attributes, info) == (1, 8, 0, 8 | 0x2000)
    assert (lower, upper, special) == (28, offset, BLOCK - 16)
    return int(high << 16 | low)


@pytest.mark.parametrize("level", [1, 2, 5])
def test_every_level_has_a_page_that_leads_down_to_the_leaf(level: int) -> None:
    file = grown_btree(metapage() + leaf(), level)
    root, height, fast_root, fast_height = struct.unpack_from("<IIII", file, 32)
    assert (root, height) == (fast_root, fast_height) == (2, level)
    assert btree_level(file) == level
    assert len(file) == (2 + level) * BLOCK
    at = root
    for expected in range(level, 0, -1):
        previous, following, found, flags, _ = opaque(file, at)
        assert (previous, following, found) == (0, 0, expected)
        assert flags == (2 if expected == level else 0)
        at = below(file, at)
    assert at == 1
    assert opaque(file, 1)[3] == 1, "the leaf is the root no more"
    assert file[BLOCK + 100 : BLOCK + 108] == b"contents"


def test_a_low_tree_stays_as_it_is() -> None:
    assert grown_btree(metapage() + leaf(), 0) == metapage() + leaf()


def test_an_index_without_rows_gets_an_empty_leaf() -> None:
    file = grown_btree(metapage(root=0), 2)
    assert len(file) == 4 * BLOCK
    assert opaque(file, 1) == (0, 0, 0, 1, 0)
    assert below(file, below(file, 2)) == 1


@pytest.mark.parametrize(
    "content", [b"", bytes(BLOCK), metapage(level=1) + leaf(), metapage() + leaf() + leaf()], ids=range(4)
)
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(NotAsExpected):
        grown_btree(content, 1)


@pytest.mark.parametrize(("heap", "maps"), [(1, 1), (128 * 1360, 1), (128 * 1360 + 1, 2), (1_000_000_000, 5745)])
def test_a_brin_map_is_as_long_as_the_table_needs(heap: int, maps: int) -> None:
    page = bytearray(BLOCK)
    struct.pack_into("<IIII", page, 24, 0xA8109CFA, 1, 128, 1)
    grown = grown_brin(bytes(page), heap)
    assert struct.unpack_from("<IIII", grown, 24) == (0xA8109CFA, 1, 128, maps)
    with pytest.raises(NotAsExpected):
        grown_brin(metapage(), heap)

"""Index files whose first pages say what a planner reads there, as bytes: how high a btree is, how long a BRIN's map.

A file begins with the pages that CREATE INDEX wrote for two rows, in the layout of bufpage.h, nbtree.h and brin_page.h,
the same in PostgreSQL 13 to 18. All the rest of a file is a hole.
"""

from __future__ import annotations

import struct

from dbtune.snapshot.value import BLOCK

HEADER = 24
"""Bytes of a page's header (SizeOfPageHeaderData); a metapage's fields begin behind it."""

_BTREE_MAGIC = 0x053162
_BTREE_ROOT = struct.Struct("<IIII")  # btm_root, btm_level, btm_fastroot, btm_fastlevel
_BTREE_ROOT_AT = HEADER + 8
_BTREE_OPAQUE = struct.Struct("<IIIHH")  # previous, next, level, flags, cycle
_BTREE_OPAQUE_AT = BLOCK - _BTREE_OPAQUE.size
_IS_LEAF, _IS_ROOT = 1, 2
_DOWNLINK = struct.Struct("<HHHH")  # block high and low, number of key columns, size and kind
_PIVOT = 0x2000  # INDEX_ALT_TID_MASK: the tuple points to a page, not to a row

_BRIN_MAGIC = 0xA8109CFA
_REVMAP_ENTRIES = 1360  # REVMAP_PAGE_MAXITEMS: row addresses of 6 bytes on a page


class NotAsExpected(ValueError):
    """The file is not what CREATE INDEX writes for two rows."""


def btree_level(content: bytes) -> int:
    """Return the level of the root that a btree's metapage tells; a leaf has level 0.

    :raises NotAsExpected: it is no btree.
    """
    if len(content) < BLOCK or struct.unpack_from("<I", content, HEADER)[0] != _BTREE_MAGIC:
        raise NotAsExpected("no metapage of a btree")
    level: int = _BTREE_ROOT.unpack_from(content, _BTREE_ROOT_AT)[3]
    return level


def grown_btree(content: bytes, level: int) -> bytes:
    """Return a btree of one leaf with so many levels above that leaf, each a page that leads only downwards.

    The planner reads the height from the metapage and, for the ends of a column's range, descends to a leaf.

    An index without any row gets a leaf without any.

    :raises NotAsExpected: it is not a metapage, alone or with a leaf that is the root.
    """
    if btree_level(content) != 0 or len(content) > 2 * BLOCK:
        raise NotAsExpected("no btree of one leaf")
    if level == 0:
        return content
    file = bytearray(content)
    if len(content) == BLOCK:
        file += _page(height=0, flags=_IS_LEAF | _IS_ROOT)
    left, right, height, flags, cycle = _BTREE_OPAQUE.unpack_from(file, BLOCK + _BTREE_OPAQUE_AT)
    _BTREE_OPAQUE.pack_into(file, BLOCK + _BTREE_OPAQUE_AT, left, right, height, flags & ~_IS_ROOT, cycle)
    _BTREE_ROOT.pack_into(file, _BTREE_ROOT_AT, 2, level, 2, level)
    for number, at in enumerate(range(level, 0, -1)):
        file += _inner(level=at, below=3 + number if at > 1 else 1, flags=_IS_ROOT if at == level else 0)
    return bytes(file)


def _inner(*, level: int, below: int, flags: int) -> bytes:
    """Return an inner page, the only one of its level, whose one tuple has no key and leads to page ``below``."""
    page = _page(height=level, flags=flags, items=1)
    at = _BTREE_OPAQUE_AT - _DOWNLINK.size
    struct.pack_into("<I", page, HEADER, at | 1 << 15 | _DOWNLINK.size << 17)  # a line pointer in use
    _DOWNLINK.pack_into(page, at, below >> 16, below & 0xFFFF, 0, _DOWNLINK.size | _PIVOT)
    return bytes(page)


def _page(*, height: int, flags: int, items: int = 0) -> bytearray:
    page = bytearray(BLOCK)
    lower, upper = HEADER + 4 * items, _BTREE_OPAQUE_AT - _DOWNLINK.size * items
    struct.pack_into("<QHHHHHHI", page, 0, 0, 0, 0, lower, upper, _BTREE_OPAQUE_AT, BLOCK | 4, 0)
    _BTREE_OPAQUE.pack_into(page, _BTREE_OPAQUE_AT, 0, 0, height, flags, 0)
    return page


def grown_brin(content: bytes, heap_pages: int) -> bytes:
    """Return a BRIN index whose metapage tells of as long a map as a table of so many pages needs.

    :raises NotAsExpected: it is no BRIN index.
    """
    magic, _, per_range, _ = struct.unpack_from("<IIII", content, HEADER) if len(content) >= BLOCK else (0, 0, 0, 0)
    if magic != _BRIN_MAGIC:
        raise NotAsExpected("no metapage of a BRIN index")
    ranges = -(-heap_pages // max(1, per_range))
    file = bytearray(content)
    struct.pack_into("<I", file, HEADER + 12, max(1, -(-ranges // _REVMAP_ENTRIES)))
    return bytes(file)

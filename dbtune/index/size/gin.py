"""The size of a GIN index: a btree of keys, each with the rows that have it, in a tree of their own if they are many.

CREATE INDEX puts keys in in their order, and a page that gets full is split in halves: pages of keys are half full.
Rows are lists of the steps from one to the next, seven bits a byte (ginpostinglist.c). Sources: ginentrypage.c,
gindatapage.c, gininsert.c; manual, 64.4 (GIN Indexes).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from dbtune.index.size import keys, storage
from dbtune.index.size.expression import columns_of, shown
from dbtune.index.size.expression import documents as shown_documents
from dbtune.index.size.keys import Found, Keys
from dbtune.index.size.pages import HEADER, PAGE, POINTER, TUPLE, maxalign
from dbtune.index.size.setting import Setting
from dbtune.index.size.texts import text_bytes
from dbtune.index.size.value import Size

SPACE = PAGE - HEADER - 8
"""Bytes of a page for tuples with their pointers."""

LONGEST = 2712
"""Bytes of a key with its rows from which on these get a tree (GinMaxItemSize)."""

TREE_SPACE = SPACE - 8
"""Bytes of a page of rows, and :data:`SEGMENT` those of one list in it, with a header of eight."""

SEGMENT = 384
_LIST_HEADER = 8
_CHILD = 10
_HALF = 0.5
_ACROSS = 0.6
_LATER = 0.6
_KEYS_UNKNOWN = 10.0
_WORD_BYTES = 6.5
_MEMORY = 64 * 1024 * 1024
_PAIR_BYTES = 9.0
"""Bytes of memory that a pair of key and row takes while an index is built, until maintenance_work_mem is full."""

_CONFIGURATION = re.compile(r"to_tsvector\s*\(\s*'(?:pg_catalog\.)?(\w+)'", re.IGNORECASE)


def size(setting: Setting) -> Size:
    """Return the size of a GIN index right after CREATE INDEX, with nothing in its pending list."""
    rows = setting.held
    error, pairs = 0.15, 0.0
    lists: list[tuple[float, float, int]] = []
    several = len(setting.columns) > 1
    for at in range(len(setting.columns)):
        found, filled = _found(setting, at), _filled(setting, at)
        for group in found.groups:
            width = maxalign(TUPLE + 2) - TUPLE + group.width if several else group.width
            lists.append((group.values, group.share * filled, width))
        lists.append((1.0, 1 - filled, 2 if several else 0))  # all rows without a value
        error = max(error, found.error)
    leaves = squares = trees = entries = names = 0.0
    for values, share, width in lists:
        if share * rows <= 0 or values <= 0:
            continue
        pairs += values * share * rows
        number, expected = _occurring(values, share * rows)
        bytes_ = list_bytes(expected, share, setting.table.pages, setting.rows)
        if TUPLE + width + bytes_ > LONGEST:
            trees += number * tree_pages(bytes_)
            bytes_ = 0.0
        entry = maxalign(TUPLE + width + math.ceil(bytes_ / 2) * 2) + POINTER
        leaves += number * entry
        squares += number * entry * entry
        entries += number
        names += number * (maxalign(TUPLE + width) + POINTER)
    # a page keeps half of what it had, and mostly the half of the key that lies across the middle
    kept = SPACE * (_HALF if pairs * _PAIR_BYTES < _MEMORY else _LATER) + _ACROSS * squares / max(1.0, leaves)
    pages = level = 1 if leaves <= SPACE else math.ceil(leaves / min(SPACE, kept))
    while level > 1:
        level = math.ceil(level * (names / entries) / (SPACE * _HALF))
        pages += level
    error = max([error, *setting.doubts])
    return Size(1 + pages + round(trees), 0, pairs, f"gin, {round(entries)} keys", error)


def list_bytes(rows: float, share: float, pages: int, all_rows: float) -> float:
    """Return the bytes of a list of so many rows, by chance anywhere in the table's pages.

    A step within a page takes one byte; one to another page two, three or four, with its distance in pages.
    """
    on_page = max(1.0, all_rows / max(1, pages))
    chance = -math.expm1(on_page * math.log1p(-min(share, 1 - 1e-12)))  # of a page to have any
    first = min(1.0, chance / (on_page * share)) if share > 0 else 1.0
    none = math.log1p(-min(chance, 1 - 1e-12))
    near, middle = -math.expm1(7.5 * none), -math.expm1(1023.5 * none)
    far = near * 2 + (middle - near) * 3 + (1 - middle) * 4
    return _LIST_HEADER + max(0.0, rows - 1) * ((1 - first) + first * far)


def tree_pages(bytes_: float) -> int:
    """Return the pages of a tree of rows whose lists would be so long."""
    segments = bytes_ * (1 + _LIST_HEADER / (SEGMENT - _LIST_HEADER))
    leaves = math.ceil(segments / (TREE_SPACE // SEGMENT * SEGMENT))
    pages = level = max(1, leaves)
    while level > 1:
        level = math.ceil(level * _CHILD / TREE_SPACE)
        pages += level
    return pages


def _occurring(values: float, mean: float) -> tuple[float, float]:
    """Return how many keys have any row, and how many rows such a one has."""
    if values <= 1 or mean > 30:
        return values, max(1.0, mean)
    number = -values * math.expm1(-mean)
    if number < 1e-9:
        return 0.0, 1.0
    return number, max(1.0, values * mean / number)


def _filled(setting: Setting, at: int) -> float:
    """Return the part of the index's rows whose value is not NULL."""
    spread = setting.spreads[at]
    nulls = sum(group.part for group in spread.groups if group.is_null)
    return 1 - nulls / spread.part if spread.part > 0 else 1.0


def _found(setting: Setting, at: int) -> Found:
    column, statistics = setting.columns[at], setting.statistics[at]
    key, opclass = setting.index.keys[at], setting.index.keys[at].opclass or ""
    type_ = storage.bare(storage.base_type(column.type, setting.snapshot))
    rows = setting.rows
    found: Found | None = None
    if "trgm" in opclass:
        texts = _texts(setting, at)
        found = keys.of_samples(((keys.trigrams(text), weight) for text, weight in texts), rows)
        return found or _unknown(statistics.avg_width + 1.0 if statistics is not None else 20.0, 4)
    if not key.is_column and "to_tsvector" in key.text.lower():
        match = _CONFIGURATION.search(key.text)
        named = match.group(1).lower() if match is not None else "english"
        texts = _texts(setting, at)
        found = keys.of_samples(((keys.lexemes(text, named), weight) for text, weight in texts), rows)
        return found or _unknown((statistics.avg_width if statistics is not None else 60.0) / _WORD_BYTES, 7)
    if statistics is not None and (type_ == "tsvector" or type_.endswith("[]")):
        width = _element_width(type_)
        found = keys.of_elements(statistics, rows, width, lexemes=type_ == "tsvector")
        return found or _unknown(max(1.0, (statistics.avg_width - 21) / 8), width("unknown"))
    if statistics is not None and type_ == "jsonb":
        paths = "path" in opclass
        found = keys.of_samples(
            ((keys.documents(document, paths=paths), weight) for document, weight in shown_documents(statistics)), rows
        )
        return found or _unknown(max(1.0, statistics.avg_width / 16), 4 if paths else 10)
    if statistics is None or type_ in ("tsvector", "jsonb", "hstore") or type_.endswith("[]"):
        return _unknown(_KEYS_UNKNOWN, 8)
    return _scalar(setting, at)


def _scalar(setting: Setting, at: int) -> Found:
    """Return the values themselves as keys, which is what btree_gin takes."""
    spread = setting.whole[at]
    average = sum(bytes_ * part for bytes_, part in spread.widths.items())
    filled = sum(group.part for group in spread.groups if not group.is_null)
    groups = tuple(
        Keys(group.values, group.share / filled, round(average) if group.width is None else group.width)
        for group in spread.groups
        if not group.is_null and filled > 0
    )
    return Found(groups, 0.15)


def _unknown(per_row: float, width: int) -> Found:
    """Return keys of which only their number in a row is guessed: many of them are rare."""
    return Found((Keys(50.0, per_row / 100, width), Keys(5_000.0, per_row / 10_000, width)), 2.0)


def _texts(setting: Setting, at: int) -> Sequence[tuple[str, float]]:
    statistics = setting.statistics[at]
    key = setting.index.keys[at]
    if key.is_column or (statistics is not None and shown(statistics) and "to_tsvector" not in key.text.lower()):
        return shown(statistics) if statistics is not None else ()
    held = [column.statistics or column.inherited for column in columns_of(key.text, setting.table)]
    return keys.joined([each for each in held if each is not None])


def _element_width(type_: str) -> Callable[[str], int]:
    """Return the function that tells the bytes of an array's element or a lexeme."""
    element = storage.bare(type_.removesuffix("[]"))
    fixed = storage.FIXED.get(element, (0, ""))[0]
    if fixed > 0:
        return lambda text: fixed
    return lambda text: storage.packed_header(text_bytes(text))

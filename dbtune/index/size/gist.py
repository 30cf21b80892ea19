"""The size of a GiST index: what its tuples hold by operator class, on pages as full as inserting leaves them.

Pages are filled to 90 % and split where the operator class says, so that how full they are depends on the order in
which values come. From PostgreSQL 14 on points, and from 18 on most types of btree_gist and ranges, are sorted first;
then pages are split four at a time. Sources: gistbuild.c, btree_utils_num.h, btree_utils_var.c, trgm_gist.c,
tsgistidx.c; manual, 64.2 (GiST Indexes).
"""

from __future__ import annotations

import math

from dbtune.index.size import btree, keys, storage
from dbtune.index.size.expression import columns_of, shown
from dbtune.index.size.pages import HEADER, PAGE, POINTER, TUPLE
from dbtune.index.size.setting import Setting
from dbtune.index.size.texts import text_bytes
from dbtune.index.size.value import Size
from dbtune.snapshot.value import Column

SPACE = PAGE - HEADER - 16
"""Bytes of a page for tuples with their pointers."""

INSERTED = 0.61
REPEATED = 0.5
IN_ORDER = 0.45
RANGES = 0.55
SORTED = 1.0
SORTED_VARYING = 0.7
TEXTS = 0.65
SATURATED = 0.48
LEXEMES = 0.72
"""Parts of a page that are used, as measured: values inserted by chance; varying ones of which most are equal; values
that come in their order; ranges, of whose order nothing is known; sorted values of one length; sorted values of several
lengths, and ranges; trigrams, and so many of them that the 96 bits of a signature are all set; lexemes."""

_FULL = 90
_TRIGRAM_SIGNATURE = 12
_SIGNATURE = 124
_LONGEST_ARRAY = 508
"""tsgistidx.c: bytes of a signature, and of lexemes' hashes up to which a row keeps these instead."""

_PAIRS = {1: 2, 2: 4, 4: 8, 8: 16, 16: 32, 6: 16, 12: 16}
"""Bytes of a least and a greatest value by those of one (btree_gist: gbtreekey4, 8, 16, 32)."""

_BOX = 32
_SHAPES = frozenset(["point", "box", "polygon", "circle"])
_SORTED_18 = frozenset(
    """smallint integer bigint real date oid money uuid interval macaddr macaddr8 numeric text character bpchar
    bytea bit boolean time inet cidr""".split()
) | {
    "double precision",
    "character varying",
    "timestamp without time zone",
    "timestamp with time zone",
    "time without time zone",
    "time with time zone",
    "bit varying",
}
_ADDRESS_WIDTH = 16
_ADDRESS_KEY = 8
"""network_gist.c: a key of an IPv4 address, with its header."""


def size(setting: Setting) -> Size:
    """Return the size of a GiST index right after CREATE INDEX."""
    rows = setting.held
    parts, error = [], 0.3
    for at in range(len(setting.columns)):
        column, widths, known = _stored(setting, at)
        parts.append(btree.Part(column, widths))
        error = max(error, 0.3 if known else 0.7)
    null_parts = [_null_part(setting, at) for at in range(len(parts))]
    sizes: dict[int, float] = {}
    for pattern, chance in btree.patterns([*null_parts, *setting.include_nulls]):
        for bytes_, part in btree.sizes([*parts, *setting.include], pattern, SPACE // 2).items():
            sizes[bytes_ + POINTER] = sizes.get(bytes_ + POINTER, 0.0) + chance * part
    mean = sum(bytes_ * part for bytes_, part in sizes.items())
    used, how = _used(setting, mean, varying=len(sizes) > 1)
    leaves = math.ceil(rows * mean / (SPACE * used)) if rows * mean > SPACE * 0.9 else 1
    searched = [setting.index.keys[at] for at in range(len(parts)) if _is_text_search(setting, at)]
    signature = _TRIGRAM_SIGNATURE if any("trgm" in (key.opclass or "") for key in searched) else _SIGNATURE
    inner = POINTER + TUPLE + 8 + signature if searched else mean + 8
    pages = level = max(1, leaves)
    while level > 1:
        level = math.ceil(level / max(2.0, SPACE * min(used, INSERTED) / inner))
        pages += level
    return Size(pages=pages, level=0, tuples=rows, method=f"gist, {how}", error=max([error, *setting.doubts]))


def _used(setting: Setting, mean: float, *, varying: bool) -> tuple[float, str]:
    """Return the part of a page that is used by tuples of ``mean`` bytes, and in words how the index is built."""
    columns = range(len(setting.columns))
    if any(_is_text_search(setting, at) for at in columns):
        trigrams = any("trgm" in (key.opclass or "") for key in setting.index.keys)
        return LEXEMES if not trigrams else SATURATED if mean > 3 * _FULL else TEXTS, "inserted"
    types = [storage.bare(storage.base_type(column.type, setting.snapshot)) for column in setting.columns]
    distinct = max(spread.distinct(setting.part) for spread in setting.spreads)
    runs = setting.held / max(1.0, distinct) > SPACE / mean  # equal values fill whole pages
    if all(_is_sorted(setting, at) for at in columns):
        if any(type_ in _SHAPES for type_ in types):
            return INSERTED, "sorted"
        uneven = any(type_.endswith("range") for type_ in types) or (varying and not runs)
        return SORTED_VARYING if uneven else SORTED, "sorted"
    if any(type_.endswith("range") for type_ in types):
        return RANGES, "inserted"
    if varying and (runs or max(_null_part(setting, at) for at in columns) > 0.5):
        return REPEATED, "inserted"
    first = setting.statistics[0]
    order = abs(first.correlation or 0.0) if first is not None else 0.0
    return INSERTED + (IN_ORDER - INSERTED) * order**4, "inserted"


def _is_sorted(setting: Setting, at: int) -> bool:
    """Return whether the operator class has a sort support function (pg_amproc, number 11) in that version."""
    type_ = storage.bare(storage.base_type(setting.columns[at].type, setting.snapshot))
    opclass = setting.index.keys[at].opclass or ""
    if type_ == "point":
        return setting.snapshot.major >= 14
    if setting.snapshot.major < 18 or opclass in ("inet_ops", "gist_trgm_ops"):
        return False
    return type_ in _SORTED_18 or type_.endswith("range") or _is_enum(setting, at)


def _is_enum(setting: Setting, at: int) -> bool:
    column = setting.columns[at]
    return column.by_value and column.length == 4 and storage.deduplicates(column, None, setting.snapshot)


def _is_text_search(setting: Setting, at: int) -> bool:
    opclass = setting.index.keys[at].opclass or ""
    return "trgm" in opclass or storage.bare(setting.columns[at].type) == "tsvector" or _is_vector(setting, at)


def _is_vector(setting: Setting, at: int) -> bool:
    key = setting.index.keys[at]
    return not key.is_column and "to_tsvector" in key.text.lower()


def _null_part(setting: Setting, at: int) -> float:
    spread = setting.spreads[at]
    return sum(group.part for group in spread.groups if group.is_null) / spread.part if spread.part > 0 else 0.0


def _stored(setting: Setting, at: int) -> tuple[Column, storage.Widths, bool]:
    """Return the column as leaf tuples have it, how many bytes its values take, and whether these are known."""
    column, spread = setting.columns[at], setting.spreads[at]
    type_ = storage.bare(storage.base_type(column.type, setting.snapshot))
    opclass = setting.index.keys[at].opclass or ""
    if _is_text_search(setting, at):
        return _varying(column), *_signatures(setting, at)
    if type_ in _SHAPES:
        return _fixed(column, _BOX, "d"), {_BOX: 1.0}, True
    if opclass == "inet_ops":
        return _varying(column), {_ADDRESS_KEY: 1.0}, spread.known
    if type_ in ("inet", "cidr", "macaddr", "macaddr8"):
        return _fixed(column, _ADDRESS_WIDTH, "d"), {_ADDRESS_WIDTH: 1.0}, True
    if column.length > 0:
        pair = _PAIRS.get(column.length, 2 * column.length)
        return _fixed(column, pair, column.align if pair < 16 else "d"), {pair: 1.0}, True
    if type_.endswith("range"):
        return column, spread.widths, spread.known
    # btree_gist keeps a varying value with its whole header of four bytes in another varying value
    widths: dict[int, float] = {}
    for bytes_, part in spread.widths.items():
        inside = bytes_ - 1 if bytes_ <= storage.SHORT + 1 else bytes_ - 4
        whole = storage.packed_header(4 + inside)
        widths[whole] = widths.get(whole, 0.0) + part
    return _varying(column), widths, spread.known


def _fixed(column: Column, length: int, align: str) -> Column:
    return Column(name=column.name, number=0, type=column.type, length=length, align=align)


def _varying(column: Column) -> Column:
    return Column(name=column.name, number=0, type=column.type, length=-1, align="i", storage="x")


def _signatures(setting: Setting, at: int) -> tuple[storage.Widths, bool]:
    """Return the bytes of what leaves have of texts: all trigrams, or hashes of lexemes, or a signature of these."""
    statistics, key = setting.statistics[at], setting.index.keys[at]
    is_trigrams = "trgm" in (key.opclass or "")
    if statistics is not None and not is_trigrams and not _is_vector(setting, at):
        found = keys.of_elements(statistics, setting.rows, _lexeme_width, lexemes=True)
        number = found.per_row if found is not None else statistics.avg_width / 18
        least = max(0, math.floor(number) - 1)
        return {_lexeme_bytes(least + more): 1 / 4 for more in range(4)}, found is not None
    if key.is_column or (statistics is not None and shown(statistics) and not _is_vector(setting, at)):
        texts = shown(statistics) if statistics is not None else []
    else:
        held = [column.statistics or column.inherited for column in columns_of(key.text, setting.table)]
        texts = keys.joined([each for each in held if each is not None])
    widths: dict[int, float] = {}
    total = sum(weight for _, weight in texts)
    for text, weight in texts:
        if is_trigrams:
            bytes_ = storage.packed_header(1 + 3 * len(keys.trigrams(text)))
        else:
            bytes_ = _lexeme_bytes(len(keys.lexemes(text, "english")))
        widths[bytes_] = widths.get(bytes_, 0.0) + weight / total
    if widths:
        return widths, True
    average = statistics.avg_width if statistics is not None else storage.UNKNOWN_WIDTH
    return {storage.packed_header(1 + 3 * average) if is_trigrams else _SIGNATURE + 6: 1.0}, False


def _lexeme_width(text: str) -> int:
    return storage.packed_header(text_bytes(text))


def _lexeme_bytes(number: int) -> int:
    array = storage.packed_header(1 + 4 * number)
    return array if array <= _LONGEST_ARRAY else storage.packed_header(1 + _SIGNATURE)

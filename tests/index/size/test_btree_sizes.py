"""Estimated sizes and heights of btrees against those of indexes that are really built."""

from __future__ import annotations

import statistics

import pytest

from dbtune.index.definition import Index, Key
from dbtune.index.size import estimate, level_of
from tests.index.size.built import Shapes


def on(
    table: str, *keys: str | Key, include: tuple[str, ...] = (), where: str | None = None, unique: bool = False
) -> Index:
    found = tuple(key if isinstance(key, Key) else Key(key) for key in keys)
    return Index(schema="public", table=table, keys=found, include=include, predicate=where, unique=unique)


def computed(text: str) -> Key:
    return Key(text, is_column=False)


EXACT = [
    *(on("item", name) for name in "id shuffled owner status code price weight at day token note flag size".split()),
    *(on("item", name) for name in "ratio name email small big half fixed label long gone".split()),
    on("item", Key("at", descending=True)),
    on("item", "owner", Key("at", descending=True)),
    on("item", Key("note", nulls_first=True)),
    on("item", "id", unique=True),
    on("item", "id", "code", unique=True),
    on("item", "owner", "day"),
    on("item", "status", "at"),
    on("item", "flag", "size"),
    on("item", "note", "owner"),
    on("item", "small", "big"),
    on("item", "price", "owner"),
    on("item", "name", "status"),
    on("item", "owner", include=("price", "code")),
    on("item", "owner", include=("note",)),
    on("item", "at", include=("flag",)),
    on("item", "owner", where="flag"),
    on("item", "owner", where="owner < 100"),
    on("item", "id", where="status = 'paid'"),
    on("item", "at", where="at >= '2024-03-01 00:00+00'"),
    on("item", "code", where="note IS NOT NULL"),
    on("item", "note", where="note IS NOT NULL"),
    on("item", "day", where="status IN ('new', 'sent') AND NOT flag"),
    on("item", "name", where="status <> 'closed'"),
    on("item", computed("lower(email)")),
    on("item", computed("lower(name)")),
    on("item", computed("date_trunc('day', at AT TIME ZONE 'UTC')")),
    on("item", computed("coalesce(note, '')")),
    on("item", computed("price * 2")),
    on("item", computed("id % 10")),
    on("paper", "title"),
    on("stay", "during"),
    on("stay", "source"),
    on("event", "id"),
    on("event", "owner"),
    on("event", "at", "owner"),
    on("wide", "owner", "seen"),
    on("bare", "id"),
    on("tree", "id"),
    on("tree", "code"),
]
"""The statistics tell everything: within a tenth."""

TOLD_BY_SAMPLES = [
    on("item", computed("left(code, 2)")),
    on("item", computed("substring(code FROM 1 FOR 3)")),
    on("item", computed("split_part(email, '@', 2)")),
    on("item", "pair"),
    on("item", "owner", "code"),
    on("paper", computed("(doc ->> 'state')")),
    on("paper", computed("(doc ->> 'mail')")),
    on("paper", computed("(doc -> 'size')")),
    on("paper", "tags"),
    on("paper", "numbers"),
]
"""Told from a hundred values, from a mean width, or less even than chance would have it: within a quarter."""

LEVEL_UNSURE = [on("item", "owner", "code")]
"""A page more or less below the root makes the difference."""


@pytest.mark.parametrize("index", EXACT, ids=lambda index: index.target)
def test_size_and_height_are_those_of_the_real_index(shapes: Shapes, index: Index) -> None:
    table = shapes.snapshot.table(index.schema, index.table)
    assert table is not None
    found, real = estimate(index, table, shapes.snapshot), shapes.build(index)
    assert found.pages == pytest.approx(real.pages, rel=0.1, abs=1)
    assert real.level is None or found.level == real.level


@pytest.mark.parametrize("index", TOLD_BY_SAMPLES, ids=lambda index: index.target)
def test_size_is_within_a_quarter(shapes: Shapes, index: Index) -> None:
    table = shapes.snapshot.table(index.schema, index.table)
    assert table is not None
    found, real = estimate(index, table, shapes.snapshot), shapes.build(index)
    assert found.pages == pytest.approx(real.pages, rel=0.25, abs=1)
    assert index in LEVEL_UNSURE or found.level == real.level


def test_most_are_exact_and_no_kind_is_off_to_one_side(shapes: Shapes) -> None:
    ratios = []
    for index in EXACT:
        table = shapes.snapshot.table(index.schema, index.table)
        assert table is not None
        ratios.append(estimate(index, table, shapes.snapshot).pages / shapes.build(index).pages)
    assert statistics.median(ratios) == pytest.approx(1, abs=0.01)
    assert sum(abs(ratio - 1) < 0.02 for ratio in ratios) > 0.8 * len(ratios)


@pytest.mark.parametrize("column", ["price", "weight"])
def test_numerics_are_not_too_small(shapes: Shapes, column: str) -> None:
    """They have no list of rows for equal values, and as many bytes as digits, in fours about the point."""
    item = shapes.snapshot.table("public", "item")
    assert item is not None
    assert estimate(on("item", column), item, shapes.snapshot).pages >= 0.97 * shapes.build(on("item", column)).pages


@pytest.mark.parametrize("index", [*EXACT[:23:3], on("tree", "id"), on("tree", "code")], ids=lambda index: index.target)
def test_level_of_an_index_that_is_there(shapes: Shapes, index: Index) -> None:
    table = shapes.snapshot.table(index.schema, index.table)
    assert table is not None
    assert level_of(shapes.existing(index), table) == shapes.build(index).level


def test_level_of_an_index_with_another_fillfactor(shapes: Shapes) -> None:
    index, half = on("tree", "code"), "WITH (fillfactor = 50)"
    tree = shapes.snapshot.table("public", "tree")
    assert tree is not None
    real = shapes.build(index, half)
    assert real.pages > 1.5 * estimate(index, tree, shapes.snapshot).pages
    assert level_of(shapes.existing(index, half), tree) == real.level


def test_level_of_other_methods_is_zero(shapes: Shapes) -> None:
    index = Index(schema="public", table="item", keys=(Key("id"),), method="hash")
    item = shapes.snapshot.table("public", "item")
    assert item is not None
    assert level_of(shapes.existing(index), item) == 0


def test_columns_that_depend_on_each_other_are_called_unsure(shapes: Shapes) -> None:
    """``half`` is told by ``pair`` in no statistics: the error says that there may be fewer combinations."""
    item = shapes.snapshot.table("public", "item")
    assert item is not None
    assert estimate(on("item", "small", "day"), item, shapes.snapshot).error > 0.15
    assert estimate(on("item", "id"), item, shapes.snapshot).error == 0.1


def test_columns_without_statistics_are_called_unsure(shapes: Shapes) -> None:
    bare = shapes.snapshot.table("public", "bare")
    assert bare is not None
    found = estimate(on("bare", "name"), bare, shapes.snapshot)
    assert not found.sure
    assert found.bytes == found.pages * 8192

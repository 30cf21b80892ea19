"""Estimated sizes of hash, BRIN, GIN and GiST indexes against those of indexes that are really built."""

from __future__ import annotations

import pytest

from dbtune.index.definition import Index, Key
from dbtune.index.size import estimate
from tests.index.size.built import Shapes

FACTORS = {"hash": 1.1, "brin": 1.35, "gin": 1.35, "gist": 1.35}
"""The real size is within this factor of the estimate; what is known to be harder has one of its own."""


def on(method: str, table: str, *keys: str | Key, where: str | None = None) -> Index:
    found = tuple(key if isinstance(key, Key) else Key(key) for key in keys)
    return Index(schema="public", table=table, keys=found, method=method, predicate=where)


def by(opclass: str, text: str, *, is_column: bool = True) -> Key:
    return Key(text, is_column=is_column, opclass=opclass)


def computed(text: str) -> Key:
    return Key(text, is_column=False)


HASH = [
    *(on("hash", "item", name) for name in "id owner status note flag size name code email gone day".split()),
    on("hash", "item", "id", where="flag"),
    on("hash", "tree", "id"),
    on("hash", "tree", "code"),
    on("hash", "event", "owner"),
    on("hash", "wide", "owner"),
    on("hash", "bare", "id"),
]
BRIN = [
    on("brin", "item", "id"),
    on("brin", "item", "at", "code"),
    on("brin", "wide", "seen"),
    on("brin", "wide", "code"),
    on("brin", "tree", "id"),
    on("brin", "stay", "during"),
    on("brin", "event", "at"),
    on("brin", "bare", "id"),
]
BRIN_14 = [
    on("brin", "wide", by("timestamptz_minmax_multi_ops", "seen")),
    on("brin", "tree", by("int8_minmax_multi_ops", "id")),
    on("brin", "wide", by("text_bloom_ops", "code")),
    on("brin", "wide", by("int4_bloom_ops", "owner")),
    on("brin", "tree", by("int8_bloom_ops", "id")),
    on("brin", "item", by("int4_bloom_ops", "owner")),
]
GIN = [
    on("gin", "paper", "tags"),
    on("gin", "paper", "numbers"),
    on("gin", "paper", "words"),
    on("gin", "paper", "tags", "numbers"),
    on("gin", "paper", "tags", where="id > 15000"),
    on("gin", "paper", "doc"),
    on("gin", "paper", by("jsonb_path_ops", "doc")),
    on("gin", "paper", computed("(doc -> 'tags')")),
    on("gin", "paper", by("gin_trgm_ops", "title")),
    on("gin", "paper", by("gin_trgm_ops", "body")),
    on("gin", "item", by("gin_trgm_ops", "email")),
    on("gin", "item", by("gin_trgm_ops", "lower(email)", is_column=False)),
    on("gin", "item", by("gin_trgm_ops", "name")),
    on("gin", "item", by("gin_trgm_ops", "note")),
    on("gin", "item", by("gin_trgm_ops", "long")),
    on("gin", "item", by("gin_trgm_ops", "code")),
    on("gin", "tree", by("gin_trgm_ops", "code")),
    on("gin", "paper", computed("to_tsvector('simple'::regconfig, body)")),
    on("gin", "item", "owner"),
    on("gin", "item", "status", "owner"),
    on("gin", "item", "id"),
    on("gin", "item", "status"),
    on("gin", "item", "gone"),
    on("gin", "bare", by("gin_trgm_ops", "name")),
]
GIST = [
    *(on("gist", "stay", name) for name in "during days place spot room".split()),
    on("gist", "stay", by("inet_ops", "source")),
    on("gist", "stay", "room", "during"),
    on("gist", "paper", by("gist_trgm_ops", "title")),
    on("gist", "paper", by("gist_trgm_ops", "body")),
    on("gist", "item", by("gist_trgm_ops", "email")),
    on("gist", "item", by("gist_trgm_ops", "name")),
    on("gist", "item", by("gist_trgm_ops", "long")),
    on("gist", "paper", "words"),
    *(on("gist", "item", name) for name in "id owner big at code price status token note ratio day".split()),
    on("gist", "bare", "id"),
]


@pytest.mark.parametrize("index", [*HASH, *BRIN, *BRIN_14, *GIN, *GIST], ids=lambda index: index.target)
def test_size_is_within_a_factor(shapes: Shapes, index: Index) -> None:
    if index in BRIN_14 and shapes.snapshot.major < 14:
        pytest.skip("an operator class of PostgreSQL 14")
    table = shapes.snapshot.table(index.schema, index.table)
    assert table is not None
    found, real = estimate(index, table, shapes.snapshot), shapes.build(index)
    factor = FACTORS[index.method]
    assert real.pages / factor - 1 <= found.pages <= real.pages * factor + 1
    assert real.pages <= found.pages * (1 + found.error) + 1, "the error is larger than said"
    assert found.level == 0
    assert found.method.startswith(index.method)


def test_keys_that_hardly_any_value_shows_are_called_unsure(shapes: Shapes) -> None:
    """Every title ends in a word that no other has: what a hundred of them show is not much."""
    index = on("gin", "paper", computed("to_tsvector('english'::regconfig, title)"))
    paper = shapes.snapshot.table("public", "paper")
    assert paper is not None
    found = estimate(index, paper, shapes.snapshot)
    assert not found.sure
    assert found.pages > 0.5 * shapes.build(index).pages


def test_rows_without_statistics_are_called_unsure(shapes: Shapes) -> None:
    bare = shapes.snapshot.table("public", "bare")
    assert bare is not None
    assert not estimate(on("gin", "bare", by("gin_trgm_ops", "name")), bare, shapes.snapshot).sure
    assert not estimate(on("gist", "bare", by("gist_trgm_ops", "name")), bare, shapes.snapshot).sure


def test_a_method_of_an_extension_is_a_guess(shapes: Shapes) -> None:
    item = shapes.snapshot.table("public", "item")
    assert item is not None
    found = estimate(on("spgist", "item", "code"), item, shapes.snapshot)
    assert found.method.startswith("spgist")
    assert found.error == 1.0
    assert found.pages > 10


def test_a_predicate_makes_no_brin_smaller_and_no_hash_either(shapes: Shapes) -> None:
    item = shapes.snapshot.table("public", "item")
    assert item is not None
    for method in ("brin", "hash"):
        whole = estimate(on(method, "item", "id"), item, shapes.snapshot)
        part = estimate(on(method, "item", "id", where="flag"), item, shapes.snapshot)
        assert part.pages == pytest.approx(whole.pages, abs=1)

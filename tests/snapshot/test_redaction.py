"""Redacted snapshots: no value of a row is left, and what is left is still in step with redacted statements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from dbtune.snapshot import arrays, file
from dbtune.snapshot.read import read
from dbtune.snapshot.redaction import redacted
from dbtune.snapshot.value import Column, Snapshot, Statistics
from dbtune.workload import redaction as workload
from dbtune.workload.query import ParameterSet, Query
from dbtune.workload.redaction import Redaction
from tests.snapshot import example

KEY = b"k" * 32


def changed(column: Column, mode: Redaction = Redaction.HASH) -> Statistics:
    found = redacted(example.snapshot(column), mode, KEY).tables[0].columns[0].statistics
    assert found is not None
    return found


def in_a_query(value: str, type_: str) -> str | None:
    """Return what a redacted workload makes of the value."""
    query = Query(name="q", statement="SELECT $1", types=(type_,), sets=(ParameterSet(name="s", values=(value,)),))
    return workload.redacted(query, Redaction.HASH, KEY).sets[0].values[0]


@given(st.lists(st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)))
def test_arrays_come_back(values: list[str | None]) -> None:
    assert arrays.parsed(arrays.printed(values)) == values


def test_keep_keeps_all() -> None:
    snapshot = example.snapshot(example.text("name", "ada"))
    assert redacted(snapshot, Redaction.KEEP) is snapshot


@pytest.mark.parametrize("mode", [Redaction.TYPES, Redaction.HASH])
def test_what_tells_no_value_stays(mode: Redaction) -> None:
    column = example.text("name", "ada", "zuse", frequencies=(0.5, 0.25), bounds="{b,c,d}")
    before = column.statistics
    assert before is not None
    found = changed(column, mode)
    assert (found.null_frac, found.avg_width, found.n_distinct, found.correlation) == (
        before.null_frac, before.avg_width, before.n_distinct, before.correlation,
    )  # fmt: skip
    assert found.most_common_freqs == (0.5, 0.25)
    snapshot = redacted(example.snapshot(column), mode, KEY)
    assert snapshot.redacted == mode.value
    table = snapshot.tables[0]
    assert (table.pages, table.reltuples, table.counters) == (12, 1000.0, example.snapshot().tables[0].counters)
    assert table.indexes[0].definition == example.snapshot().tables[0].indexes[0].definition
    assert table.statistics[0].ndistinct == "QUJD"


def test_types_leave_no_value() -> None:
    column = example.text("name", "ada", frequencies=(0.5,), bounds="{b,c,d}")
    found = changed(column, Redaction.TYPES)
    assert found.most_common_vals is found.histogram_bounds is None


@pytest.mark.parametrize(
    "type_", ["text", "character varying(20)", "uuid", "bytea", "public.email", 'public."work email"']
)
def test_hashes_are_those_of_redacted_statements_and_have_no_order(type_: str) -> None:
    value = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
    found = changed(example.column("c", type_, value, frequencies=(0.5,), bounds=f"{{{value}}}"))
    base = "text" if type_.startswith("public.") else type_
    assert arrays.parsed(found.most_common_vals or "") == [in_a_query(value, base)]
    assert value not in str(found)
    assert found.histogram_bounds is None


@pytest.mark.parametrize(
    ("type_", "values", "bounds", "common", "order"),
    [
        ("integer", ["4711", "-35"], "{-271,0,8,99,4711}", "{4000,-30}", "{-200,0,8,90,4000}"),
        ("numeric(10,2)", ["19.99"], "{-0.50,1.25,19.99}", "{10}", "{0,1,10}"),
        ("date", ["2024-02-29"], "{2023-12-31,2024-02-29}", "{2024-02-01}", "{2023-12-01,2024-02-01}"),
        ("timestamp(3) with time zone", ['"2024-02-29 10:00:00+00"'], None, "{2024-02-01}", None),
        ("boolean", ["t", "f"], None, "{t,f}", None),
        ("public.mood", ["sad", "ok"], None, "{sad,ok}", None),
    ],
)  # fmt: skip
def test_numbers_and_months_keep_their_order(
    type_: str, values: list[str], bounds: str | None, common: str, order: str | None
) -> None:
    found = changed(example.column("c", type_, *values, frequencies=(0.5, 0.25)[: len(values)], bounds=bounds))
    assert found.most_common_vals == common
    assert found.histogram_bounds == order
    if type_ != "public.mood":
        replaced = [in_a_query(value, type_) for value in arrays.parsed("{" + ",".join(values) + "}") if value]
        assert arrays.parsed(common) == replaced


def test_values_that_become_the_same_share_their_frequency() -> None:
    found = changed(example.column("c", "integer", "41", "70", "42", frequencies=(0.25, 0.2, 0.125)))
    assert (found.most_common_vals, found.most_common_freqs) == ("{40,70}", (0.375, 0.2))


@pytest.mark.parametrize(
    ("type_", "bounds"),
    [
        ("date", "{2024-01-01,12024-01-01,infinity}"),
        ("double precision", "{1,1e+30}"),
        ("double precision", "{5,NaN}"),
    ],
)
def test_bounds_that_lose_their_order_go(type_: str, bounds: str) -> None:
    assert changed(example.column("c", type_, bounds=bounds)).histogram_bounds is None


def test_padding_of_char_is_no_part_of_the_value() -> None:
    found = changed(example.column("c", "character(5)", '"ab   "', frequencies=(0.5,)))
    assert arrays.parsed(found.most_common_vals or "") == [in_a_query("ab", "character(5)")]


@pytest.mark.parametrize("type_", ["jsonb", "inet", "int4range", "interval", "public.other", "text[]", "point"])
def test_types_that_nothing_stands_in_for_lose_their_values(type_: str) -> None:
    found = changed(example.column("c", type_, "x", frequencies=(0.5,), bounds="{x,y}"))
    assert found.most_common_vals is found.histogram_bounds is None
    assert found.most_common_freqs == (0.5,)


def test_elements_are_hashed_and_sorted() -> None:
    found = changed(example.elements("c", "text[]", "{a,b,c}", 0.5, 0.25, 0.125, 0.125, 0.5, 0.0))
    hashes = {value: in_a_query(value, "text") for value in "abc"}
    shares = {hashes["a"]: 0.5, hashes["b"]: 0.25, hashes["c"]: 0.125}
    elements = arrays.parsed(found.most_common_elems or "")
    assert elements == sorted(elements, key=str)
    assert found.most_common_elem_freqs == (*(shares[each] for each in elements), 0.125, 0.5, 0.0)
    assert found.elem_count_histogram == (1.0, 2.0, 1.5)


def test_elements_of_numbers_are_merged() -> None:
    found = changed(example.elements("c", "integer[]", "{41,42,70}", 0.5, 0.25, 0.125, 0.125, 0.5, 0.0))
    assert found.most_common_elems == "{40,70}"
    assert found.most_common_elem_freqs == (0.75, 0.125, 0.125, 0.75, 0.0)


def test_lexemes_have_no_entry_for_null() -> None:
    found = changed(example.elements("c", "tsvector", "{word}", 0.5, 0.5, 0.5))
    assert arrays.parsed(found.most_common_elems or "") == [in_a_query("word", "text")]
    assert found.most_common_elem_freqs == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("mode", [Redaction.TYPES, Redaction.HASH])
def test_expressions_and_combinations_lose_their_values(mode: Redaction) -> None:
    table = redacted(example.snapshot(example.text("name")), mode, KEY).tables[0]
    assert table.indexes[0].statistics[1].histogram_bounds is None
    assert table.indexes[0].statistics[1].n_distinct == -1.0
    extended = table.statistics[0]
    assert extended.mcv is None
    assert extended.inherited is not None
    assert extended.inherited.mcv is None
    assert extended.expressions[1] is not None
    assert extended.expressions[1].most_common_vals is None


def test_defaults_and_checks_that_no_planner_reads_go() -> None:
    plain = Column(name="a", number=1, type="text", length=-1, align="i", default="'secret'::text")
    generated = Column(name="b", number=2, type="text", length=-1, align="i", default="lower(a)", generated="s")
    table = redacted(example.snapshot(plain, generated), Redaction.TYPES).tables[0]
    assert [each.default for each in table.columns] == [None, "lower(a)"]
    assert [each.name for each in table.constraints] == ["fk"]
    child = redacted(example.snapshot(inherits=(("public", "parent"),)), Redaction.TYPES).tables[0]
    assert [each.name for each in child.constraints] == ["checked", "fk"]


@pytest.mark.parametrize("mode", [Redaction.TYPES, Redaction.HASH])
def test_no_row_of_a_real_database_shows(made: Connection, mode: Redaction) -> None:
    whole = read(made)
    text = file.dump(redacted(whole, mode, KEY))
    shown = file.dump(whole)
    rows = ["a1000@b", "name 7", "n3", "word3", "x4"]
    assert all(value in shown for value in rows)
    assert [value for value in rows if f"{value}" in text] == []
    assert _load(text).redacted == mode.value


def _load(text: str) -> Snapshot:
    from pathlib import Path

    return file.parse(text, Path("x"))

"""N+1 is told where captured requests show it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from dbtune.index.advisor.repetition import repeated
from dbtune.workload.query import Query
from dbtune.workload.requests import Request, fingerprint_hash

ONE = Query(name="one", statement="SELECT * FROM item WHERE id = $1")
LIST = Query(name="list", statement="SELECT id FROM item WHERE owner = $1")


def sent(*queries: Query, seconds: float = 0.01, route: str = "GET /items", same: bool = False) -> Iterator[Request]:
    time = datetime(2026, 1, 1, tzinfo=UTC)
    for number, query in enumerate(queries):
        time += timedelta(seconds=seconds)
        yield Request(time, route, fingerprint_hash(query.statement), "same" if same else str(number))


def test_a_statement_for_each_row_is_told_with_its_route() -> None:
    found = repeated([ONE, LIST], sent(LIST, *[ONE] * 25, LIST, *[ONE] * 12))
    assert set(found) == {"one"}
    assert "25 times in a row by GET /items" in found["one"]


def test_few_are_no_pattern() -> None:
    assert repeated([ONE, LIST], sent(LIST, *[ONE] * 5)) == {}


def test_pauses_other_routes_and_equal_values_are_other_things() -> None:
    assert repeated([ONE], sent(*[ONE] * 30, seconds=5)) == {}
    assert repeated([ONE], sent(*[ONE] * 30, same=True)) == {}
    mixed = [r for pair in zip(sent(*[ONE] * 8), sent(*[ONE] * 8, route="POST /x"), strict=True) for r in pair]
    assert repeated([ONE], mixed) == {}

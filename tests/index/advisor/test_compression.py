"""Large workloads become small ones that weigh the same, and say what that lost."""

from __future__ import annotations

from datetime import UTC, datetime

from dbtune.index.advisor.compression import compressed
from dbtune.snapshot.value import Snapshot, Table
from dbtune.workload.query import Query

SNAPSHOT = Snapshot(
    server_version_num=180000,
    server_version="18.0",
    database="d",
    taken_at=datetime(2026, 1, 1, tzinfo=UTC),
    tables=tuple(Table(schema="public", name=name) for name in ("a", "b", "c")),
)


def query(name: str, statement: str, calls: int = 1, mean_ms: float | None = None) -> Query:
    return Query(name=name, statement=statement, calls=calls, mean_ms=mean_ms)


def test_a_small_workload_stays_as_it_is() -> None:
    queries = [query("x", "SELECT * FROM a WHERE x = 1"), query("y", "SELECT * FROM a WHERE x = 2")]
    found = compressed(queries, SNAPSHOT)
    assert found.queries == tuple(queries)
    assert found.note is None


def test_statements_that_differ_in_constants_are_represented_by_the_heaviest() -> None:
    queries = [query(f"q{n:05}", f"SELECT * FROM a WHERE x = {n}", calls=n) for n in range(1, 10_001)]
    found = compressed(queries, SNAPSHOT)
    assert [each.name for each in found.queries] == ["q09998", "q09999", "q10000"]
    assert sum(each.weight for each in found.queries) == sum(range(1, 10_001))
    assert found.note is not None
    assert found.note.startswith("10,000 statements were compressed to 3: 9,997")
    assert found.lost == 0.0


def test_different_statements_of_the_same_tables_follow_and_the_loss_is_stated() -> None:
    queries = [
        query(f"{table}{n:03}", f"SELECT c{n} FROM {table} WHERE c{n} = $1", calls=10 if n else 1000)
        for table in ("a", "b", "c")
        for n in range(100)
    ]
    found = compressed(queries, SNAPSHOT, most=6)
    assert len(found.queries) == 6
    assert {each.name[0] for each in found.queries} == {"a", "b", "c"}
    assert {"a000", "b000", "c000"} <= {each.name for each in found.queries}
    assert sum(each.weight for each in found.queries) == 3 * (1000 + 99 * 10)
    assert found.by_tables == 294
    assert round(found.lost, 3) == round(294 * 10 / (3 * 1990), 3)
    assert "49.2%" in (found.note or "")


def test_time_weighs_more_than_calls_where_it_is_known() -> None:
    queries = [query(f"q{n}", f"SELECT {n}, x FROM a WHERE x = {n}", calls=1, mean_ms=float(n)) for n in range(10)]
    found = compressed(queries, SNAPSHOT, most=2)
    assert [each.name for each in found.queries] == ["q9"]
    assert found.queries[0].weight == 10


def test_text_that_does_not_end_is_kept_for_itself() -> None:
    queries = [query(f"q{n}", f"SELECT * FROM a WHERE x = {n}") for n in range(5)]
    broken = query("broken", "SELECT 'open")
    found = compressed([*queries, broken], SNAPSHOT, most=4)
    assert "broken" in {each.name for each in found.queries}

"""The folder of query files: merging, replacing, leaving alone; redaction; the replay stream."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtune.errors import BadFile, UsageError
from dbtune.workload import files, requests, store
from dbtune.workload.capture.execution import Execution
from dbtune.workload.query import ParameterSet, Query
from dbtune.workload.redaction import Redaction, redacted
from dbtune.workload.requests import Request
from dbtune.workload.store import Written

HAND = "SELECT code FROM item WHERE owner = $1 -- mine\n"


def query(name: str = "by-id", statement: str = "SELECT a FROM t WHERE id = $1", **fields: object) -> Query:
    made = Query(name=name, statement=statement, source="log", calls=10, mean_ms=1.0)
    return replace(made, **fields)  # type: ignore[arg-type]


def sets(**values: tuple[str | None, ...]) -> tuple[ParameterSet, ...]:
    return tuple(ParameterSet(name=name, values=each) for name, each in values.items())


def loaded(folder: Path) -> dict[str, Query]:
    found = files.load_folder(folder)
    assert found.problems == ()
    return {each.name: each for each in found.workload.queries}


def test_a_second_capture_replaces_those_of_its_source_only(tmp_path: Path) -> None:
    other = query("other", "SELECT b FROM t WHERE b = $1", source="sqlalchemy")
    store.write(tmp_path, [other], merge=False, source="sqlalchemy")
    gone = query("gone", "SELECT c FROM t")
    assert store.write(tmp_path, [query(), gone], merge=False, source="log") == Written(2, 0, 0, 0)
    again = store.write(tmp_path, [query(calls=11)], merge=False, source="log")
    assert again == Written(new=0, changed=1, kept=0, removed=1)
    assert {name: each.calls for name, each in loaded(tmp_path).items()} == {"by-id": 11, "other": 10}
    assert store.write(tmp_path, [query(calls=11)], merge=False, source="log") == Written(0, 0, 1, 0)


def test_merging_adds_up(tmp_path: Path) -> None:
    first = query(sets=sets(frequent=("1",), rare=("2",)), route="GET /a", types=("integer",))
    store.write(tmp_path, [first], merge=False, source="log")
    second = query(
        "another-name",
        "select a from t where id=$1 /* GET /b */",
        sets=sets(frequent=("3",), median=("2",)),
        route="GET /b",
        calls=30,
        mean_ms=2.0,
        source="sqlalchemy",
    )
    new = query("new", "SELECT b FROM t", source="sqlalchemy")
    assert store.write(tmp_path, [second, new], merge=True, source="sqlalchemy") == Written(1, 1, 0, 0)
    both = loaded(tmp_path)
    assert set(both) == {"by-id", "new"}
    united = both["by-id"]
    assert (united.calls, united.mean_ms, united.route) == (40, 1.75, "GET /a, GET /b")
    assert united.source == "log, sqlalchemy"
    assert [(each.name, each.values) for each in united.sets] == [
        ("frequent", ("1",)),
        ("rare", ("2",)),
        ("frequent-2", ("3",)),
    ]
    assert united.types == ("integer",)


def test_merging_keeps_what_was_not_seen_again(tmp_path: Path) -> None:
    store.write(tmp_path, [query()], merge=False, source="log")
    before = (tmp_path / "by-id.sql").read_bytes()
    done = store.write(tmp_path, [query("new", "SELECT b FROM t")], merge=True, source="log")
    assert done == Written(new=1, changed=0, kept=1, removed=0)
    assert (tmp_path / "by-id.sql").read_bytes() == before


def test_no_more_than_five_sets() -> None:
    many = sets(**{f"s{number}": (str(number),) for number in range(4)})
    more = sets(**{f"t{number}": (str(number),) for number in range(3, 9)})
    united = store.merged(query(sets=many), query(sets=more))
    assert [each.name for each in united.sets] == ["s0", "s1", "s2", "s3", "t4"]


@pytest.mark.parametrize("real_first", [True, False])
def test_captured_values_win_over_sampled_ones(real_first: bool) -> None:
    real = query(sets=sets(frequent=("1",)))
    sampled = query(
        statement="SELECT a FROM t WHERE id = $1::integer",
        sets=(ParameterSet(name="common", values=("7",), provenance="sampled"),),
        source="pg_stat_statements",
    )
    united = store.merged(*((real, sampled) if real_first else (sampled, real)))
    assert (united.statement, united.sets, united.calls) == (real.statement, real.sets, 20)
    assert united.source == "log, pg_stat_statements"


def test_lists_of_other_lengths_are_one_query_with_the_first_ones_values(tmp_path: Path) -> None:
    first = query(statement="SELECT a FROM t WHERE id IN ($1, $2)", sets=sets(frequent=("1", "2")))
    longer = query(statement="SELECT a FROM t WHERE id IN ($1, $2, $3)", sets=sets(frequent=("3", "4", "5")))
    store.write(tmp_path, [first], merge=False, source="log")
    store.write(tmp_path, [longer], merge=True, source="log")
    (united,) = loaded(tmp_path).values()
    assert (united.statement, united.sets, united.calls) == (first.statement, first.sets, 20)


def test_constants_and_parameters_of_two_sources_meet(tmp_path: Path) -> None:
    first = query(statement="SELECT a FROM t WHERE id = $1 AND state = 'ACTIVE'", sets=sets(frequent=("1",)))
    store.write(tmp_path, [first], merge=False, source="log")
    counted = query(statement="SELECT a FROM t WHERE id = $1 AND state = $2", source="pg_stat_statements")
    store.write(tmp_path, [counted], merge=True, source="pg_stat_statements")
    (united,) = loaded(tmp_path).values()
    assert (united.statement, united.calls) == (first.statement, 20)


def test_two_queries_that_differ_in_a_constant_stay_two(tmp_path: Path) -> None:
    both = [query(f"q{n}", f"SELECT a FROM t WHERE id = $1 AND state = '{n}'") for n in range(2)]
    store.write(tmp_path, both, merge=False, source="log")
    store.write(tmp_path, both, merge=True, source="log")
    assert {name: each.calls for name, each in loaded(tmp_path).items()} == {"q0": 20, "q1": 20}


@pytest.mark.parametrize("merge", [True, False])
def test_files_written_by_hand_are_never_touched(tmp_path: Path, merge: bool) -> None:
    (tmp_path / "by-owner.sql").write_text(HAND)
    (tmp_path / "broken.sql").write_text("SELECT 1; SELECT 2")
    queries = [
        query("select-item", "SELECT code FROM item WHERE owner = $1"),
        query("by-owner", "SELECT x FROM t"),
        query("broken", "SELECT y FROM t"),
    ]
    done = store.write(tmp_path, queries, merge=merge, source="log")
    assert done == Written(new=2, changed=0, kept=1, removed=0)
    assert (tmp_path / "by-owner.sql").read_text() == HAND
    assert (tmp_path / "broken.sql").read_text() == "SELECT 1; SELECT 2"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"by-owner.sql", "by-owner-2.sql", "broken.sql", "broken-2.sql"}


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--query-dir"):
        store.write(tmp_path / "file", [query()], merge=False, source="log")


@pytest.mark.parametrize("provenance", ["captured", "sampled", "redacted"])
def test_where_values_come_from_survives_the_file(provenance: str) -> None:
    one = query(sets=(ParameterSet(name="common", values=("7",), provenance=provenance),))
    text = files.dump(one)
    assert files.parse(text, Path("by-id.sql")).sets == one.sets
    assert ("values:" in text) == (provenance != "captured")


def test_an_unknown_provenance_is_refused() -> None:
    with pytest.raises(BadFile, match="values must be captured, sampled, redacted, not 'guessed'"):
        files.parse("-- dbtune: 1\n-- values: guessed\n-- sets:\n--   a: [1]\nSELECT $1\n", Path("x.sql"))


SECRET = query(
    statement="SELECT a FROM t WHERE mail = $1 AND n = $2 AND made > $3 AND key = $4 AND name LIKE $5",
    types=("text", "integer", "timestamp with time zone", "uuid", "character varying"),
    sets=sets(
        one=("ada@example.com", "4711", "2019-01-30 10:00:00+00", "8f14e45f-ceea-467e-9fc5-9f1a3c1d2b11", "Ada%"),
        two=("ada@example.com", "-38", "2019-02-11 10:00:00+00", "8f14e45f-ceea-467e-9fc5-9f1a3c1d2b11", None),
    ),
)


def test_hashes_keep_equality_size_and_type_but_no_value() -> None:
    done = redacted(SECRET, Redaction.HASH, b"k")
    one, two = done.sets
    assert one.values[0] == two.values[0] != "ada@example.com"
    assert (one.values[1], two.values[1]) == ("4000", "-30")
    assert one.values[2] == "2019-01-01"
    assert one.values[3] == two.values[3] != SECRET.sets[0].values[3]
    assert one.values[4] is not None and one.values[4].endswith("%") and "Ada" not in one.values[4]
    assert two.values[4] is None
    assert {each.provenance for each in done.sets} == {"redacted"}
    assert "ada" not in files.dump(done).lower()
    assert redacted(SECRET, Redaction.HASH, b"other").sets[0].values[0] != one.values[0]


def test_types_alone_tell_no_value() -> None:
    done = redacted(SECRET, Redaction.TYPES)
    assert (done.sets, done.types, done.statement) == ((), SECRET.types, SECRET.statement)
    assert redacted(SECRET, Redaction.KEEP) == SECRET


@pytest.mark.parametrize("mode", [Redaction.TYPES, Redaction.HASH])
def test_constants_in_the_text_go_too(mode: Redaction) -> None:
    done = redacted(
        query(statement="SELECT a FROM t WHERE mail = 'ada@example.com' AND id = $1", types=("integer",)), mode
    )
    assert done.statement == "SELECT a FROM t WHERE mail = $2 AND id = $1"
    assert done.types == ("integer", "unknown")


def test_values_of_types_that_cannot_be_replaced_are_left_out() -> None:
    odd = query(types=("partysvc.status",), sets=sets(a=("ACTIVE",)))
    assert redacted(odd, Redaction.HASH, b"k").sets == ()
    assert redacted(replace(odd, types=()), Redaction.HASH, b"k").sets == ()


@given(st.text(max_size=20), st.binary(min_size=1, max_size=32))
def test_any_text_can_be_hashed(value: str, key: bytes) -> None:
    one = query(types=("text",), sets=sets(a=(value,)))
    (done,) = redacted(one, Redaction.HASH, key).sets
    assert done.values[0] is not None
    assert len(value.strip("%")) < 6 or value.strip("%") not in done.values[0]


def execution(**fields: object) -> Execution:
    made = Execution(
        statement="SELECT a FROM t WHERE id = $1",
        values=("1",),
        duration_ms=1,
        rows=1,
        route="GET /a",
        time=datetime(2019, 1, 30, 9, tzinfo=UTC),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def test_the_stream_is_read_back_and_tells_no_values(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    sent = [
        execution(values=("ada@example.com",)),
        execution(statement="select a from t where id=$1", values=("ada@example.com",), route=None),
        execution(values=("2",)),
        execution(values=None),
        execution(time=None),
        execution(error=True, sqlstate="23505"),
    ]
    assert list(requests.kept(path, sent, b"k")) == sent
    first, second, third, fourth = requests.read(path)
    assert first.fingerprint == second.fingerprint
    assert first.parameters == second.parameters != third.parameters
    assert (fourth.parameters, second.route, first.route) == (None, None, "GET /a")
    assert first.time == sent[0].time
    assert "ada" not in path.read_text()


@given(
    st.lists(
        st.builds(
            Request,
            st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-3)))),
            st.none() | st.text(st.characters(exclude_categories=["Cs"])),
            st.text("0123456789abcdef", min_size=16, max_size=16),
            st.none() | st.just("00ff"),
        ),
        max_size=5,
    )
)
def test_any_stream_comes_back(tmp_path_factory: pytest.TempPathFactory, wanted: list[Request]) -> None:
    path = tmp_path_factory.mktemp("streams") / "r.jsonl"
    assert requests.write(path, wanted) == len(wanted)
    assert list(requests.read(path)) == wanted
    whole = path.read_text()
    path.write_text(whole[:-10])
    assert list(requests.read(path)) == wanted[:-1]


@pytest.mark.parametrize("line", ["nonsense", "[]", "{}", '{"time": 5, "route": 1, "fingerprint": 2, "parameters": 3}'])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(f"{requests.dump(Request(datetime(2019, 1, 1), None, 'a', None))}\n{line}\n")
    with pytest.raises(BadFile, match=r"r\.jsonl:2: is no request"):
        list(requests.read(path))


def test_a_stream_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--keep-requests"):
        requests.write(tmp_path / "no" / "r.jsonl", [])
    with pytest.raises(UsageError, match="--keep-requests"):
        list(requests.kept(tmp_path / "no" / "r.jsonl", [], b"k"))

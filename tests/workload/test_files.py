from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtune.errors import BadFile, UsageError
from dbtune.workload import files
from dbtune.workload.query import ParameterSet, Query

FULL = """\
-- dbtune: 1
-- route: GET /respondents/email
-- calls: 40
-- mean_ms: 2.5
-- source: sqlalchemy
-- types: [text, integer]
-- sets:
--   frequent: ['ada@example.com', 5]
--   absent: [null, '7']
-- a comment of somebody's
SELECT id FROM respondent WHERE lower(email_address) = $1 LIMIT $2;
"""


def parsed(text: str) -> Query:
    return files.parse(text, Path("name.sql"))


def problem(text: str) -> str:
    with pytest.raises(BadFile) as raised:
        parsed(text)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_every_field_is_read() -> None:
    text = FULL.replace("-- a comment of somebody's\n", "")
    query = parsed(text)
    assert query == Query(
        name="name",
        statement="SELECT id FROM respondent WHERE lower(email_address) = $1 LIMIT $2",
        types=("text", "integer"),
        sets=(
            ParameterSet(name="frequent", values=("ada@example.com", "5")),
            ParameterSet(name="absent", values=(None, "7")),
        ),
        route="GET /respondents/email",
        calls=40,
        mean_ms=2.5,
        source="sqlalchemy",
        path=Path("name.sql"),
        line=10,
    )


def test_a_plain_file_is_a_query_without_parameters() -> None:
    query = parsed("-- mine\nSELECT 1;\n")
    assert (query.statement, query.sets, query.calls, query.weight) == ("-- mine\nSELECT 1", (), None, 1)


def test_comment_lines_after_the_header_do_not_pass_as_yaml() -> None:
    assert "name.sql:10: header is not YAML" in problem(FULL)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no statement"),
        ("-- only a comment\n", "holds no statement"),
        ("SELECT 1;\nDROP TABLE x;\n", "name.sql:2: holds 2 statements"),
        ("SELECT 'a\n", "name.sql:1: unterminated string constant"),
        ("-- dbtune: 2\nSELECT 1", "format 2"),
        ("-- dbtune: 1\n-- rote: x\nSELECT 1", "unknown key 'rote'"),
        ("-- dbtune: 1\n-- calls: many\nSELECT 1", "calls must be a number"),
        ("-- dbtune: 1\n-- calls: -1\nSELECT 1", "calls must be a number"),
        ("-- dbtune: 1\n-- calls: true\nSELECT 1", "calls must be a number"),
        ("-- dbtune: 1\n-- mean_ms: .inf\nSELECT 1", "mean_ms must be a number"),
        ("-- dbtune: 1\n-- route: [a]\nSELECT 1", "route must be text"),
        ("-- dbtune: 1\n-- sets: [1]\nSELECT $1", "sets must map"),
        ("-- dbtune: 1\n-- sets: {a: [1]}\nSELECT $1, $2", "has 1 value, but the statement has 2 parameters"),
        ("-- dbtune: 1\n-- sets: {a: [1]}\nSELECT 1", "has 1 value, but the statement has no parameter"),
        ("-- dbtune: 1\n-- sets: {a: [{b: 1}]}\nSELECT $1", "write it as a quoted string"),
        ("-- dbtune: 1\n-- types: [int]\nSELECT $1, $2", "types names 1"),
        ("-- dbtune: 1\n-- types: ['int); DROP TABLE x; --']\nSELECT $1", "types must be a list of type names"),
        ("-- dbtune: 1\n-- sets: {a: [2019-02-31]}\nSELECT $1", "header is not YAML"),
        ("SELECT \0", "NUL"),
    ],
)
def test_one_clear_line_for_each_defect(text: str, message: str) -> None:
    assert message in problem(text)


def test_dates_numbers_and_booleans_become_text() -> None:
    query = parsed("-- dbtune: 1\n-- sets: {a: [2019-01-30, 1.5, yes, '{a,b}']}\nSELECT $1, $2, $3, $4")
    assert query.sets[0].values == ("2019-01-30", "1.5", "true", "{a,b}")


VALUES = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(st.lists(st.lists(VALUES, min_size=2, max_size=2), max_size=3), st.text(max_size=10) | st.none())
def test_what_is_written_is_read_back(sets: list[list[str | None]], route: str | None) -> None:
    if route is not None and not route.isprintable():
        route = None
    query = Query(
        name="name",
        statement="SELECT $1, $2\n  FROM x",
        types=("text", "double precision"),
        sets=tuple(ParameterSet(name=f"s{i}", values=tuple(v)) for i, v in enumerate(sets)),
        route=route,
        calls=3,
        path=Path("name.sql"),
    )
    again = parsed(files.dump(query))
    assert (again.statement, again.types, again.sets, again.route, again.calls) == (
        query.statement,
        query.types,
        query.sets,
        query.route,
        query.calls,
    )


def test_one_bad_file_does_not_spoil_the_folder(tmp_path: Path) -> None:
    (tmp_path / "b.sql").write_text("SELECT 2")
    (tmp_path / "a.sql").write_text("SELECT 1; SELECT 2")
    (tmp_path / "c.sql").write_bytes(b"SELECT '\xff'")
    loaded = files.load_folder(tmp_path)
    assert [q.name for q in loaded.workload.queries] == ["b"]
    assert [p.path.name for p in loaded.problems] == ["a.sql", "c.sql"]


def test_no_folder_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        files.load_folder(tmp_path / "none")
    with pytest.raises(UsageError, match=r"holds no \.sql file"):
        files.load_folder(tmp_path)

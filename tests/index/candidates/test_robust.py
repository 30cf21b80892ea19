"""Whatever stands in a workload, nothing raises, and what cannot be read is named with the reason."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from dbtune.index.candidates import candidates
from dbtune.index.candidates.frequency import elements
from dbtune.party import data
from dbtune.party.rows import Scale
from dbtune.workload import lexer
from dbtune.workload.files import load_folder
from dbtune.workload.lexer import Kind
from tests.index.candidates import test_patterns, test_shapes
from tests.index.candidates.build import found, query, targets
from tests.index.candidates.catalog import snapshot

WORDS = """SELECT FROM WHERE t u AND OR NOT IN ( ) , . = < > <> ~~ LIKE ILIKE '%a%' 'a' 1 2.5 $1 $2 id few mid many name
placed doc JOIN LEFT ON USING GROUP BY ORDER LIMIT DESC NULLS FIRST UNION ALL EXISTS WITH x AS RECURSIVE LATERAL VALUES
UPDATE SET DELETE INSERT INTO RETURNING MERGE WHEN MATCHED THEN CASE ELSE END BETWEEN IS NULL TRUE DISTINCT ANY ARRAY [
] :: integer text -> ->> @> ? && * + - lower ( max ( count ( row ( OVER PARTITION HAVING FOR "t" "Id" ; -- /* */ $$
BETWEEN SIMILAR TO ESCAPE COLLATE "C" interval extract ( year AT TIME ZONE OPERATOR ( pg_catalog.= ) TABLE
ONLY""".split()

STATEMENTS = [pattern.statement for pattern in test_patterns.PATTERNS]
STATEMENTS += [
    case[0]
    for mark in test_shapes.test_the_keys_are_found.pytestmark  # type: ignore[attr-defined]
    for case in mark.args[1]
]

relaxed = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@relaxed
@given(st.lists(st.sampled_from(WORDS), max_size=40))
@example(["SELECT", "1", "FROM", "t", "x", "(", ")"])
def test_words_of_sql_in_any_order_never_raise(words: list[str]) -> None:
    found(" ".join(words), test_shapes.ONE)


@relaxed
@given(st.text(max_size=60))
@example("\x00")
@example("SELECT * FROM t WHERE mid = '\x00'")
@example("SELECT '")
@example("SELECT $99999999999999999999")
@example("{% %}")
def test_any_text_never_raises(text: str) -> None:
    found(text, test_shapes.ONE)
    found(f"SELECT * FROM t WHERE {text}", test_shapes.ONE)


@relaxed
@given(st.sampled_from(STATEMENTS), st.data())
def test_statements_with_pieces_missing_doubled_or_exchanged_never_raise(statement: str, draw: st.DataObject) -> None:
    pieces = [token.text for token in lexer.tokens(statement) if token.kind is not Kind.SPACE]
    for _ in range(draw.draw(st.integers(1, 4))):
        at, other = (draw.draw(st.integers(0, max(0, len(pieces) - 1))) for _ in range(2))
        match draw.draw(st.sampled_from(["drop", "double", "exchange"])):
            case "drop":
                del pieces[at : at + 1]
            case "double":
                pieces.insert(at, pieces[other] if pieces else "")
            case _ if pieces:
                pieces[at], pieces[other] = pieces[other], pieces[at]
    found(" ".join(pieces), test_shapes.ONE)


@relaxed
@given(st.sampled_from(STATEMENTS), st.integers(1, 5))
def test_every_candidate_of_a_statement_is_well_formed(statement: str, width: int) -> None:
    result = found(statement, test_shapes.ONE, max_width=width)
    made = targets(result)
    assert len(made) == len(set(made))
    assert made == sorted(made)
    for each in result.candidates:
        assert 1 <= len(each.index.keys) <= max(width, 3 if each.kind == "gin" else width)
        assert len({key.text for key in each.index.keys}) == len(each.index.keys)
        assert not set(each.index.columns) & set(each.index.include)
        assert "$" not in each.index.target
        assert "@" not in each.index.ddl().replace("@>", "")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELEC 1", "no statement that reads or changes rows"),
        ("CREATE TABLE x (a integer)", "no statement that reads or changes rows"),
        ("VACUUM t", "no statement that reads or changes rows"),
        ("SELECT 'abc", "unterminated string"),
        ("SELECT * FROM t WHERE (((", "its text cannot be read"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("", "0 statements"),
        ("SELECT * FROM nowhere WHERE a = 1", "there is no table nowhere in the snapshot"),
        ("SELECT " + "(" * 2_000 + "1" + ")" * 2_000, "its text cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named_and_stops_nothing(statement: str, reason: str) -> None:
    queries = [query(statement, "bad"), query("SELECT * FROM t WHERE mid = 1", "good")]
    result = found(queries, test_shapes.ONE)
    assert targets(result) == ["t (mid)"]
    assert list(result.unreadable) == ["bad"]
    assert reason in result.unreadable["bad"]
    assert "\n" not in result.unreadable["bad"]


def test_a_missing_table_beside_a_known_one_is_only_told() -> None:
    result = found("SELECT * FROM t JOIN nowhere n ON n.id = t.id", test_shapes.ONE)
    assert targets(result) == ["t (id)"]
    assert result.notes["q"] == ("there is no table nowhere in the snapshot",)
    assert result.unreadable == {}


def test_long_statements_are_read() -> None:
    many = " OR ".join(f"mid = {n}" for n in range(400))
    assert "t (mid)" in targets(found(f"SELECT * FROM t WHERE {many}", test_shapes.ONE))
    members = ", ".join(f"${n}" for n in range(1, 3_000))
    assert "t (mid)" in targets(found(f"SELECT * FROM t WHERE mid IN ({members})", test_shapes.ONE))
    terms = " AND ".join(f"c.mid <> {n}" for n in range(600))
    assert "t (few)" in targets(found(f"SELECT * FROM t c WHERE few = 1 AND {terms}", test_shapes.ONE))


def test_views_that_name_each_other_end() -> None:
    from tests.index.candidates.build import snapshot as made

    views = [(one, f"CREATE VIEW public.{one} AS SELECT * FROM public.{other}") for one, other in pairwise("abca")]
    result = found("SELECT * FROM a", made(views=views))
    assert "nested too deeply" in result.unreadable["q"]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")) | st.none()))
def test_arrays_are_read_as_the_server_prints_them(values: list[str | None]) -> None:
    def printed(value: str | None) -> str:
        return "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    assert elements("{" + ",".join(map(printed, values)) + "}") == tuple(values)


def test_the_party_services_queries_are_all_read(db: Connection) -> None:
    data.load(db, Scale(businesses=300))
    queries = load_folder(Path(__file__).parents[3] / "queries").workload.queries
    result = candidates(queries, snapshot(db))
    assert result.unreadable == {}
    assert {
        "partysvc.business_attributes (business_id)",
        "partysvc.business_attributes (business_id, created_on)",
        "partysvc.business_attributes (sample_summary_id)",
    } <= {each.index.target for each in result.candidates}
    across = [name for name, notes in result.notes.items() if any("OR across the tables" in note for note in notes)]
    assert across == ["select-business-attributes-by-business-ref-2", "select-business-attributes-by-business-ref"]

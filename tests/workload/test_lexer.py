from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from dbtune.workload import lexer
from dbtune.workload.lexer import Kind


def kinds(sql: str) -> list[tuple[Kind, str]]:
    return [(t.kind, t.text) for t in lexer.tokens(sql) if t.kind is not Kind.SPACE]


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("SELECT 1", 1),
        ("SELECT 1;", 1),
        ("SELECT 1; -- done", 1),
        (";;SELECT 1;;/* ; */;", 1),
        ("SELECT ';'", 1),
        ("SELECT ''';'", 1),
        (r"SELECT E'\';'", 1),
        (r"SELECT '\'; DROP TABLE x; --'", 2),
        ("SELECT $$;$$, $a$;$$;$a$", 1),
        ('SELECT ";"', 1),
        ('SELECT "a"";"', 1),
        ("SELECT /* ; /* ; */ ; */ 1", 1),
        ("SELECT 1 -- ;\n; DELETE FROM x", 2),
        ("SELECT U&'d\\0061t;'", 1),
        ("SELECT a$1;b FROM x", 2),
    ],
)
def test_statements_end_where_the_server_ends_them(sql: str, count: int) -> None:
    assert len(lexer.statements(sql)) == count


@pytest.mark.parametrize("sql", ["SELECT 'a", 'SELECT "a', "SELECT /* /* */", "SELECT $x$ $$", r"SELECT E'\'"])
def test_what_never_ends_is_told_with_its_place(sql: str) -> None:
    with pytest.raises(lexer.Unterminated) as raised:
        lexer.statements(sql)
    assert raised.value.start == 7


def test_parameters_are_found_only_where_the_server_sees_them() -> None:
    assert lexer.parameter_count("SELECT '$9', \"$8\", $2 + $1, $$ $7 $$ -- $6\n, a$5") == 2
    assert lexer.parameter_count("SELECT 1") == 0


def test_called_functions_with_schema_quotes_and_case() -> None:
    sql = "SELECT PG_Sleep (1), pg_catalog.\"pg_terminate_backend\"(2), 'lower(1)', (3)"
    assert lexer.called_functions(sql) == {"pg_sleep", "pg_terminate_backend"}


def test_string_kinds() -> None:
    assert kinds("n'a' x'1F' E'a\\'b' 'c''d'") == [
        (Kind.STRING, "n'a'"),
        (Kind.STRING, "x'1F'"),
        (Kind.STRING, "E'a\\'b'"),
        (Kind.STRING, "'c''d'"),
    ]


@given(st.text(alphabet="ab$1;'\"-/*\\\n eE\u00e9\U0001f600", max_size=40))
def test_pieces_joined_are_the_text_again(sql: str) -> None:
    try:
        assert "".join(t.text for t in lexer.tokens(sql)) == sql
    except lexer.Unterminated as error:
        assert 0 <= error.start < len(sql)


PIECES = st.sampled_from(
    ["'", "''", '"', "$$", "$a$", ";", "--", "\n", "/*", "*/", "E'", "\\", "1", "a", " ", "$1", "x", "(", ")", "U&"]
)


@given(st.lists(PIECES, max_size=12))
def test_a_statement_split_off_is_one_statement(pieces: list[str]) -> None:
    sql = "SELECT " + "".join(pieces)
    try:
        found = lexer.statements(sql)
    except lexer.Unterminated:
        return
    assert [s for part in found for s in lexer.statements(part)] == found


def test_the_server_sees_one_statement_where_the_lexer_does(db: Connection) -> None:
    """A text that the lexer takes for one statement, yet the server for two, would escape PREPARE."""
    raw = db.connection.dbapi_connection
    assert raw is not None
    cursor = raw.cursor()
    choose = random.Random(7)
    pieces = ["'", "''", '"', "$$", "$a$", "; SELECT 2 ", "--", "\n", "/*", "*/", " E'", "\\", "1", " AS a", " ", "U&'"]
    tried = 0
    for _ in range(6000):
        sql = "SELECT 1" + "".join(choose.choices(pieces, k=choose.randint(1, 7)))
        try:
            if len(lexer.statements(sql)) != 1:
                continue
        except lexer.Unterminated:
            continue
        tried += 1
        raw.rollback()
        try:
            cursor.execute(f"PREPARE one AS {sql}")
        except Exception as error:  # a syntax error is the server's good right
            assert "syntax error" in str(error) or getattr(error, "pgcode", None), sql
            continue
        assert not cursor.description, sql  # a second statement, SELECT 2, would have left a result
        cursor.execute("DEALLOCATE one")
    assert tried > 500

"""Constants become parameters: the texts, the values, and that a server gives the same answer to both."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from dbtune.sql import quote_literal
from dbtune.workload import lexer, normalise
from dbtune.workload.normalise import castable, normalised, parameterised, scan
from dbtune.workload.shape import shape
from dbtune.workload.templates import Templates


@pytest.mark.parametrize(
    ("text", "wanted", "values"),
    [
        ("SELECT a FROM t WHERE b = 5", "SELECT a FROM t WHERE b = $1", ("5",)),
        ("SELECT a FROM t WHERE b = 'it''s'", "SELECT a FROM t WHERE b = $1", ("it's",)),
        ("SELECT a FROM t WHERE b = E'x\\'y\\n\\\\\\x41\\u00e9'", "SELECT a FROM t WHERE b = $1", ("x'y\n\\Aé",)),
        ("SELECT a FROM t WHERE b = $q$it's $1$q$", "SELECT a FROM t WHERE b = $1", ("it's $1",)),
        ("SELECT a FROM t WHERE b IN (1, 2) LIMIT 3 OFFSET 4", "SELECT a FROM t WHERE b IN ($1, $2) LIMIT $3 OFFSET $4",
         ("1", "2", "3", "4")),
        ("SELECT -5, b-5, b - -5, (-.5), 1e-5, 2.5", "SELECT $1, b-$2, b - $3, ($4), $5, $6",
         ("-5", "5", "-5", "-.5", "1e-5", "2.5")),
        ("SELECT -5::int, f(-5), a[1]", "SELECT -$1::int, f($2), a[$3]", ("5", "-5", "1")),
        ("SELECT j->-1, j @- 5", "SELECT j->$1, j @- $2", ("-1", "5")),
        ("SELECT date '2019-01-30', interval '1 day'", "SELECT $1::date, $2::interval", ("2019-01-30", "1 day")),
        ("SELECT TIMESTAMP WITH TIME ZONE '2019-01-30'", "SELECT $1::timestamp with time zone", ("2019-01-30",)),
        ("SELECT '2019-01-30'::date", "SELECT $1::date", ("2019-01-30",)),
        ("SELECT interval '1' day, interval(3) '1 s'", "SELECT interval '1' day, interval(3) '1 s'", ()),
        ("SELECT a::varchar(10), CAST(b AS numeric(10, 2)), c::vector(3)",
         "SELECT a::varchar(10), CAST(b AS numeric(10, 2)), c::vector(3)", ()),
        ("SELECT a, b, 7 FROM t GROUP BY 1, 2 HAVING c > 2 ORDER BY 1 DESC, b + 1, 2",
         "SELECT a, b, $1 FROM t GROUP BY 1, 2 HAVING c > $2 ORDER BY 1 DESC, b + $3, 2", ("7", "2", "1")),
        ("SELECT DISTINCT ON (1, 2) a, b FROM t GROUP BY ROLLUP (1, 2)",
         "SELECT DISTINCT ON (1, 2) a, b FROM t GROUP BY ROLLUP (1, 2)", ()),
        ("SELECT * FROM (SELECT 1 FROM t ORDER BY 1 LIMIT 5) AS x WHERE a = 6",
         "SELECT * FROM (SELECT $1 FROM t ORDER BY 1 LIMIT $2) AS x WHERE a = $3", ("1", "5", "6")),
        ("SELECT extract('year' from d), d AT TIME ZONE 'UTC'",
         "SELECT extract('year' from d), d AT TIME ZONE $1", ("UTC",)),
        ("SELECT B'101', X'1F', U&'\\0061', a LIKE '%x' ESCAPE '!'",
         "SELECT B'101', X'1F', U&'\\0061', a LIKE $1 ESCAPE $2", ("%x", "!")),
        ("SELECT 'a'\n 'b', 5", "SELECT 'a'\n 'b', $1", ("5",)),
        ("SELECT col1, t2.c3, \"4's\" FROM t2 WHERE NULL IS NULL AND TRUE",
         "SELECT col1, t2.c3, \"4's\" FROM t2 WHERE NULL IS NULL AND TRUE", ()),
        ("SELECT 0xFF, 12345678901, 1_000", "SELECT $1, $2, $3", ("255", "12345678901", "1000")),
        ("/* it's */ SELECT 1 -- '2'\n, 3 /* a /* 'b */ c */ FROM t", "  SELECT $1  \n, $2   FROM t", ("1", "3")),
        ("/*+ SeqScan(t) */ SELECT 1", "/*+ SeqScan(t) */ SELECT $1", ("1",)),
        ("SELECT current_timestamp(3), now()", "SELECT current_timestamp(3), now()", ()),
    ],
)  # fmt: skip
def test_constants_become_parameters(text: str, wanted: str, values: tuple[str, ...]) -> None:
    assert normalised(text) == (wanted, values)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT $1, 5",
        "SET work_mem = '4MB'",
        "CREATE TABLE t (a varchar(10) DEFAULT 'x')",
        "SELECT 'breaks off",
        'SELECT "breaks off',
        "SELECT 1 /* breaks off",
        "SELECT $$breaks off",
        "",
        "    ",
    ],
)
def test_what_stays_as_it_is(text: str) -> None:
    found = normalised(text)
    assert found == (text, ()) or "$$" in text


def test_the_same_shape_with_other_kept_constants_keeps_them_apart() -> None:
    first = normalised("SELECT a, 5 FROM t ORDER BY 1")
    assert first == ("SELECT a, $1 FROM t ORDER BY 1", ("5",))
    assert normalised("SELECT a, 6 FROM t ORDER BY 2") == ("SELECT a, $1 FROM t ORDER BY 2", ("6",))


def test_types_of_constants() -> None:
    found = scan("SELECT 1, -2147483648, 2147483648, 1.5, 9223372036854775808, 'x'")
    assert found.types == ("integer", "integer", "bigint", "numeric", "numeric", "unknown")


def test_parameters_and_constants_of_one_statement() -> None:
    assert parameterised("SELECT a FROM t WHERE b = $2 AND c = $1 LIMIT 5") == (
        "SELECT a FROM t WHERE b = $2 AND c = $1 LIMIT $3"
    )
    assert castable("SELECT date $1, 'date $2', \"date $3\", interval $4") == (
        "SELECT $1::date, 'date $2', \"date $3\", $4::interval"
    )


def test_words_that_touch_a_constant_stay_words() -> None:
    assert normalised("SELECT 'a'b, 1 FROM t WHERE c LIKE'x%'OR d=5") == (
        "SELECT $1 b, $2 FROM t WHERE c LIKE $3 OR d=$4",
        ("a", "1", "x%", "5"),
    )


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT a FROM t WHERE b = {} AND c = 'it''s {}'",
        "SELECT a, b_1, 'x' FROM t WHERE c IN ({},{}.{}, -{}) ORDER BY 1, {} LIMIT {}",
        "INSERT INTO t VALUES ({}, '', 'a', {}), ({}, '{}', '''', {}.5)",
        "UPDATE t SET a = a + -{} WHERE b = '{}'::text AND c = date '2019-01-{}'",
        "SELECT {}e{}, 0x{}, .{}, '{}'b FROM \"t {}\" WHERE c LIKE'{}'",
    ],
)
def test_what_was_seen_often_is_taken_apart_as_at_first(statement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recognised gives what a scan gives, be its numbers small, large, or of another kind."""
    blanks = statement.count("{}")
    for number in (*range(10, 110), 2**31, 2**40, 2**70, 0, 7):
        given = statement.format(*(number + at for at in range(blanks)))
        with monkeypatch.context() as without:
            without.setattr(normalise, "_templates", Templates())
            expected = scan(given)
        assert scan(given) == expected


PIECES = st.sampled_from(
    ["'a'", "''", "'it''s'", "E'x'", "5", "12.5", ".5", "1e3", "-", "- 7", "007", "0x1F", "a", "a1", "$1", "$$x$$",
     '"q 1"', "/* c */", "-- d\n", "(", ")", ",", "::text", "date '2019-01-30'", "ORDER BY 1", "LIMIT", "LIKE", "\n"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=10), st.sampled_from(["", " "]), st.data())
def test_what_is_recognised_is_what_a_scan_finds(pieces: list[str], space: str, data: st.DataObject) -> None:
    """Learn a statement at its first sight, then take apart others like it."""
    statement = f"SELECT {space.join(pieces)}"
    split = normalise._split(statement)
    shape = None if split is None else normalise._shape(*split, first=1)
    if split is None or shape is None:
        return
    templates = Templates()
    signs = [None if step is None else step.sign for step in shape.steps]
    templates.learn(statement, *split, signs, scan(statement).statement)
    others = [
        space.join(
            data.draw(PIECES) if piece[:1] in "'.0123456789" and data.draw(st.booleans()) else piece for piece in pieces
        )
        for _ in range(3)
    ]
    for other in (statement, *(f"SELECT {each}" for each in others)):
        found = templates.find(other)
        if found is not None:
            normalise._templates = Templates()
            assert found == scan(other)


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@given(st.lists(TEXT, min_size=1, max_size=5))
def test_any_texts_come_back(values: list[str]) -> None:
    def quoted(value: str) -> str:
        return f"E{quote_literal(value)}".replace("\\", "\\\\") if "\\" in value else quote_literal(value)

    text = f"SELECT a FROM t WHERE b IN ({', '.join(map(quoted, values))}) -- it's"
    numbers = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    statement, found = normalised(text)
    assert statement.strip() == f"SELECT a FROM t WHERE b IN ({numbers})"
    assert found == tuple(values)


@given(
    st.lists(TEXT | st.sampled_from(["'", '"', "$$", "/*", "*/", "--", "E'", "\\", " 5", "-", "$1", "."]), max_size=12)
)
def test_no_text_breaks_it(pieces: list[str]) -> None:
    statement, values = normalised("SELECT " + "".join(pieces))
    if values:
        assert lexer.parameter_count(statement) == len(values)


QUESTIONS = [
    "SELECT -5, 2 - -3, 7-2, -(2)::int, 1.5 + .5, 2 ^ -1",
    "SELECT 'a' || 'it''s' || E'\\n' || $q$x$q$, date '2019-01-30' + 3, interval '1 day' * 2",
    "SELECT g, count(*) FROM generate_series(1, 10) AS g WHERE g % 3 = 1 GROUP BY 1 ORDER BY 1 DESC LIMIT 2",
    "SELECT '{\"a\": [1, 2]}'::jsonb -> 'a' -> -1, 'abc' LIKE 'a%', substring('abcdef' from 2 for 3), 'x'::varchar(3)",
    "SELECT CASE WHEN 1 < 2 THEN 'yes' ELSE 'no' END, 5 BETWEEN 1 AND 10, 3 IN (1, 2, 3), position('b' in 'abc')",
    "VALUES (1, 'a'), (-2, NULL)",
    "SELECT extract(year from date '2019-01-30'), timestamp '2019-01-30 10:00' AT TIME ZONE 'UTC' > '2019-01-01'",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_server_answers_the_same(db: Connection, question: str) -> None:
    literally = {"no_parameters": True}
    wanted = db.exec_driver_sql(question, execution_options=literally).all()
    found = scan(question)
    assert len(found.values) >= 3
    db.exec_driver_sql(f"PREPARE asked ({', '.join(found.types)}) AS {found.statement}", execution_options=literally)
    values = ", ".join(map(quote_literal, found.values))
    assert db.exec_driver_sql(f"EXECUTE asked ({values})", execution_options=literally).all() == wanted


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=3), st.integers(-(2**63), 2**63 - 1), st.dates(date(1, 1, 1)))
def test_what_psycopg2_writes_is_read_back(db: Connection, texts: list[str], number: int, day: date) -> None:
    cursor = db.connection.cursor()
    sent = cursor.mogrify("SELECT %s, %s, %s, %s", (texts[0], number, day, texts)).decode()
    statement, values = normalised(sent)
    assert values == (texts[0], str(number), day.isoformat(), *texts)
    assert statement.replace(",  ", ", ").startswith("SELECT $1, $2, $3::date, ARRAY[$4")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a FROM t WHERE b = 5", "select a  from t where b=$1"),
        ("SELECT a FROM t WHERE b IN (1, 2, 3)", "SELECT a FROM t WHERE b IN ($1)"),
        ("SELECT a FROM t WHERE b = 'x'::text", "SELECT a FROM t WHERE b = $1"),
        ("SELECT a FROM t WHERE b = date '2019-01-30'", "SELECT a FROM t WHERE b = $1::date"),
        ("SELECT a FROM t WHERE b = ANY(ARRAY['x', 'y']::uuid[])", "SELECT a FROM t WHERE b = ANY ($1)"),
        ("SELECT t_1.a AS t_1_a FROM s.t AS t_1 WHERE t_1.b = 1", "SELECT s.t.a FROM s.t WHERE s.t.b = $1"),
        ("SELECT t.a AS x FROM t", "SELECT a FROM t"),
        ("SELECT u.a FROM t AS x INNER JOIN u ON u.id = x.id", "SELECT u_1.a FROM t JOIN u u_1 ON u_1.id = t.id"),
        ("SELECT a FROM t LEFT OUTER JOIN u ON true", "SELECT a FROM t LEFT JOIN u ON true"),
        ("UPDATE t SET a = NULL, b = TRUE WHERE c = 1", "UPDATE t SET a = $1, b = $2 WHERE c = $3"),
        ("INSERT INTO t (a, b) VALUES (1, NULL), (2, 'x')", "INSERT INTO t (a, b) VALUES ($1, $2)"),
        ("SELECT a FROM t WHERE b <> 1 LIMIT 5", "SELECT a FROM t WHERE b != $1 LIMIT $2"),
    ],
)
def test_one_shape_for_all_texts_of_a_query(one: str, other: str) -> None:
    assert shape(one) == shape(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a FROM t", "SELECT b FROM t"),
        ("SELECT a FROM t", "SELECT a FROM s.t"),
        ("SELECT a FROM t WHERE b IS NULL", "SELECT a FROM t WHERE b IS NOT NULL"),
        ("SELECT a FROM t WHERE b IS TRUE", "SELECT a FROM t WHERE b IS FALSE"),
        ("SELECT a FROM t WHERE b IS NULL", "SELECT a FROM t WHERE b = $1"),
        ("SELECT a FROM t ORDER BY 1", "SELECT a FROM t ORDER BY 1 DESC"),
        ("SELECT a, b FROM t ORDER BY 1", "SELECT a, b FROM t ORDER BY 2"),
        ("SELECT x.a FROM t x JOIN t y ON x.id = y.p", "SELECT y.a FROM t x JOIN t y ON x.id = y.p"),
        ("SELECT lower(a) AS n FROM t ORDER BY n", "SELECT lower(a) AS n FROM t ORDER BY a"),
        ("SELECT a FROM t JOIN u ON true", "SELECT a FROM t LEFT JOIN u ON true"),
        ("SELECT a FROM t WHERE b = 1 FOR UPDATE", "SELECT a FROM t WHERE b = 1"),
    ],
)
def test_other_queries_have_other_shapes(one: str, other: str) -> None:
    assert shape(one) != shape(other)


def test_what_no_parser_reads_still_has_a_shape() -> None:
    assert shape("SELECT ((( FROM 5") == shape("SELECT  (((  from 6")
    assert shape("SELECT 'breaks off") == "SELECT 'breaks off"
